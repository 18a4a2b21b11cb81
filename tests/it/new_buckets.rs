//! Events about buckets that S3 does not show everywhere yet.

use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

use crate::support::*;

/// The event that bucket `prod-orders` was created that many seconds ago.
fn created(seconds_ago: u64) -> Value {
    let time = DateTime::from_secs(i64::try_from(now() - seconds_ago).unwrap());
    let mut event = sample("create-bucket");
    event["detail"]["eventTime"] = json!(time.fmt(Format::DateTime).unwrap());
    event
}

/// The state without the bucket, and the bucket.
fn without_bucket() -> (State, Bucket) {
    let mut state = two_buckets();
    let bucket = state.buckets.remove("prod-orders").unwrap();
    (state, bucket)
}

#[tokio::test(start_paused = true)]
async fn invariant_11_new_bucket_that_is_not_visible_yet_is_waited_for() {
    let mut waited = 0;
    for visible_after in [0, 1, 10, 60, 100] {
        let (state, bucket) = without_bucket();
        let fake = Fake::new(state);
        let appears = async {
            tokio::time::sleep(Duration::from_secs(visible_after)).await;
            fake.state.borrow_mut().buckets.insert("prod-orders".to_owned(), bucket);
        };
        let event = created(5);
        let (answer, ()) = tokio::join!(invoke(&fake, &event), appears);
        assert!(answer.unwrap()["Rules"].is_array(), "after {visible_after} s");
        assert!(!fake.state.borrow().rules("prod-orders").is_empty(), "after {visible_after} s");
        waited += 1;
    }
    print_count(waited, "times until a new bucket was visible");
}

#[tokio::test(start_paused = true)]
async fn invariant_11_event_about_a_young_bucket_that_stays_invisible_comes_again() {
    let fake = Fake::new(without_bucket().0);
    let error = invoke(&fake, &created(14 * 60)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(
        error.to_string(),
        "bucket `prod-orders` is not visible yet; repeat the request later"
    );
    let batch = json!({"Records": [{"messageId": "1", "body": created(60).to_string(), "eventSource": "aws:sqs"}]});
    let answer = invoke(&fake, &batch).await.unwrap();
    assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "1");
}

#[tokio::test(start_paused = true)]
async fn missing_bucket_is_skipped_when_the_event_is_old_undated_or_of_its_deletion() {
    let mut undated = created(5);
    undated["time"] = json!("yesterday");
    undated["detail"]["eventTime"] = Value::Null;
    for event in [created(15 * 60 + 1), undated] {
        let answer = invoke(&Fake::new(without_bucket().0), &event).await.unwrap();
        assert_eq!(answer["Skipped"], "the bucket does not exist");
    }
    let mut deleted = created(5);
    deleted["detail"]["eventName"] = json!("DeleteBucket");
    let answer = invoke(&Fake::new(without_bucket().0), &deleted).await.unwrap();
    assert!(answer["Retired"].is_object(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn invariant_11_young_bucket_that_s3_denies_once_in_any_call_is_configured_or_comes_again() {
    let undisturbed = Fake::new(two_buckets());
    invoke(&undisturbed, &created(5)).await.unwrap();
    let put = undisturbed.position("PutBucketReplication");
    let mut denied = 0;
    for index in 0..put {
        let call = undisturbed.calls.borrow()[index].clone();
        if call.resource != "bucket `prod-orders`" || call.kind != Kind::Read {
            continue;
        }
        let fake = Fake::new(two_buckets());
        fake.fail_call(
            index,
            Fault::Refused("NoSuchBucket", s3_kms_replication::model::Retry::Never),
        );
        let answer = invoke(&fake, &created(5)).await;
        let is_configured = !fake.state.borrow().rules("prod-orders").is_empty();
        let comes_again = answer.as_ref().is_err_and(|error| error.is_transient());
        assert!(is_configured || comes_again, "{call:?}: {answer:?}");
        denied += 1;
    }
    assert!(denied >= 4, "{denied}");
    print_count(denied, "reads of a young bucket were denied once");
}
