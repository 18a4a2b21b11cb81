//! One table of AWS's partitions: ARNs, `kms:ViaService` and the host of the answer.

use s3_kms_replication::config::Settings;
use serde_json::{Value, json};

use crate::support::*;

/// A Region of each partition, the partition and its DNS suffix.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("us-east-1", "aws", "amazonaws.com"),
    ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
    ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
];

fn key_arn(partition: &str, region: &str, id: &str) -> String {
    format!("arn:{partition}:kms:{region}:{ACCOUNT}:key/{id}")
}

/// A Region of a partition with two buckets, `orders` and `orders-replica`, and their keys.
fn region_with_two_buckets(region: &'static str, settings: &Settings) -> State {
    let name = settings.partition.as_str();
    let (source_key, replica_key) =
        (key_arn(name, region, "source"), key_arn(name, region, REPLICA_KEY_ID));
    State { partition: settings.partition, ..State::default() }
        .with_bucket("orders", Bucket::new(region).encrypted_with(&source_key))
        .with_bucket("orders-replica", Bucket::new(region).versioned())
        .with_key(&source_key)
        .with_key(&replica_key)
}

const REPLICA_KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

#[tokio::test(start_paused = true)]
async fn invariant_5_custom_resource_is_created_and_answered_in_every_partition() {
    for (region, partition, suffix) in PARTITIONS {
        let settings = environment(&[("AWS_REGION", region), ("LOCK_TABLE", "leases")]);
        let fake = Fake::new(region_with_two_buckets(region, &settings));
        let mut request = sample("cloudformation-create");
        request["ResponseURL"] = json!(format!(
            "https://cloudformation-custom-resource-response-{}.s3.{region}.{suffix}/x",
            region.replace('-', "")
        ));
        request["ResourceProperties"] = json!({
            "SourceBucket": "orders",
            "DestinationBucket": format!("arn:{partition}:s3:::orders-replica"),
            "ReplicaKmsKeyArn": key_arn(partition, region, REPLICA_KEY_ID),
        });
        invoke_with(&fake, &request, &settings).await.unwrap();
        let answer = only_answer(&fake);
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        let role_arn =
            format!("arn:{partition}:iam::{ACCOUNT}:role/s3-kms-replication/s3-crr-orders");
        assert_eq!(answer["Data"]["RoleArn"], json!(role_arn));
        let state = fake.state.borrow();
        let policy: Vec<&String> = state.roles["s3-crr-orders"].policies.values().collect();
        assert!(policy[0].contains(&format!("s3.{region}.{suffix}\"")), "{}", policy[0]);
        assert!(policy[0].contains(&format!("\"arn:{partition}:s3:::orders/*\"")), "{}", policy[0]);
    }
    print_count(PARTITIONS.len() as u32, "partitions had a custom resource created");
}

#[tokio::test(start_paused = true)]
async fn case_partition_aws_eusc_is_created_and_answered() {
    let case: Value = serde_json::from_str(include_str!("cases/partition_aws_eusc.json")).unwrap();
    let region = case["env"]["AWS_REGION"].as_str().unwrap();
    let settings = environment(&[("AWS_REGION", region)]);
    let partition = case["caller_identity"].as_str().unwrap().split(':').nth(1).unwrap();
    assert_eq!(settings.partition.as_str(), partition);
    let fake = Fake::new(region_with_two_buckets("eusc-de-east-1", &settings));
    invoke_with(&fake, &case["requests"][0], &settings).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_arn_of_another_partition_is_refused_and_names_the_property() {
    let arns = [
        ("DestinationBucket", json!("arn:aws-cn:s3:::demo-destination")),
        ("DestinationRoleArn", json!("arn:aws-cn:iam::444455556666:role/setup")),
        ("AlarmTopicArn", json!("arn:aws-cn:sns:us-east-1:111122223333:alarms")),
        ("SourceKmsKeyArns", json!([REPLICA_KEY.replace(":aws:", ":aws-cn:")])),
        ("ReplicaKmsKeyArn", json!(REPLICA_KEY.replace(":aws:", ":aws-cn:"))),
        ("ReplicaKmsKeyArn", json!(REPLICA_KEY.replace(":aws:", ":aws-new:"))),
        ("ReplicaKmsKeyArn", json!(REPLICA_KEY.replace(":aws:", ":gcp:"))),
    ];
    let mut reasons = Vec::new();
    for (property, arn) in arns {
        let fake = Fake::new(two_buckets());
        let answer = create(&fake, json!({property: arn})).await;
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["PhysicalResourceId"], "nothing-was-created");
        assert_eq!(fake.writes(), []);
        let reason = answer["Reason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with(&format!("`{property}`")), "{reason}");
        reasons.push(reason);
    }
    let fake = Fake::new(two_buckets());
    let report =
        json!({"ReplicateExistingObjects": "true", "ReportBucket": "arn:aws-cn:s3:::reports"});
    let answer = create(&fake, report).await;
    assert!(answer["Reason"].as_str().unwrap().starts_with("`ReportBucket`"), "{answer}");
    insta::assert_snapshot!(reasons.join("\n"));
}
