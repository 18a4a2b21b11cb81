//! What is sent as PutBucketReplication.

use aws_sdk_s3::types as sdk;
use aws_smithy_types::base64;
use s3_kms_replication::aws::raw_replication::put;
use s3_kms_replication::model::{Metrics, ReplicationConfiguration, RuleElements};
use sha2::{Digest, Sha256};

use super::{OWNER, ROOT, client, replay};

fn elements() -> RuleElements {
    RuleElements {
        id: "s3-kms-replication.a".to_owned(),
        priority: 3,
        prefix: "a&<b>'\"\n\r".to_owned(),
        tags: vec![("k".to_owned(), "v".to_owned())],
        sse_kms_encrypted_objects: true,
        replica_modifications: true,
        destination_bucket: "arn:aws:s3:::copies".to_owned(),
        destination_account: Some("444455556666".to_owned()),
        owner_override: true,
        storage_class: Some("GLACIER".to_owned()),
        replica_kms_key_id: Some("arn:aws:kms:us-west-2:444455556666:key/1".to_owned()),
        replication_time_minutes: Some(15),
        metrics: Some(Metrics { event_threshold_minutes: Some(15) }),
        delete_marker_replication: true,
    }
}

/// The same rule in the SDK's types.
fn sdk_rule() -> sdk::ReplicationRule {
    let minutes = || sdk::ReplicationTimeValue::builder().minutes(15).build();
    let tag = sdk::Tag::builder().key("k").value("v").build().unwrap();
    let and = sdk::ReplicationRuleAndOperator::builder().prefix("a&<b>'\"\n\r").tags(tag).build();
    let encrypted = sdk::SseKmsEncryptedObjects::builder()
        .status(sdk::SseKmsEncryptedObjectsStatus::Enabled)
        .build()
        .unwrap();
    let modifications = sdk::ReplicaModifications::builder()
        .status(sdk::ReplicaModificationsStatus::Enabled)
        .build()
        .unwrap();
    let destination = sdk::Destination::builder()
        .bucket("arn:aws:s3:::copies")
        .account("444455556666")
        .storage_class(sdk::StorageClass::Glacier)
        .access_control_translation(
            sdk::AccessControlTranslation::builder()
                .owner(sdk::OwnerOverride::Destination)
                .build()
                .unwrap(),
        )
        .encryption_configuration(
            sdk::EncryptionConfiguration::builder()
                .replica_kms_key_id("arn:aws:kms:us-west-2:444455556666:key/1")
                .build(),
        )
        .replication_time(
            sdk::ReplicationTime::builder()
                .status(sdk::ReplicationTimeStatus::Enabled)
                .time(minutes())
                .build()
                .unwrap(),
        )
        .metrics(
            sdk::Metrics::builder()
                .status(sdk::MetricsStatus::Enabled)
                .event_threshold(minutes())
                .build()
                .unwrap(),
        );
    sdk::ReplicationRule::builder()
        .id("s3-kms-replication.a")
        .priority(3)
        .filter(sdk::ReplicationRuleFilter::builder().and(and).build())
        .status(sdk::ReplicationRuleStatus::Enabled)
        .source_selection_criteria(
            sdk::SourceSelectionCriteria::builder()
                .sse_kms_encrypted_objects(encrypted)
                .replica_modifications(modifications)
                .build(),
        )
        .destination(destination.build().unwrap())
        .delete_marker_replication(
            sdk::DeleteMarkerReplication::builder()
                .status(sdk::DeleteMarkerReplicationStatus::Enabled)
                .build(),
        )
        .build()
        .unwrap()
}

fn crc32(bytes: &[u8]) -> String {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    base64::encode((!sum).to_be_bytes())
}

/// Headers that are the same whenever the same is sent, with their values.
fn headers(request: &aws_smithy_runtime_api::http::Request) -> Vec<(String, String)> {
    let random = ["amz-sdk-invocation-id", "user-agent", "x-amz-user-agent"];
    let mut headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.retain(|(name, _)| !random.contains(&name.as_str()));
    headers.sort();
    headers
}

#[tokio::test]
async fn put_sends_the_text_with_its_own_length_checksum_and_signature() {
    let foreign = "<Rule ><ID>theirs</ID><Filter><Not><Prefix>été/</Prefix></Not></Filter><Status>Enabled</Status></Rule>";
    let text = format!(
        "<?xml version=\"1.0\"?>\n{ROOT}<Role>r</Role>\n{foreign}</ReplicationConfiguration>"
    );
    let configuration = ReplicationConfiguration::parse(text.as_bytes())
        .unwrap()
        .with_rule(&elements().into_rule().unwrap());
    // A first try that fails is sent again in the same way.
    let http = replay(&[(503, "<Error><Code>SlowDown</Code></Error>"), (200, "")]);
    put(&client(http.clone(), 2), "orders", OWNER, &configuration).await.unwrap();
    let sent: Vec<_> = http.actual_requests().collect();
    assert_eq!(sent.len(), 2);
    for request in sent {
        let body = request.body().bytes().unwrap();
        assert_eq!(str::from_utf8(body).unwrap(), configuration.to_xml());
        assert!(configuration.to_xml().contains(foreign));
        let header = |name: &str| request.headers().get(name).unwrap();
        assert_eq!(
            (request.method(), request.uri()),
            ("PUT", "https://orders.s3.us-east-1.amazonaws.com/?replication")
        );
        assert_eq!(header("x-amz-expected-bucket-owner"), OWNER);
        assert_eq!(header("content-length"), body.len().to_string());
        assert_eq!(
            (header("x-amz-sdk-checksum-algorithm"), header("x-amz-checksum-crc32")),
            ("CRC32", crc32(body).as_str())
        );
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header("x-amz-content-sha256"), hash);
        let signed = header("authorization");
        assert!(
            signed.contains("content-length;")
                && signed.contains("x-amz-checksum-crc32;")
                && signed.contains("x-amz-content-sha256"),
            "{signed}"
        );
    }
}

#[tokio::test]
async fn put_of_a_built_rule_is_the_request_that_the_sdk_sends_for_it() {
    let configuration = ReplicationConfiguration::new(
        "arn:aws:iam::111122223333:role/r",
        &elements().into_rule().unwrap(),
    )
    .unwrap();
    let http = replay(&[(200, ""), (200, "")]);
    let client = client(http.clone(), 1);
    put(&client, "orders", OWNER, &configuration).await.unwrap();
    let typed = sdk::ReplicationConfiguration::builder()
        .role("arn:aws:iam::111122223333:role/r")
        .rules(sdk_rule())
        .build()
        .unwrap();
    client
        .put_bucket_replication()
        .bucket("orders")
        .expected_bucket_owner(OWNER)
        .replication_configuration(typed)
        .send()
        .await
        .unwrap();
    let sent: Vec<_> = http.actual_requests().collect();
    assert_eq!(
        str::from_utf8(sent[0].body().bytes().unwrap()),
        str::from_utf8(sent[1].body().bytes().unwrap())
    );
    assert_eq!(headers(sent[0]), headers(sent[1]));
    assert_eq!((sent[0].method(), sent[0].uri()), (sent[1].method(), sent[1].uri()));
}
