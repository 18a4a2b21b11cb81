//! Invariant 1: the rule is written last and deleted first.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_1_rule_is_written_last_and_deleted_first() {
    let fake = Fake::new(two_buckets());
    assert_eq!(create(&fake, json!({})).await["Status"], "SUCCESS");
    assert_snapshot!(lines(&fake.writes()), @r"
    PutBucketVersioning on bucket `demo-destination`
    PutBucketVersioning on bucket `demo-source`
    CreateRole on role `s3-crr-demo-source`
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    PutBucketReplication on bucket `demo-source`
    ");
    fake.calls.borrow_mut().clear();
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
    assert_snapshot!(lines(&fake.writes()), @r"
    DeleteBucketReplication on bucket `demo-source`
    DeleteRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    DeleteRole on role `s3-crr-demo-source`
    ");
}

#[tokio::test(start_paused = true)]
async fn invariant_1_created_destination_is_configured_before_the_rule_is_written() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
    assert_snapshot!(lines(&fake.writes()), @r"
    CreateBucket on bucket `prod-orders-replica`
    PutBucketVersioning on bucket `prod-orders`
    CreateRole on role `s3-crr-prod-orders`
    PutBucketVersioning on bucket `prod-orders-replica`
    PutBucketEncryption on bucket `prod-orders-replica`
    PutPublicAccessBlock on bucket `prod-orders-replica`
    PutRolePolicy on inline policy `s3-kms-replication.dr` of role `s3-crr-prod-orders`
    PutBucketReplication on bucket `prod-orders`
    ");
}

#[tokio::test(start_paused = true)]
async fn invariant_1_changed_rule_keeps_its_earlier_grants_until_it_is_written() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    fake.calls.borrow_mut().clear();
    invoke(&fake, &custom_resource("Update", json!({"Prefix": "Bills"}))).await.unwrap();
    assert_snapshot!(lines(&fake.writes()), @r"
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    PutBucketReplication on bucket `demo-source`
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    ");
    let policy =
        fake.state.borrow().roles["s3-crr-demo-source"].policies.values().next().unwrap().clone();
    assert!(policy.contains("Bills*") && !policy.contains("Tax*"));
}
