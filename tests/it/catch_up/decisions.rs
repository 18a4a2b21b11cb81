//! Which versions a catch-up takes for missed, and how many it looks at.

use super::*;

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
async fn catch_up_ends_where_bucket_or_rule_are_gone_or_the_rule_is_disabled() {
    let fake = bucket_with(&[(None, true)]).await;
    let ends = async |what: &str, changes: Value| {
        let outcome = outcome(&fake, &message(merged(changes, with_report()))).await;
        assert_eq!((outcome, fake.writes().len()), ("Skipped 1".to_owned(), 0), "{what}");
    };
    ends("no such rule", json!({"RuleId": "s3-kms-replication.other"})).await;
    ends("no such bucket", json!({"SourceBucket": "gone"})).await;
    ends("a bucket without rules", json!({"SourceBucket": "prod-orders"})).await;
    let (enabled, disabled) = ("</Filter><Status>Enabled", "</Filter><Status>Disabled");
    fake.state.borrow_mut().edit_replication("demo-source", enabled, disabled);
    ends("a disabled rule", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn pages_and_reads_of_versions_are_bounded() {
    let fake = bucket_with(&[(Some(ReplicationStatus::Completed), false); 10_500]).await;
    outcome(&fake, &message(json!({}))).await;
    assert_eq!((fake.count("ListObjectVersions"), fake.count("HeadObject")), (10, 100));
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
