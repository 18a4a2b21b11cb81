//! Checks of single properties.
//!
//! It owns the limits of S3 and KMS for each value. It must not know how values depend on each other: [`Spec::new`](super::Spec::new)
//! checks combinations.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::types::StorageClass;

use super::{
    ExistingDestination, ExistingRole, Invalid, Properties, ReplicaOwner, STORAGE_CLASSES,
    SourceKeys,
};
use crate::model::xml::{InvalidCharacter, check_characters};
use crate::model::{Access, Account, BucketName, KeyReference, Region, TopicArn};

/// S3's limit for the prefix of a rule, in characters.
const MAX_PREFIX: usize = 1_024;

/// S3's limit for the tags of an object.
const MAX_TAGS: usize = 10;

/// The most keys whose grants fit into the inline policies of one role: IAM's limit is 10,240 characters, and a key's ARN has at least 75, with
/// quotes and a comma 78.
const MAX_SOURCE_KEYS: usize = 131;

/// Prefix of the tags that only AWS writes. Objects cannot have such tags.
const RESERVED_TAG_PREFIX: &str = "aws:";

fn required<'a>(property: &str, value: &'a Option<String>) -> Result<&'a str, Invalid> {
    value.as_deref().ok_or_else(|| Invalid::new(property, "is required"))
}

/// The source and the destination.
pub(super) fn buckets(properties: &Properties) -> Result<(BucketName, BucketName), Invalid> {
    let source = BucketName::parse(required("SourceBucket", &properties.source_bucket)?)
        .map_err(|problem| Invalid::new("SourceBucket", problem))?;
    let destination = required("DestinationBucket", &properties.destination_bucket)?;
    let destination = BucketName::parse_name_or_arn(destination)
        .map_err(|problem| Invalid::new("DestinationBucket", problem))?;
    if source == destination {
        return Err(Invalid::new(
            "DestinationBucket",
            format!("is the source bucket `{source}`; a bucket cannot replicate to itself"),
        ));
    }
    Ok((source, destination))
}

pub(super) fn replica_key(properties: &Properties) -> Result<KeyReference, Invalid> {
    let given = required("ReplicaKmsKeyArn", &properties.replica_kms_key_arn)?;
    let key =
        KeyReference::parse(given).map_err(|problem| Invalid::new("ReplicaKmsKeyArn", problem))?;
    if key.is_aws_managed_alias() {
        return Err(Invalid::new(
            "ReplicaKmsKeyArn",
            format!(
                "is `{given}`, an alias of an AWS managed key, whose policy cannot be given grants; use a customer managed key"
            ),
        ));
    }
    Ok(key)
}

pub(super) fn destination_region(
    properties: &Properties,
    replica_key: &KeyReference,
) -> Result<Region, Invalid> {
    let Some(given) = &properties.destination_region else {
        return Ok(replica_key.region().clone());
    };
    let region =
        Region::parse(given).map_err(|problem| Invalid::new("DestinationRegion", problem))?;
    if &region != replica_key.region() {
        return Err(Invalid::new(
            "ReplicaKmsKeyArn",
            format!(
                "is a key of {}, but `DestinationRegion` is {region}; S3 needs a key of the destination's Region",
                replica_key.region()
            ),
        ));
    }
    Ok(region)
}

pub(super) fn destination_account(
    properties: &Properties,
    access: &Access,
) -> Result<Option<Account>, Invalid> {
    let given = properties.destination_account.as_deref().map(Account::parse).transpose();
    let given = given.map_err(|problem| Invalid::new("DestinationAccount", problem))?;
    match (given, access.account()) {
        (Some(given), Some(role_account)) if given != *role_account => Err(Invalid::new(
            "DestinationRoleArn",
            format!(
                "is a role of account {role_account}, but `DestinationAccount` is {given}; it must be a role of the destination's account"
            ),
        )),
        (given, role_account) => Ok(given.or_else(|| role_account.cloned())),
    }
}

pub(super) fn replica_owner(properties: &Properties) -> Result<ReplicaOwner, Invalid> {
    match properties.replica_owner.as_deref() {
        None | Some("Source") => Ok(ReplicaOwner::Source),
        Some("Destination") => Ok(ReplicaOwner::Destination),
        Some(other) => Err(Invalid::new(
            "ReplicaOwner",
            format!("is `{other}`; allowed are Source, Destination"),
        )),
    }
}

pub(super) fn source_keys(properties: &Properties) -> Result<SourceKeys, Invalid> {
    let Some(given) = &properties.source_kms_key_arns else {
        return Ok(SourceKeys::BucketDefault);
    };
    if given.is_empty() {
        return Err(Invalid::new(
            "SourceKmsKeyArns",
            "is empty; leave it out to use the bucket's default encryption key",
        ));
    }
    let arns: BTreeSet<&String> = given.iter().collect();
    if arns.len() > MAX_SOURCE_KEYS {
        return Err(Invalid::new(
            "SourceKmsKeyArns",
            format!(
                "has {} keys; the inline policies of an IAM role hold the grants of {MAX_SOURCE_KEYS} at most",
                arns.len()
            ),
        ));
    }
    let keys = arns.into_iter().map(|arn| KeyReference::parse(arn)).collect::<Result<Vec<_>, _>>();
    keys.map(SourceKeys::Given).map_err(|problem| Invalid::new("SourceKmsKeyArns", problem))
}

/// Refuses a character with which S3 could not read the replication configuration.
fn check_xml(property: &str, part: &str, text: &str) -> Result<(), Invalid> {
    check_characters(property, text).map_err(|InvalidCharacter { character, .. }| {
        Invalid::new(
            property,
            format!(
                "has {part} with the character U+{:04X}; S3 takes rules as XML, which cannot hold control characters, U+FFFE and U+FFFF",
                u32::from(character)
            ),
        )
    })
}

pub(super) fn prefix(properties: &Properties) -> Result<String, Invalid> {
    let prefix = properties.prefix.clone().unwrap_or_default();
    check_xml("Prefix", "a value", &prefix)?;
    match prefix.chars().count() {
        0..=MAX_PREFIX => Ok(prefix),
        length => {
            Err(Invalid::new("Prefix", format!("has {length} characters; S3 allows at most 1,024")))
        }
    }
}

pub(super) fn tags(properties: &Properties) -> Result<BTreeMap<String, String>, Invalid> {
    let invalid = |problem| Err(Invalid::new("Tags", problem));
    let tags = properties.tags.clone().unwrap_or_default();
    if tags.len() > MAX_TAGS {
        return invalid(format!("has {} tags; an S3 object has at most {MAX_TAGS}", tags.len()));
    }
    for (key, value) in &tags {
        check_xml("Tags", "a key", key)?;
        check_xml("Tags", "a value", value)?;
        if key.to_ascii_lowercase().starts_with(RESERVED_TAG_PREFIX) {
            return invalid(format!(
                "has the key `{key}`; keys that begin with `{RESERVED_TAG_PREFIX}` are reserved by AWS, and no object has such a tag"
            ));
        }
        if key.is_empty() || key.chars().count() > 128 {
            return invalid(format!("has the key `{key}`; a tag's key has 1 to 128 characters"));
        }
        if value.chars().count() > 256 {
            return invalid(format!("has a value of over 256 characters for the key `{key}`"));
        }
    }
    Ok(tags)
}

pub(super) fn priority(properties: &Properties) -> Result<Option<i32>, Invalid> {
    let check = |given: i64| {
        i32::try_from(given).ok().filter(|priority| *priority >= 0).ok_or_else(|| {
            Invalid::new("Priority", format!("is {given}; allowed are 0 to {}", i32::MAX))
        })
    };
    properties.priority.map(check).transpose()
}

pub(super) fn storage_class(properties: &Properties) -> Result<Option<StorageClass>, Invalid> {
    let Some(given) = &properties.storage_class else {
        return Ok(None);
    };
    if !STORAGE_CLASSES.contains(&given.as_str()) {
        let allowed = STORAGE_CLASSES.join(", ");
        return Err(Invalid::new("StorageClass", format!("is `{given}`; allowed are {allowed}")));
    }
    Ok(Some(StorageClass::from(given.as_str())))
}

pub(super) fn existing_destination(
    properties: &Properties,
) -> Result<ExistingDestination, Invalid> {
    match properties.existing_destination.as_deref() {
        None | Some("Use") => Ok(ExistingDestination::Use),
        Some("Refuse") => Ok(ExistingDestination::Refuse),
        Some(other) => Err(Invalid::new(
            "ExistingDestination",
            format!("is `{other}`; allowed are Use, Refuse"),
        )),
    }
}

pub(super) fn existing_role(properties: &Properties) -> Result<ExistingRole, Invalid> {
    match properties.existing_role.as_deref() {
        None | Some("Refuse") => Ok(ExistingRole::Refuse),
        Some("Extend") => Ok(ExistingRole::Extend),
        Some(other) => {
            Err(Invalid::new("ExistingRole", format!("is `{other}`; allowed are Refuse, Extend")))
        }
    }
}

pub(super) fn alarm_topic(properties: &Properties) -> Result<Option<TopicArn>, Invalid> {
    let topic = properties.alarm_topic_arn.as_deref().map(TopicArn::parse).transpose();
    topic.map_err(|problem| Invalid::new("AlarmTopicArn", problem))
}
