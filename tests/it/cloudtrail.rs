//! CloudTrail's events as they really are: with fields left out, and from sources that are not S3.

use serde_json::{Value, json};

use crate::support::*;

fn case() -> Value {
    serde_json::from_str(include_str!("cases/request_parameters_omitted.json")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_request_parameters_omitted_takes_the_bucket_from_the_resources() {
    let case = case();
    let policy = case["policy"].to_string();
    let settings = environment(&[("REPLICATION_POLICY", &policy)]);
    for parameters in [case["events"][0]["detail"]["requestParameters"].clone(), Value::Null] {
        let state = State::default()
            .with_bucket("orders", Bucket::new("us-east-1").encrypted_with(SOURCE_KEY))
            .with_bucket("orders-replica", Bucket::new("us-west-2"))
            .with_key(SOURCE_KEY)
            .with_key(REPLICA_KEY);
        let fake = Fake::new(state);
        let mut event = case["events"][0].clone();
        event["detail"]["requestParameters"] = parameters;
        let answer = invoke_with(&fake, &event, &settings).await.unwrap();
        assert_eq!(answer["SourceBucket"], "orders");
        assert_eq!(fake.state.borrow().rules("orders").len(), 1, "{answer}");
    }
}

/// The events that can change a bucket's replication.
const RELEVANT: [&str; 11] = [
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketEncryption",
    "DeleteBucketReplication",
    "DeleteBucketTagging",
    "PutBucketEncryption",
    "PutBucketReplication",
    "PutBucketTagging",
    "PutBucketVersioning",
    "TagResource",
    "UntagResource",
];

#[tokio::test(start_paused = true)]
async fn invariant_11_relevant_event_without_a_bucket_is_an_error_and_never_skipped() {
    let other_resources = json!([{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::orders/key"}]);
    let mut errors = 0;
    for name in RELEVANT {
        for parameters in [
            Value::Null,
            json!({}),
            json!({"omitted": true, "originalSize": 143_360}),
            json!({"bucketName": ""}),
            json!({"bucketName": null}),
            json!({"bucketName": 5}),
            json!("omitted"),
        ] {
            for resources in [Value::Null, json!([]), other_resources.clone()] {
                let mut event = case()["events"][0].clone();
                event["detail"]["eventName"] = json!(name);
                event["detail"]["requestParameters"] = parameters.clone();
                event["detail"]["resources"] = resources;
                let fake = Fake::new(two_buckets());
                assert!(invoke(&fake, &event).await.is_err(), "{event}");
                // From the queue, the message fails, and the queue keeps it.
                let batch = json!({"Records": [{"messageId": "1", "body": event.to_string(), "eventSource": "aws:sqs"}]});
                let answer = invoke(&fake, &batch).await.unwrap();
                assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "1", "{event}");
                errors += 1;
            }
        }
    }
    let mut job = job_status_changed("id", "Complete");
    for details in [Value::Null, json!({}), json!({"jobId": "id"}), json!({"omitted": true})] {
        job["detail"]["serviceEventDetails"] = details;
        assert!(invoke(&Fake::new(two_buckets()), &job).await.is_err(), "{job}");
        errors += 1;
    }
    print_count(errors, "events that name no bucket or job were errors");
}

#[tokio::test(start_paused = true)]
async fn event_of_another_source_than_s3_is_skipped_without_a_call() {
    for sample_name in
        ["create-bucket", "delete-bucket", "put-bucket-tagging", "job-status-changed"]
    {
        for source in
            [json!("aws.s3express"), json!("my.app"), json!("AWS.S3"), json!(""), Value::Null]
        {
            let mut event = sample(sample_name);
            event["source"] = source.clone();
            let fake = Fake::new(two_buckets());
            let answer = invoke(&fake, &event).await.unwrap();
            assert!(answer["Skipped"].as_str().unwrap().contains("aws.s3"), "{source}: {answer}");
            assert_eq!(fake.calls.borrow().len(), 0);
        }
    }
}
