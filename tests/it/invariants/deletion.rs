//! Invariant 4: Delete removes what Create made and nothing else.

use std::collections::BTreeMap;

use s3_kms_replication::model::{Retry, Versioning};
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_removes_what_create_made_and_nothing_else() {
    let before = two_buckets();
    let fake = Fake::new(before.clone());
    create(&fake, json!({})).await;
    delete(&fake).await;
    let mut expected = before;
    for name in ["demo-source", "demo-destination"] {
        expected.bucket_mut(name).versioning = Versioning::Enabled;
    }
    assert_eq!(*fake.state.borrow(), expected, "versioning stays, all else is as before");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_keeps_the_role_while_another_rule_uses_it() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    invoke(&fake, &sample("command-apply")).await.unwrap();
    delete(&fake).await;
    assert_eq!(fake.state.borrow().roles["s3-crr-demo-source"].policies.len(), 1);

    let configuration = fake.state.borrow().buckets["demo-source"].replication.clone().unwrap();
    let configuration = configuration.with_rule(&foreign_rule("theirs", 9));
    fake.state.borrow_mut().bucket_mut("demo-source").replication = Some(configuration);
    let answer = invoke(&fake, &sample("command-delete")).await.unwrap();
    assert_eq!(
        answer["Kept"],
        json!([
            "the other rules, unchanged and in order: `theirs`",
            "role `s3-crr-demo-source`: it has or serves rule `theirs`"
        ])
    );
    assert!(fake.state.borrow().roles.contains_key("s3-crr-demo-source"));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_bucket_that_seems_missing_once_keeps_its_role() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    let before = fake.state.borrow().clone();
    let bucket = fake.state.borrow_mut().buckets.remove("demo-source").unwrap();
    let appears = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        fake.state.borrow_mut().buckets.insert("demo-source".to_owned(), bucket);
    };
    let (answer, ()) = tokio::join!(delete(&fake), appears);
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    assert!(answer["Reason"].as_str().unwrap().contains("is not visible yet"), "{answer}");
    assert_eq!(fake.state.borrow().roles, before.roles);
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
    assert!(fake.state.borrow().rules("demo-source").is_empty());
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_succeeds_for_a_missing_bucket_and_fails_when_access_is_denied() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    fake.fail_call(fake.calls.borrow().len() + 1, Fault::Refused("AccessDenied", Retry::Never));
    assert_eq!(delete(&fake).await["Status"], "FAILED");
    fake.state.borrow_mut().buckets.remove("demo-source");
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
    assert_eq!(fake.state.borrow().roles, BTreeMap::new());
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_of_an_id_that_is_not_ours_succeeds_without_writes() {
    let before = with_foreign_rules(OWN_ROLE);
    for id in [
        "demo-Replication-1ABCDEF",
        "nothing-was-created",
        "demo-source/theirs-a",
        "demo-source",
        "/",
        "",
    ] {
        let fake = Fake::new(before.clone());
        let mut request = custom_resource("Delete", json!({"Prefix": ["nonsense"]}));
        request["PhysicalResourceId"] = json!(id);
        invoke(&fake, &request).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "SUCCESS", "{id}");
        assert_eq!(fake.writes(), [], "{id}");
        assert_eq!(*fake.state.borrow(), before, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_of_a_refused_create_succeeds_when_the_bucket_is_not_readable() {
    let fake = Fake::new(two_buckets());
    fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().owner =
        "444455556666".to_owned();
    let created = create(&fake, json!({})).await;
    assert_eq!(
        (&created["Status"], &created["PhysicalResourceId"]),
        (&json!("FAILED"), &json!("nothing-was-created"))
    );
    let mut request = custom_resource("Delete", json!({}));
    request["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
    fake.answers.borrow_mut().clear();
    invoke(&fake, &request).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_update_to_another_bucket_keeps_the_old_rule_until_its_id_is_deleted() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    for (dry_run, id) in [("true", "demo-source"), ("false", "prod-orders")] {
        let mut update =
            custom_resource("Update", json!({"SourceBucket": "prod-orders", "DryRun": dry_run}));
        update["OldResourceProperties"]["SourceBucket"] = json!("demo-source");
        fake.answers.borrow_mut().clear();
        invoke(&fake, &update).await.unwrap();
        assert_eq!(
            only_answer(&fake)["PhysicalResourceId"],
            json!(format!("{id}/s3-kms-replication.demo-Replication-a6e2a683"))
        );
        assert!(fake.state.borrow().buckets["demo-source"].replication.is_some());
    }
    delete(&fake).await;
    let state = fake.state.borrow();
    assert!(
        state.buckets["demo-source"].replication.is_none()
            && state.buckets["prod-orders"].replication.is_some()
    );
}
