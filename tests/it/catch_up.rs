//! Catch-up: the function asks itself to look for objects that a rule has missed, and one job replicates them or a person is told.

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::handle;
use s3_kms_replication::model::{ReplicationStatus, Retry, Versioning};
use serde_json::{Value, json};

use crate::support::*;

const RULE: &str = "s3-kms-replication.demo-destination";
/// The time of the catch-ups in these tests.
static TIME: LazyLock<u64> = LazyLock::new(|| now() - 900);

async fn invoke_with_queue(fake: &Fake, payload: &Value) -> Result<Value, Error> {
    invoke_with(fake, payload, &settings_with_queue()).await
}

/// The messages that were sent since the last time.
fn sent(fake: &Fake) -> Vec<Value> {
    let messages = fake.messages.take();
    assert!(messages.iter().all(|(_, delay)| *delay == Duration::from_secs(900)));
    messages.iter().map(|(body, _)| serde_json::from_str(body).unwrap()).collect()
}

fn message(changes: Value) -> Value {
    let message = json!({"Action": "CatchUp", "SourceBucket": "demo-source", "RuleId": RULE, "Time": *TIME, "IsNew": true, "IsSecond": false});
    merged(message, changes)
}

fn with_report() -> Value {
    json!({"ReportBucket": "reports", "ReportPrefix": ""})
}

/// A bucket with the walk-through's rule and these objects under its prefix: replication status, and whether they are older than the rule. The
/// bucket was empty when the rule was made, so the rule's request for existing objects has started no job.
async fn bucket_with(objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    bucket_after(&merged(sample("command-apply"), job_properties()), objects).await
}

/// The same without a request for existing objects.
async fn bucket_without_wish(objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    bucket_after(&sample("command-apply"), objects).await
}

async fn bucket_after(apply: &Value, objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    let mut state = with_report_bucket();
    state.bucket_mut("demo-source").objects.clear();
    let fake = Fake::new(state);
    invoke_with_queue(&fake, apply).await.unwrap();
    sent(&fake);
    set_objects(&fake, objects);
    fake.replicator.borrow_mut().pending = usize::MAX;
    fake.clear();
    fake
}

fn set_objects(fake: &Fake, objects: &[(Option<ReplicationStatus>, bool)]) {
    let objects = objects.iter().zip(1..).map(|((status, is_older), number)| {
        let time = if *is_older { *TIME - 1 } else { *TIME };
        Object::new(&format!("Tax/secret-{number}"), *status, time)
    });
    fake.state.borrow_mut().bucket_mut("demo-source").objects = objects.collect();
}

async fn end_job(fake: &Fake, id: &str) {
    fake.state.borrow_mut().jobs.get_mut(id).unwrap().job.status = JobStatus::Complete;
    invoke(fake, &job_status_changed(id, "Complete")).await.unwrap();
}

/// A Replay of the objects that S3 failed to replicate.
fn replay() -> Value {
    json!({"Action": "Replay", "SourceBucket": "demo-source", "Name": "demo-destination", "ReportBucket": "reports"})
}

fn deny_status(fake: &Fake) {
    fake.refuse("HeadObject", usize::MAX, "HTTP 403", Retry::Never);
}

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

/// What a catch-up counted and sent.
async fn outcome(fake: &Fake, message: &Value) -> String {
    outcome_with(fake, message, &settings_with_queue()).await
}

async fn outcome_with(fake: &Fake, message: &Value, settings: &Settings) -> String {
    let handled =
        Box::pin(handle(&message.to_string(), within_five_minutes(), fake, settings)).await;
    let answer = handled.answer.unwrap();
    assert!(!answer.to_string().contains("secret"), "no key is in an answer");
    let line: Value = serde_json::from_str(&handled.counters.line(
        "function",
        Duration::ZERO,
        std::time::UNIX_EPOCH,
    ))
    .unwrap();
    let counted = ["CaughtUp", "Unexamined", "Pending", "JobsStarted", "Unreplicated", "Skipped"]
        .into_iter()
        .filter(|name| !line[name].is_null())
        .map(|name| format!("{name} {}", line[name]));
    let again = sent(fake)
        .iter()
        .map(|it| format!("comes again, IsSecond {}", it["IsSecond"]))
        .collect::<Vec<_>>();
    counted.chain(again).collect::<Vec<_>>().join("; ")
}

#[tokio::test(start_paused = true)]
async fn catch_up_decides_by_age_status_and_what_was_asked_for() {
    use ReplicationStatus::{Completed, Failed, Pending, Replica};
    let repaired = json!({"IsNew": false});
    let second = json!({"IsSecond": true});
    let mut table = Table::default();
    let (older, newer) = (true, false);
    for (what, objects, changes) in [
        ("an empty bucket", vec![], json!({})),
        ("replicated", vec![(Some(Completed), newer), (Some(Replica), newer)], json!({})),
        ("older than a new rule", vec![(None, older), (None, older)], json!({})),
        ("older, repaired rule", vec![(Some(Completed), older), (Some(Failed), older)], repaired),
        ("without status", vec![(None, newer)], json!({})),
        ("failed", vec![(Some(Failed), newer)], json!({})),
        ("pending", vec![(Some(Pending), newer), (None, newer)], json!({})),
        ("pending, second look", vec![(Some(Pending), newer), (None, newer)], second.clone()),
        ("pending alone, second look", vec![(Some(Pending), newer)], second),
    ] {
        let fake = bucket_without_wish(&objects).await;
        let told = outcome(&fake, &message(changes.clone())).await;
        let fake = bucket_with(&objects).await;
        let with_job = outcome(&fake, &message(merged(changes, with_report()))).await;
        table.add(what, &format!("told: {told}\njob wanted: {with_job}"));
    }
    insta::assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_read_a_status_newer_versions_are_left_to_the_job_of_a_new_rule() {
    let mut table = Table::default();
    for (what, objects, is_new) in [
        ("new rule, newer versions", vec![(Some(ReplicationStatus::Completed), false)], true),
        ("new rule, older versions", vec![(None, true)], true),
        ("repaired rule", vec![(Some(ReplicationStatus::Failed), false)], false),
    ] {
        let outcome_with = async |changes: Value| {
            let fake = bucket_with(&objects).await;
            deny_status(&fake);
            outcome(&fake, &message(merged(json!({"IsNew": is_new}), changes))).await
        };
        let told = outcome_with(json!({})).await;
        table
            .add(what, &format!("told: {told}\njob wanted: {}", outcome_with(with_report()).await));
    }
    insta::assert_snapshot!(table.text());
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
async fn older_versions_are_left_to_the_job_of_the_request_that_made_the_rule() {
    let fake = bucket_without_wish(&[]).await;
    let older = Object::new("Tax/1", None, *TIME - 1);
    fake.state.borrow_mut().bucket_mut("demo-source").objects.push(older);
    invoke(&fake, &merged(sample("command-apply"), job_properties())).await.unwrap();
    assert_eq!(
        outcome(&fake, &message(with_report())).await,
        "Pending 1; comes again, IsSecond false"
    );
    let replicated = |status| {
        let mut state = fake.state.borrow_mut();
        state.jobs.get_mut("job-1").unwrap().job.status = JobStatus::Complete;
        state.bucket_mut("demo-source").objects[0].content.as_mut().unwrap().replication = status;
    };
    replicated(Some(ReplicationStatus::Completed));
    assert_eq!(outcome(&fake, &message(with_report())).await, "CaughtUp 1");
    replicated(Some(ReplicationStatus::Failed));
    assert_eq!(outcome(&fake, &message(with_report())).await, "JobsStarted 1");
    let apply = merged(sample("command-apply"), job_properties());
    fake.clear();
    invoke(&fake, &apply).await.unwrap();
    assert_eq!(fake.writes().len(), 0, "the request is fulfilled");
}

#[tokio::test(start_paused = true)]
async fn older_versions_that_cannot_be_read_are_left_to_the_job_of_the_request_and_start_no_other()
{
    let mut table = Table::default();
    for (what, objects) in [
        ("older", vec![true]),
        ("a newer one, which the job may not have listed", vec![true, false]),
    ] {
        let objects: Vec<_> =
            objects.iter().map(|older| (Some(ReplicationStatus::Completed), *older)).collect();
        let fake = bucket_without_wish(&[(None, true)]).await;
        invoke(&fake, &merged(sample("command-apply"), job_properties())).await.unwrap();
        end_job(&fake, "job-1").await;
        set_objects(&fake, &objects);
        deny_status(&fake);
        table.add(what, &outcome(&fake, &message(with_report())).await);
    }
    insta::assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn replay_of_failed_objects_hides_no_older_version() {
    for has_replayed in [false, true] {
        let fake = bucket_without_wish(&[(None, true)]).await;
        if has_replayed {
            invoke(&fake, &replay()).await.unwrap();
            end_job(&fake, "job-1").await;
        }
        deny_status(&fake);
        assert_eq!(outcome(&fake, &message(json!({}))).await, "Unreplicated 1", "{has_replayed}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_that_is_made_again_has_missed_no_older_version_that_shows_a_replication() {
    use ReplicationStatus::{Completed, Replica};
    let mut table = Table::default();
    for (what, status, count) in [
        ("completed, all read", Some(Completed), 3),
        ("completed, more than are read", Some(Completed), 101),
        ("replicas of the other direction, more than are read", Some(Replica), 101),
        ("no status, more than are read", None, 101),
    ] {
        let fake = bucket_without_wish(&vec![(status, true); count]).await;
        fake.state.borrow_mut().bucket_mut("demo-source").replication = None;
        invoke_with_queue(&fake, &sample("command-apply")).await.unwrap();
        let message = sent(&fake).remove(0);
        table.add(what, &outcome(&fake, &message).await);
    }
    insta::assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn version_whose_status_cannot_be_read_hides_no_other() {
    for code in ["HTTP 400", "HTTP 403"] {
        let objects = [(None, true), (Some(ReplicationStatus::Failed), false)];
        let fake = bucket_without_wish(&objects).await;
        fake.refuse("HeadObject", 1, code, Retry::Never);
        assert_eq!(outcome(&fake, &message(json!({}))).await, "Unreplicated 2", "{code}");
    }
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

#[tokio::test(start_paused = true)]
async fn missed_versions_are_told_with_the_reason_when_no_job_can_be_started() {
    type Change = fn(&mut State);
    let mut table = Table::default();
    let changes: [(&str, Change); 2] = [
        ("the report's bucket is gone", |state| drop(state.buckets.remove("reports"))),
        ("a foreign role", |state| {
            state.edit_replication("demo-source", OWN_ROLE_NAME, "theirs");
        }),
    ];
    for (what, change) in changes {
        let fake = bucket_with(&[(None, true); 101]).await;
        change(&mut fake.state.borrow_mut());
        deny_status(&fake);
        let answer = invoke_with_queue(&fake, &message(with_report())).await.unwrap();
        table.add(
            what,
            &format!(
                "{} of which {} unexamined: {}",
                answer["Unreplicated"], answer["Unexamined"], answer["Reason"]
            ),
        );
    }
    insta::assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn number_of_missed_versions_says_how_many_were_not_looked_at() {
    let fake = bucket_with(&[(None, true); 10_500]).await;
    let answer = invoke_with_queue(&fake, &message(json!({}))).await.unwrap();
    assert_eq!(
        (&answer["Unreplicated"], &answer["Unexamined"]),
        (&json!(10_000), &json!(1)),
        "the rest of the list counts as one"
    );
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
async fn catch_up_ends_where_bucket_or_rule_are_gone_or_the_rule_is_disabled() {
    let fake = bucket_with(&[(None, true)]).await;
    fake.state.borrow_mut().edit_replication(
        "demo-source",
        "</Filter><Status>Enabled",
        "</Filter><Status>Disabled",
    );
    for changes in [
        json!({}),
        json!({"RuleId": "s3-kms-replication.other"}),
        json!({"SourceBucket": "gone"}),
        json!({"SourceBucket": "prod-orders"}),
    ] {
        let outcome = outcome(&fake, &message(merged(changes.clone(), with_report()))).await;
        assert_eq!((outcome, fake.writes().len()), ("Skipped 1".to_owned(), 0), "{changes}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_and_reads_of_versions_are_bounded() {
    let fake = bucket_with(&[(Some(ReplicationStatus::Completed), false); 10_500]).await;
    outcome(&fake, &message(json!({}))).await;
    assert_eq!((fake.count("ListObjectVersions"), fake.count("HeadObject")), (10, 100));
}

#[tokio::test(start_paused = true)]
async fn canaries_and_versions_outside_the_prefix_are_not_missed() {
    let fake = bucket_with(&[]).await;
    let canary = format!("Tax.s3-kms-replication-verify/demo-source/{RULE}");
    for key in [canary.as_str(), "Other/1"] {
        let object = Object::new(key, None, *TIME - 1);
        fake.state.borrow_mut().bucket_mut("demo-source").objects.push(object);
    }
    assert_eq!(outcome(&fake, &message(with_report())).await, "CaughtUp 1");
}

#[tokio::test(start_paused = true)]
async fn invariant_7_error_of_a_catch_up_names_no_object_and_its_message_comes_again() {
    let fake = bucket_with(&[(None, false)]).await;
    fake.refuse("HeadObject", usize::MAX, "InternalError", Retry::Soon);
    let record = json!({"messageId": "m-1", "body": message(json!({})).to_string()});
    let answer = invoke_with_queue(&fake, &json!({"Records": [record]})).await.unwrap();
    assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "m-1");
    let error = invoke_with_queue(&fake, &message(json!({}))).await.unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    fake.refuse("ListObjectVersions", usize::MAX, "AccessDenied", Retry::Never);
    let error = invoke_with_queue(&fake, &message(json!({}))).await.unwrap_err().to_string();
    assert!(error.contains("`AllowCatchUp` gives this right"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn invariant_3_catch_up_that_fails_in_any_call_and_comes_again_starts_one_job() {
    let before = bucket_with(&[(None, true), (None, false)]).await.state.take();
    let message = message(with_report());
    let undisturbed = Fake::new(before.clone());
    invoke_with_queue(&undisturbed, &message).await.unwrap();
    let calls = undisturbed.calls.borrow().len();
    for fault in [Fault::Refused("AccessDenied", Retry::Never), Fault::AnswerLost, Fault::Hangs] {
        for index in 0..calls {
            let fake = Fake::new(before.clone());
            fake.fail_call(index, fault);
            let _ = invoke_with_queue(&fake, &message).await;
            fake.stop_failing();
            fake.state.borrow_mut().leases.clear();
            invoke_with_queue(&fake, &message).await.unwrap();
            assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index} of {calls}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn catch_up_waits_a_week_for_the_end_of_the_rules_job() {
    let fake = bucket_without_wish(&[(Some(ReplicationStatus::Failed), false)]).await;
    invoke(&fake, &merged(sample("command-apply"), job_properties())).await.unwrap();
    let day = 24 * 60 * 60;
    for (age, expected) in
        [(6 * day, "Pending 1; comes again, IsSecond true"), (8 * day, "Unreplicated 1")]
    {
        let changes = json!({"Time": now() - age, "IsSecond": true});
        assert_eq!(outcome(&fake, &message(merged(changes, with_report()))).await, expected);
    }
}
