//! The rounds of each flow: the calls of a round are sent at once, and the next round waits for their answers. A flow takes as long as its
//! rounds, so a flow that gets longer fails here.
//!
//! What [`Read::role`](s3_kms_replication::ports::Read::role) sends together counts as one `GetRole`; connecting is not counted.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::*;

/// What a function that has just started sends, round by round, to do what is asked; and what AWS holds then.
async fn rounds(state: State, payload: &Value) -> (String, State) {
    let fake = Fake::new(state);
    fake.record_times();
    invoke(&fake, payload).await.unwrap();
    (fake.rounds(), fake.state.take())
}

/// The event of a bucket that one rule of the policy matches.
fn created_bucket() -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!("prod-bills");
    event
}

fn with_new_bucket() -> State {
    two_buckets().with_bucket("prod-bills", Bucket::new("us-east-1").encrypted_with(SOURCE_KEY))
}

fn requested(request_type: &str, changes: Value, second: u32) -> Value {
    signed(custom_resource(request_type, changes), &format!("20261122T1200{second:02}Z"))
}

/// Two buckets of which the first is configured as the custom resource asks.
async fn created() -> State {
    rounds(two_buckets(), &requested("Create", json!({}), 0)).await.1
}

#[tokio::test(start_paused = true)]
async fn new_bucket_takes_the_recorded_rounds() {
    let replica = Bucket::new("us-west-2").tagged("s3-kms-replication", "prod-bills");
    let state = with_new_bucket().with_bucket("prod-bills-replica", replica);
    let (sent, state) = rounds(state, &created_bucket()).await;
    assert_snapshot!("new_bucket", sent);
    let (sent, _) = rounds(state, &created_bucket()).await;
    assert_snapshot!("new_bucket_again", sent);
}

#[tokio::test(start_paused = true)]
async fn new_bucket_with_a_created_destination_takes_the_recorded_rounds() {
    let (sent, _) = rounds(with_new_bucket(), &created_bucket()).await;
    assert_snapshot!("new_bucket_and_destination", sent);
}

#[tokio::test(start_paused = true)]
async fn create_takes_the_recorded_rounds() {
    let (sent, _) = rounds(two_buckets(), &requested("Create", json!({}), 0)).await;
    assert_snapshot!("create", sent);
}

#[tokio::test(start_paused = true)]
async fn update_takes_the_recorded_rounds() {
    let (sent, state) =
        rounds(created().await, &requested("Update", json!({"Prefix": "Vat"}), 1)).await;
    assert_snapshot!("update", sent);
    let (sent, _) = rounds(state, &requested("Update", json!({"Prefix": "Vat"}), 2)).await;
    assert_snapshot!("update_again", sent);
}

#[tokio::test(start_paused = true)]
async fn delete_takes_the_recorded_rounds() {
    let (sent, _) = rounds(created().await, &requested("Delete", json!({}), 1)).await;
    assert_snapshot!("delete", sent);
}
