//! Which requests of a flow wait for which. Its time is that of its rounds: a flow that gets longer is seen here.
//!
//! What [`Cloud::role`](s3_kms_replication::model::Cloud::role) sends together counts as one `GetRole`, and connecting is not counted.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fake::{Bucket, Fake, State};
use crate::*;

/// What a function that has just started sends, round by round, to do what is asked; and what AWS holds then.
async fn rounds(state: State, payload: &Value) -> (String, State) {
    let fake = Fake::of(state);
    fake.sent.replace(Some(Vec::new()));
    ask(&fake, payload).await.unwrap();
    (fake.rounds(), fake.state.take())
}

/// The event of a bucket that one rule of the policy matches.
fn created_bucket() -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!("prod-bills");
    event
}

fn with_new_bucket() -> State {
    let mut state = two_buckets();
    state.buckets.insert("prod-bills".to_owned(), state.buckets["prod-orders"].clone());
    state
}

fn requested(request_type: &str, changes: Value, second: u32) -> Value {
    signed(custom_resource(request_type, changes), &format!("20261122T1200{second:02}Z"))
}

/// Two buckets of which the first is configured as the custom resource asks.
async fn created() -> State {
    rounds(two_buckets(), &requested("Create", json!({}), 0)).await.1
}

#[tokio::test(start_paused = true)]
async fn a_new_bucket_takes_no_more_rounds() {
    let mut state = with_new_bucket();
    state.buckets.insert("prod-bills-replica".to_owned(), Bucket::new("us-west-2"));
    let (sent, state) = rounds(state, &created_bucket()).await;
    assert_snapshot!("new_bucket", sent);
    let (sent, _) = rounds(state, &created_bucket()).await;
    assert_snapshot!("new_bucket_again", sent);
}

#[tokio::test(start_paused = true)]
async fn a_new_bucket_and_its_destination_take_no_more_rounds() {
    let (sent, _) = rounds(with_new_bucket(), &created_bucket()).await;
    assert_snapshot!("new_bucket_and_destination", sent);
}

#[tokio::test(start_paused = true)]
async fn a_create_takes_no_more_rounds() {
    let (sent, _) = rounds(two_buckets(), &requested("Create", json!({}), 0)).await;
    assert_snapshot!("create", sent);
}

#[tokio::test(start_paused = true)]
async fn an_update_takes_no_more_rounds() {
    let (sent, state) =
        rounds(created().await, &requested("Update", json!({"Prefix": "Vat"}), 1)).await;
    assert_snapshot!("update", sent);
    let (sent, _) = rounds(state, &requested("Update", json!({"Prefix": "Vat"}), 2)).await;
    assert_snapshot!("update_again", sent);
}

#[tokio::test(start_paused = true)]
async fn a_delete_takes_no_more_rounds() {
    let (sent, _) = rounds(created().await, &requested("Delete", json!({}), 1)).await;
    assert_snapshot!("delete", sent);
}
