//! The message by which the function asks itself for a catch-up: when it is sent, and what becomes of one that comes twice, late, forged or
//! without a queue.

use s3_kms_replication::model::Versioning;

use super::*;

#[tokio::test(start_paused = true)]
async fn message_is_sent_before_the_first_change_and_only_for_what_mends_replication() {
    let fake = Fake::new(with_report_bucket());
    let apply = merged(sample("command-apply"), job_properties());
    let dry_run = merged(apply.clone(), json!({"DryRun": true}));
    invoke_with_queue(&fake, &dry_run).await.unwrap();
    assert_eq!(sent(&fake), Vec::<Value>::new(), "a plan");

    fake.clear();
    invoke_with_queue(&fake, &apply).await.unwrap();
    let messages = sent(&fake);
    assert_eq!(messages.len(), 1);
    let expected = json!({"Action": "CatchUp", "SourceBucket": "demo-source", "RuleId": RULE,
        "Time": messages[0]["Time"], "IsNew": true, "IsSecond": false, "ReportBucket": "reports", "ReportPrefix": "crr"});
    assert_eq!(messages[0], expected);
    assert!(fake.position("SendMessage") < fake.first_write());

    invoke_with_queue(&fake, &apply).await.unwrap();
    end_job(&fake, "job-1").await;
    invoke_with_queue(&fake, &merged(apply.clone(), json!({"AlarmTopicArn": TOPIC})))
        .await
        .unwrap();
    assert_eq!(
        sent(&fake),
        Vec::<Value>::new(),
        "a converged rule, the end of a job, and an alarm"
    );

    fake.state.borrow_mut().bucket_mut("demo-destination").versioning = Versioning::Suspended;
    invoke_with_queue(&fake, &apply).await.unwrap();
    fake.state.borrow_mut().role_mut(OWN_ROLE_NAME).trust = "{}".to_owned();
    invoke_with_queue(&fake, &apply).await.unwrap();
    let repaired: Vec<Value> = sent(&fake).iter().map(|message| message["IsNew"].clone()).collect();
    assert_eq!(repaired, [json!(false), json!(false)], "versioning, and the role's trust");

    invoke_with_queue(&fake, &sample("command-delete")).await.unwrap();
    invoke(&fake, &apply).await.unwrap();
    assert_eq!(sent(&fake), Vec::<Value>::new(), "a deletion, and a deployment without catch-ups");
}

#[tokio::test(start_paused = true)]
async fn message_that_cannot_be_sent_is_a_warning_and_the_rule_is_made() {
    let fake = Fake::new(two_buckets());
    fake.refuse("SendMessage", usize::MAX, "AccessDenied", Retry::Never);
    let answer = invoke_with_queue(&fake, &sample("command-apply")).await.unwrap();
    assert_eq!(
        (answer["Status"].as_str(), fake.state.borrow().rules("demo-source").len()),
        (Some("Configured"), 1)
    );
    insta::assert_snapshot!(answer["Warnings"][0].as_str().unwrap());
}

#[tokio::test(start_paused = true)]
async fn request_that_plans_several_times_sends_one_message_and_keeps_its_warning() {
    let fake = Fake::new(two_buckets());
    fake.refuse("PutBucketReplication", 4, "OperationAborted", Retry::Replan);
    invoke_with_queue(&fake, &sample("command-apply")).await.unwrap();
    let news: Vec<Value> = sent(&fake).iter().map(|message| message["IsNew"].clone()).collect();
    assert_eq!(news, [json!(true)]);

    let fake = Fake::new(two_buckets());
    fake.refuse("PutBucketReplication", 4, "OperationAborted", Retry::Replan);
    fake.refuse_for("SendMessage", Duration::from_secs(3_600), "AccessDenied");
    let answer = invoke_with_queue(&fake, &sample("command-apply")).await.unwrap();
    assert_eq!((fake.count("SendMessage"), answer["Warnings"].as_array().unwrap().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn invariant_3_message_that_comes_twice_starts_one_job() {
    let fake = bucket_with(&[(None, true)]).await;
    let message = message(with_report());
    assert_eq!(outcome(&fake, &message).await, "JobsStarted 1");
    fake.clear();
    assert_eq!((outcome(&fake, &message).await, fake.writes().len()), ("Skipped 1".to_owned(), 0));
    end_job(&fake, "job-1").await;
    fake.clear();
    let earlier = merged(message.clone(), json!({"Time": *TIME - 60}));
    for message in [&message, &earlier] {
        let again = outcome(&fake, message).await;
        assert_eq!((again, fake.writes().len()), ("Skipped 1".to_owned(), 0));
    }
    let later = merged(message, json!({"Time": *TIME + 60}));
    assert_eq!(outcome(&fake, &later).await, "JobsStarted 1", "a later repair is another matter");
}

#[tokio::test(start_paused = true)]
async fn message_of_a_request_that_is_gone_starts_no_job() {
    let fake = bucket_with(&[(None, true)]).await;
    invoke(&fake, &sample("command-delete")).await.unwrap();
    invoke(&fake, &sample("command-apply")).await.unwrap();
    assert_eq!(outcome(&fake, &message(with_report())).await, "Unreplicated 1");
    assert_eq!(fake.state.borrow().jobs.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn message_of_the_future_is_refused_and_ends_no_later_catch_up() {
    let fake = bucket_with(&[(None, false)]).await;
    for time in [now() + 3_600, u64::MAX >> 1] {
        let forged = message(merged(with_report(), json!({"Time": time})));
        let error = invoke_with_queue(&fake, &forged).await.unwrap_err().to_string();
        assert_eq!((error.as_str(), fake.writes().len()), ("`Time` is later than now", 0));
    }
    assert_eq!(outcome(&fake, &message(with_report())).await, "JobsStarted 1");
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nothing_comes_again_and_what_was_missed_is_told() {
    let without_queue = environment(&[
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
    ]);
    let fake = bucket_with(&[(Some(ReplicationStatus::Pending), false)]).await;
    let pending = outcome_with(&fake, &message(json!({})), &without_queue).await;
    assert_eq!(pending, "Unexamined 1");

    let fake = bucket_with(&[(None, false)]).await;
    invoke(&fake, &replay()).await.unwrap();
    let running = outcome_with(&fake, &message(with_report()), &without_queue).await;
    assert_eq!((running.as_str(), fake.state.borrow().jobs.len()), ("Unreplicated 1", 1));
}
