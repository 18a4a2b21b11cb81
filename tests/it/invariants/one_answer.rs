//! Invariant 5: CloudFormation always gets one answer in time.

use std::time::Duration;

use insta::assert_snapshot;
use s3_kms_replication::model::Retry;
use serde_json::json;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_5_cloudformation_gets_one_answer_when_any_call_fails_panics_or_hangs() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    // All but the two after the last write: the read-back, and the release of the lease.
    let calls = undisturbed.calls.borrow().len() - 2;
    for fault in [
        Fault::Refused("AccessDenied", Retry::Never),
        Fault::AnswerLost,
        Fault::Panic,
        Fault::Hangs,
    ] {
        for index in 0..calls {
            let fake = Fake::new(two_buckets());
            fake.fail_call(index, fault);
            let end = Instant::now() + Duration::from_secs(300);
            let answer = create(&fake, json!({})).await;
            // A read-back that failed once is repeated: then all is done.
            let is_done = *fake.state.borrow() == *undisturbed.state.borrow();
            let status =
                if is_done && answer["Status"] == "SUCCESS" { "SUCCESS" } else { "FAILED" };
            assert_eq!(answer["Status"], status, "{fault:?} in call {index}");
            assert!(
                status == "SUCCESS"
                    || answer["Reason"].as_str().is_some_and(|reason| !reason.is_empty()),
                "{fault:?} in call {index}"
            );
            assert!(
                Instant::now() + Duration::from_secs(10) <= end,
                "{fault:?} in call {index} is answered ten seconds before the end"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_answer_at_the_deadline_lists_what_was_done_and_what_was_not() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({})).await;
    let put_role_policy = fake.position("PutRolePolicy");
    let fake = Fake::new(two_buckets());
    fake.fail_call(put_role_policy, Fault::Hangs);
    assert_snapshot!(create(&fake, json!({})).await["Reason"].as_str().unwrap(), @"ran out of time; done: PutBucketVersioning on bucket `demo-destination`, PutBucketVersioning on bucket `demo-source`, CreateRole on role `s3-crr-demo-source`; not done: PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`, PutBucketReplication on bucket `demo-source`");
}

#[tokio::test(start_paused = true)]
async fn invariant_5_invalid_properties_are_answered_without_a_call() {
    let mut reasons = Vec::new();
    for change in [
        json!({"DestinatonBucket": "x"}),
        json!({"SourceBucket": null}),
        json!({"SourceBucket": "Not_A_Bucket"}),
        json!({"SourceBucket": ["demo-source"]}),
        json!({"DestinationBucket": ""}),
        json!({"DestinationBucket": "demo-source"}),
        json!({"DestinationBucket": "arn:aws:s3:::demo-source"}),
        json!({"ReplicaKmsKeyArn": "alias/dr"}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/aws/s3"}),
        json!({"DestinationRegion": "us-west"}),
        json!({"DestinationRegion": "eu-west-1"}),
        json!({"SourceKmsKeyArns": []}),
        json!({"SourceKmsKeyArns": {"a": "b"}}),
        json!({"Prefix": "p".repeat(1_025)}),
        json!({"Tags": "a=b"}),
        json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}),
        json!({"Tags": {"": "b"}}),
        json!({"Tags": {"a": "b"}, "DeleteMarkerReplication": "true"}),
        json!({"Priority": "high"}),
        json!({"Priority": "-1"}),
        json!({"Priority": 1.5}),
        json!({"Metrics": "yes"}),
        json!({"StorageClass": "ICE"}),
        json!({"ExistingRole": "Replace"}),
        json!({"Verify": "yes"}),
        json!({"Verify": "true", "Prefix": "p".repeat(1_000)}),
        json!({"ReplicateExistingObjects": true}),
        json!({"ReportBucket": "reports"}),
        json!({"ReplicateExistingObjects": true, "ReportBucket": "reports", "ReportPrefix": "été"}),
        json!({"ServiceTimeout": "18446744073709551615"}),
        json!({"ServiceTimeout": "soon"}),
    ] {
        let fake = Fake::new(two_buckets());
        let answer = create(&fake, change).await;
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(fake.calls.borrow().len(), 0, "nothing is called");
        reasons.push(answer["Reason"].as_str().unwrap().to_owned());
        let deleted = {
            let mut request = sample("cloudformation-delete");
            request["PhysicalResourceId"] = answer["PhysicalResourceId"].clone();
            fake.answers.borrow_mut().clear();
            invoke(&fake, &request).await.unwrap();
            only_answer(&fake)
        };
        assert_eq!(
            deleted["Status"], "SUCCESS",
            "the Delete that follows a failed Create succeeds"
        );
    }
    assert_snapshot!(reasons.join("\n"));
}
