//! The partition that the ARNs of the properties name.

use super::{Invalid, KeyReference, Properties};

/// Refuses ARNs of different partitions: S3 replicates only within a partition.
pub(super) fn check(properties: &Properties, replica_key: &KeyReference) -> Result<(), Invalid> {
    let single = [
        ("DestinationBucket", &properties.destination_bucket),
        ("DestinationRoleArn", &properties.destination_role_arn),
        ("AlarmTopicArn", &properties.alarm_topic_arn),
        ("ReportBucket", &properties.report_bucket),
    ];
    let single =
        single.into_iter().filter_map(|(property, value)| Some((property, value.as_ref()?)));
    let keys = properties.source_kms_key_arns.iter().flatten();
    let partition = replica_key.partition();
    for (property, value) in single.chain(keys.map(|key| ("SourceKmsKeyArns", key))) {
        if let Some(other) = partition_of(value).filter(|other| *other != partition) {
            return Err(Invalid::new(
                property,
                format!(
                    "has `{value}` of the partition `{other}`, but `ReplicaKmsKeyArn` is of `{partition}`; all must be of the account's partition"
                ),
            ));
        }
    }
    Ok(())
}

/// The partition in an ARN; `None` for a text that is not an ARN.
fn partition_of(text: &str) -> Option<&str> {
    text.strip_prefix("arn:").and_then(|rest| rest.split(':').next())
}
