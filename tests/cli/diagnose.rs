//! `diagnose`, on an AWS that answers.

use insta::assert_snapshot;

use super::fake_aws::{Answer, FakeAws, empty_account, missing, ok};
use super::{printed, program};

/// A rule whose role does not exist.
const REPLICATION: &str = "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <Role>arn:aws:iam::111122223333:role/gone</Role><Rule><ID>theirs</ID><Priority>1</Priority><Filter/><Status>Enabled</Status>\
    <Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination></Rule></ReplicationConfiguration>";

const BUCKETS: &str = "<ListAllMyBucketsResult><Buckets><Bucket><Name>orders</Name><BucketRegion>us-east-1</BucketRegion></Bucket>\
    <Bucket><Name>plain</Name><BucketRegion>us-east-1</BucketRegion></Bucket></Buckets></ListAllMyBucketsResult>";

/// An account with bucket `orders`, which replicates to a bucket that does not exist, and bucket `plain`.
fn account(request: &str) -> Option<Answer> {
    let is_of = |bucket: &str| request.contains(&format!("/{bucket}"));
    if request.contains("max-buckets") {
        return ok(BUCKETS);
    }
    match request {
        _ if request.starts_with("HEAD /orders") => ok(""),
        _ if request.contains("?replication") && is_of("orders") => ok(REPLICATION),
        _ if request.contains("?versioning") => {
            ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        }
        _ if request.contains("?encryption") => {
            missing("ServerSideEncryptionConfigurationNotFoundError")
        }
        _ if request.contains("?policy") => missing("NoSuchBucketPolicy"),
        _ if request.contains("?ownershipControls") => missing("OwnershipControlsNotFoundError"),
        _ if request.contains("list-type=2") => ok("<ListBucketResult></ListBucketResult>"),
        _ => empty_account(request),
    }
}

fn diagnose(options: &[&str]) -> String {
    let aws = FakeAws::start(account);
    let mut command = program(&[&["diagnose"], options].concat());
    let printed = printed(command.env("AWS_ENDPOINT_URL", &aws.endpoint));
    let wrote =
        |request: &&String| ["PUT ", "DELETE "].iter().any(|method| request.starts_with(method));
    assert_eq!(aws.requests().iter().find(wrote), None);
    printed
}

#[test]
fn diagnosis_is_printed_with_the_exit_code_of_its_verdict() {
    let text = diagnose(&["--source-bucket", "orders"]);
    assert!(text.ends_with("exit code 4"), "{text}");
    assert_snapshot!("diagnose", text);
    assert_snapshot!("diagnose_json", diagnose(&["--source-bucket", "orders", "--output", "json"]));
}

#[test]
fn diagnose_without_a_bucket_names_both_ways_to_say_which() {
    let printed = printed(&mut program(&["diagnose"]));
    assert!(printed.contains("<--source-bucket <NAME>|--all>"), "{printed}");
    assert!(printed.ends_with("exit code 2"), "{printed}");
}

#[test]
fn diagnosis_of_all_buckets_ends_with_a_table() {
    assert_snapshot!("diagnose_all", diagnose(&["--all"]));
}

#[test]
fn bucket_without_rules_and_missing_bucket_are_told_apart() {
    let missing = diagnose(&["--source-bucket", "nothing"]);
    assert!(missing.contains("`nothing`") && missing.ends_with("exit code 1"), "{missing}");
    let usage = diagnose(&[]);
    assert!(usage.contains("--source-bucket") && usage.ends_with("exit code 2"), "{usage}");
}
