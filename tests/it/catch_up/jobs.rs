//! A catch-up beside the jobs that requests and replays have started, and without a job of its own.

use super::*;

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
