//! Policies of the two buckets. `example-bucket-policies.html`, `reference_policies_elements_principal.html`.

use super::*;

const ALGORITHM: &str = "s3:x-amz-server-side-encryption";
const KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";

#[tokio::test]
async fn policies_of_buckets_decide_as_aws_documents() {
    assert_cases(&working().await, conditions().chain(principals()), &Access::Own).await;
}

fn conditions() -> impl Iterator<Item = Case> {
    [
        works("denies without TLS", |state| {
            let condition = json!({"Bool": {"aws:SecureTransport": "false"}});
            let on = |bucket: &str| [bucket.to_owned(), format!("{bucket}/*")];
            let denial =
                |bucket: &str| json!({"Resource": on(bucket), "Condition": condition.clone()});
            source_denies(state, denial("arn:aws:s3:::demo-source"));
            destination_denies(state, denial("arn:aws:s3:::demo-destination"));
        }),
        works("denies PutObject without KMS", |state| {
            let condition = json!({"StringNotEquals": {ALGORITHM: "aws:kms"}});
            destination_denies(state, json!({"Action": "s3:PutObject", "Condition": condition}));
        }),
        // With IfExists, `StringNotEquals` also holds for a call that has no such header.
        fails("denies another replica key", |state| {
            let other = "arn:aws:kms:us-west-2:111122223333:key/other";
            let condition = json!({"StringNotEqualsIfExists": {KEY: other}});
            destination_denies(state, json!({"Condition": condition}));
        })
        .finding(DestinationBucketPolicyDenies, FailsNow),
        works("denies what says another key", |state| {
            let condition = json!({"StringNotEquals": {KEY: REPLICA_KEY}, "Null": {KEY: "false"}});
            destination_denies(state, json!({"Condition": condition}));
        }),
        fails("denies what reads without a header of writes", |state| {
            let condition = json!({"StringNotEquals": {ALGORITHM: "aws:kms"}});
            source_denies(state, json!({"Condition": condition}));
        })
        .finding(SourceBucketPolicyDenies, FailsNow),
        works("denies buckets of other accounts", |state| {
            let condition = json!({"StringNotEquals": {"s3:ResourceAccount": ACCOUNT}});
            add_statement(state, &deny(json!({"Action": "s3:*", "Condition": condition})));
        }),
    ]
    .into_iter()
}

fn principals() -> impl Iterator<Item = Case> {
    [
        fails("denies the account", |state| {
            let readers = json!({"Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject*"});
            source_denies(state, readers);
        })
        .finding(SourceBucketPolicyDenies, FailsNow),
        works("denies the service, which only assumes the role", |state| {
            source_denies(state, json!({"Principal": {"Service": "s3.amazonaws.com"}}));
        }),
        fails("denies all but services", |state| {
            let condition = json!({"Bool": {"aws:PrincipalIsAWSService": "false"}});
            source_denies(state, json!({"Condition": condition}));
        })
        .finding(SourceBucketPolicyDenies, FailsNow),
        unknown("denies all but the unique id of a role", |state| {
            let condition = json!({"StringNotLike": {"aws:userid": "AROAEXAMPLE:*"}});
            source_denies(state, json!({"Condition": condition}));
        }),
        works("bucket policy gives what the role lacks", |state| {
            edit_policy(state, "s3:GetObjectVersionForReplication", "s3:GetObject");
            let gives = allow(json!({
                "Principal": {"AWS": OWN_ROLE},
                "Action": "s3:GetObjectVersion*",
                "Resource": "arn:aws:s3:::demo-source/*",
            }));
            bucket_policy(state, "demo-source", gives);
        }),
    ]
    .into_iter()
}
