//! Invariant 4, by what is remembered of earlier requests: a Delete removes what its own id names, or what a request that failed or was
//! not answered has left, and nothing that a later request has made.

use std::time::Duration;

use s3_kms_replication::config::Settings;
use s3_kms_replication::model::Retry;
use serde_json::{Value, json};
use tokio::join;
use tokio::time::sleep;

use crate::support::*;

/// An id that CloudFormation made up, and one that another function gave: a log stream's name.
const IDS_OF_OTHERS: [&str; 2] = ["demo-Replication-1ABCDEF", "2026/11/22/[$LATEST]0a1b2c3d"];

const NOTHING_CREATED: &str = "nothing-was-created";

/// The request that CloudFormation signed in that minute, with that id.
fn request(request_type: &str, minute: u32, id: Option<&str>, changes: Value) -> Value {
    let date = format!("20261122T08{minute:02}00Z");
    let mut request = signed(custom_resource(request_type, changes), &date);
    if let Some(id) = id {
        request["PhysicalResourceId"] = json!(id);
    }
    request
}

async fn answer_with(fake: &Fake, request: &Value, settings: &Settings) -> Value {
    fake.answers.borrow_mut().clear();
    invoke_with(fake, request, settings).await.unwrap();
    only_answer(fake)
}

async fn answer(fake: &Fake, request: &Value) -> Value {
    answer_with(fake, request, &settings()).await
}

/// The Create of the first minute, whose answer CloudFormation does not get.
async fn create_unanswered(fake: &Fake, request: &Value) {
    fake.answer_failures.borrow_mut().push(Retry::Never);
    invoke(fake, request).await.unwrap_err();
}

fn has_rule_and_role(fake: &Fake) -> bool {
    let state = fake.state.borrow();
    let found = (!state.rules("demo-source").is_empty(), state.roles.contains_key(OWN_ROLE_NAME));
    assert_eq!(found.0, found.1, "rule and role go together");
    found.0
}

#[tokio::test(start_paused = true)]
async fn case_delete_of_a_replaced_id_changes_nothing() {
    let case: Value =
        serde_json::from_str(include_str!("../cases/delete_of_a_replaced_id.json")).unwrap();
    let state = State::default()
        .with_bucket("orders", Bucket::new("us-east-1").encrypted_with(SOURCE_KEY))
        .with_bucket("orders-replica", Bucket::new("us-west-2"))
        .with_key(SOURCE_KEY)
        .with_key(REPLICA_KEY);
    let url = sample("cloudformation-create")["ResponseURL"].as_str().unwrap().to_owned();
    let fake = Fake::new(state);
    let mut ids = Vec::new();
    for request in case["requests"].as_array().unwrap() {
        let text = request.to_string().replace("<sink>?", &format!("{url}&"));
        fake.answers.borrow_mut().clear();
        invoke_text(&fake, &text, &settings()).await.unwrap();
        let answer = only_answer(&fake);
        ids.push(format!("{} {}", answer["Status"], answer["PhysicalResourceId"]));
    }
    insta::assert_snapshot!(ids.join("\n"), @r#"
    "FAILED" "nothing-was-created"
    "SUCCESS" "orders/s3-kms-replication.shop-Replication-e9be9120"
    "SUCCESS" "nothing-was-created"
    "#);
    assert_eq!(fake.state.borrow().rules("orders").len(), 1);
    assert!(fake.state.borrow().roles.contains_key("s3-crr-orders"));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_id_of_others_deletes_only_what_no_successful_request_has_made() {
    for id in IDS_OF_OTHERS {
        // What was not answered is removed.
        let fake = Fake::new(two_buckets());
        create_unanswered(&fake, &request("Create", 0, None, json!({}))).await;
        assert!(has_rule_and_role(&fake));
        let deleted = answer(&fake, &request("Delete", 5, Some(id), json!({}))).await;
        assert_eq!(
            (&deleted["Status"], &deleted["PhysicalResourceId"]),
            (&json!("SUCCESS"), &json!(id))
        );
        assert!(!has_rule_and_role(&fake), "{id}");

        // What a later request has made stays, however often the Delete comes.
        let fake = Fake::new(two_buckets());
        create_unanswered(&fake, &request("Create", 0, None, json!({}))).await;
        answer(&fake, &request("Create", 5, None, json!({}))).await;
        let before = fake.state.borrow().clone();
        for minute in [6, 6, 7] {
            let deleted = answer(&fake, &request("Delete", minute, Some(id), json!({}))).await;
            assert_eq!(deleted["Status"], "SUCCESS");
            assert!(
                deleted["Reason"].as_str().unwrap().contains("belongs to a request"),
                "{deleted}"
            );
            assert_eq!(*fake.state.borrow(), before, "{id}");
        }
        // Also when an Update of the rule has failed since, or was not answered.
        let own_id = format!("demo-source/{CUSTOM_RULE}");
        let update = |minute| request("Update", minute, Some(&own_id), json!({"Prefix": "other/"}));
        fake.refuse("PutRolePolicy", 1, "AccessDenied", Retry::Never);
        assert_eq!(answer(&fake, &update(8)).await["Status"], "FAILED");
        answer(&fake, &request("Delete", 9, Some(id), json!({}))).await;
        assert!(has_rule_and_role(&fake), "{id}");
        create_unanswered(&fake, &update(10)).await;
        answer(&fake, &request("Delete", 11, Some(id), json!({}))).await;
        assert!(has_rule_and_role(&fake), "{id}");
        // Its own id deletes it.
        answer(&fake, &request("Delete", 12, Some(&own_id), json!({}))).await;
        assert!(!has_rule_and_role(&fake));
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_nothing_is_deleted_where_nothing_is_remembered_and_the_reason_names_what_may_remain()
 {
    let without_table = Settings { lock_table: None, ..settings() };
    for (id, settings) in
        IDS_OF_OTHERS.iter().flat_map(|id| [(*id, settings()), (*id, without_table.clone())])
    {
        let fake = Fake::new(two_buckets());
        create_unanswered(&fake, &request("Create", 0, None, json!({}))).await;
        // The record has expired, or there is no table.
        fake.generations.borrow_mut().clear();
        let before = fake.state.borrow().clone();
        let delete = request("Delete", 5, Some(id), json!({}));
        let deleted = answer_with(&fake, &delete, &settings).await;
        assert_eq!(deleted["Status"], "SUCCESS");
        let reason = deleted["Reason"].as_str().unwrap();
        for named in ["demo-source", CUSTOM_RULE, OWN_ROLE_NAME] {
            assert!(reason.contains(named), "{reason}");
        }
        assert_eq!(*fake.state.borrow(), before);
        if settings.lock_table.is_some() {
            // A Create that was delayed does not make what no stack knows.
            let late = answer(&fake, &request("Create", 4, None, json!({"Prefix": "late/"}))).await;
            assert_eq!(late["Status"], "FAILED");
            assert_eq!(*fake.state.borrow(), before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_nothing_was_created_deletes_nothing_and_supersedes_its_create() {
    for unanswered in [false, true] {
        let fake = Fake::new(two_buckets());
        let create = request("Create", 0, None, json!({}));
        if unanswered {
            create_unanswered(&fake, &create).await;
        } else {
            answer(&fake, &create).await;
        }
        let before = fake.state.borrow().clone();
        let delete = request("Delete", 5, Some(NOTHING_CREATED), json!({}));
        assert_eq!(answer(&fake, &delete).await["Status"], "SUCCESS");
        assert_eq!(*fake.state.borrow(), before);
    }
    let fake = Fake::new(two_buckets());
    answer(&fake, &request("Delete", 5, Some(NOTHING_CREATED), json!({}))).await;
    let late = answer(&fake, &request("Create", 0, None, json!({}))).await;
    assert_eq!(late["Status"], "FAILED");
    assert!(!has_rule_and_role(&fake));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_create_with_a_slow_read_writes_nothing_after_its_delete_was_answered() {
    let undisturbed = Fake::new(two_buckets());
    let create = request("Create", 0, None, json!({}));
    answer(&undisturbed, &create).await;
    let delete = request("Delete", 5, Some(NOTHING_CREATED), json!({}));
    for slow in 0..undisturbed.first_write() {
        let fake = Fake::new(two_buckets());
        fake.fail_call(slow, Fault::Slow);
        let deleting = async {
            sleep(Duration::from_secs(1)).await;
            invoke(&fake, &delete).await.unwrap();
            fake.state.borrow().buckets.clone()
        };
        let (created, then) = join!(invoke(&fake, &create), deleting);
        created.unwrap();
        let slow = &undisturbed.calls.borrow()[slow];
        assert_eq!(fake.state.borrow().buckets, then, "{slow}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_create_that_stopped_anywhere_and_is_refused_when_redelivered_can_be_deleted() {
    let undisturbed = Fake::new(two_buckets());
    answer(&undisturbed, &request("Create", 0, None, json!({}))).await;
    let calls = undisturbed.calls.borrow().len();
    let mut trials = 0;
    for index in 0..calls {
        for fault in [Fault::AnswerLost, Fault::Panic, Fault::Refused("AccessDenied", Retry::Never)]
        {
            let fake = Fake::new(two_buckets());
            fake.fail_call(index, fault);
            // Its answer does not arrive, as if the function was killed.
            fake.answer_failures.borrow_mut().push(Retry::Never);
            invoke(&fake, &request("Create", 0, None, json!({}))).await.unwrap_err();
            fake.state.borrow_mut().leases.clear();
            let before = fake.state.borrow().clone();
            // The redelivered request is refused now.
            fake.state.borrow_mut().keys.remove(REPLICA_KEY);
            let refused = answer(&fake, &request("Create", 0, None, json!({}))).await;
            assert_eq!(refused["Status"], "FAILED", "{fault:?} in call {index}");
            let id = refused["PhysicalResourceId"].as_str().unwrap().to_owned();
            let made_something =
                before.roles != two_buckets().roles || !before.rules("demo-source").is_empty();
            assert!(!made_something || id != NOTHING_CREATED, "{fault:?} in call {index}");
            let deleted = answer(&fake, &request("Delete", 20, Some(&id), json!({}))).await;
            assert_eq!(deleted["Status"], "SUCCESS", "{deleted}");
            assert!(!has_rule_and_role(&fake), "{fault:?} in call {index}");
            trials += 1;
        }
    }
    print_count(trials, "Creates that stopped, were refused when redelivered, and deleted");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_without_a_table_an_old_create_that_is_refused_may_have_been_delivered_before()
{
    let without_table = Settings { lock_table: None, ..settings() };
    for (seconds_ago, id) in [(0, NOTHING_CREATED), (90, "demo-source/")] {
        let fake = Fake::new(two_buckets());
        fake.state.borrow_mut().keys.remove(REPLICA_KEY);
        let create = create_verified(seconds_ago, json!({"Verify": "false"}));
        let refused = answer_with(&fake, &create, &without_table).await;
        assert_eq!(refused["Status"], "FAILED");
        assert!(refused["PhysicalResourceId"].as_str().unwrap().starts_with(id), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_create_that_is_refused_at_once_leaves_no_outcome() {
    let fake = Fake::new(two_buckets());
    let misspelt = request("Create", 0, None, json!({"DestinationBucket": "misspelt"}));
    assert_eq!(answer(&fake, &misspelt).await["PhysicalResourceId"], NOTHING_CREATED);
    let outcomes: Vec<_> =
        fake.generations.borrow().values().map(|recorded| recorded.outcome).collect();
    assert_eq!(outcomes, [None]);
}

#[tokio::test(start_paused = true)]
async fn invariant_11_cleanup_that_is_denied_fails() {
    let fake = Fake::new(two_buckets());
    create_unanswered(&fake, &request("Create", 0, None, json!({}))).await;
    fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().owner =
        "444455556666".to_owned();
    let delete = request("Delete", 5, Some(IDS_OF_OTHERS[0]), json!({}));
    assert_eq!(answer(&fake, &delete).await["Status"], "FAILED");
}

/// The Update that rolls back to bucket `demo-source` from `other`.
fn rollback(minute: u32, other: &str) -> Value {
    let own_id = format!("demo-source/{CUSTOM_RULE}");
    let mut update = request("Update", minute, Some(&own_id), json!({}));
    update["OldResourceProperties"]["SourceBucket"] = json!(other);
    update
}

#[tokio::test(start_paused = true)]
async fn invariant_4_rollback_touches_the_other_bucket_only_if_its_update_may_have_changed_it() {
    let own_id = format!("demo-source/{CUSTOM_RULE}");
    // The other bucket was named by mistake.
    let fake = Fake::new(two_buckets());
    answer(&fake, &request("Create", 0, None, json!({}))).await;
    fake.clear();
    let answered = answer(&fake, &rollback(5, "prod-orders")).await;
    assert_eq!(answered["Status"], "SUCCESS");
    assert!(answered["Reason"].as_str().unwrap().contains("`prod-orders`"), "{answered}");
    let calls = fake.calls.take();
    assert!(!calls.iter().any(|call| call.resource == "bucket `prod-orders`"), "{calls:?}");

    // The Update to the other bucket stopped midway.
    let moved = request("Update", 6, Some(&own_id), json!({"SourceBucket": "prod-orders"}));
    for denied in [false, true] {
        let fake = Fake::new(two_buckets());
        answer(&fake, &request("Create", 0, None, json!({}))).await;
        fake.refuse("PutBucketReplication", 1, "MalformedXML", Retry::Never);
        assert_eq!(answer(&fake, &moved).await["Status"], "FAILED");
        assert!(fake.state.borrow().roles.contains_key("s3-crr-prod-orders"));
        if denied {
            fake.refuse("DeleteRolePolicy", usize::MAX, "AccessDenied", Retry::Never);
        }
        let answered = answer(&fake, &rollback(7, "prod-orders")).await;
        assert_eq!(answered["Status"], if denied { "FAILED" } else { "SUCCESS" });
        assert_eq!(fake.state.borrow().roles.contains_key("s3-crr-prod-orders"), denied);
        assert!(has_rule_and_role(&fake));
    }
}
