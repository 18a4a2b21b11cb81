//! The nouns of AWS and of this program: names, ARNs, buckets, keys, roles, jobs, and errors of the API.
//!
//! It owns the types, their checks and their text forms. It must not know requests, plans and clients.

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The name as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

mod access;
mod alarm;
mod api_error;
mod arns;
mod bucket;
mod bucket_pattern;
mod encryption_configuration;
mod generation;
mod identity;
mod inspection;
mod job;
mod kms;
mod lease;
mod names;
mod object;
mod optional_right;
mod partition;
mod replication_configuration;
mod response_url;
mod role;
mod rule_names;
pub mod shell;
pub mod xml;

pub use access::{Access, AssumedRole};
pub use alarm::Alarm;
pub use api_error::{ApiError, Retry};
pub use arns::{KeyReference, RoleArn, TopicArn};
pub use bucket::{BucketLocation, Encryption, ListedBucket, ResourcePolicyTarget, Versioning};
pub use bucket_pattern::{BucketPattern, can_match_both};
pub use encryption_configuration::{default_key_only, with_default_key};
pub use generation::{GenerationRecord, OutcomeChange, RecordedRequest, Recording, RequestOutcome};
pub use identity::Identity;
pub use inspection::{
    KeyGrant, ListedObject, ObjectOwnership, ReplicationMetrics, SampledObject, SimulatedCall,
    Simulation,
};
pub use job::{Job, is_final};
pub use kms::Key;
pub use lease::{Acquired, Lease};
pub use names::{Account, BucketName, BucketNamespace, LegacyBucketName, Region};
pub use object::{
    Canary, ListedVersion, ObjectVersion, ReplicationStatus, VersionMarker, Versions, VersionsPage,
};
pub use optional_right::OptionalRight;
pub use partition::{OtherPartition, Partition};
pub use replication_configuration::{
    FilterTag, Metrics, ParseError, ReplicationConfiguration, Rule as ReplicationRule,
    RuleElements, RuleFilter,
};
pub use response_url::{ResponseBucket, ResponseUrl, is_loopback};
pub use role::{Role, RoleOutline, RoleOwner, RoleQuota};
pub use rule_names::{InlinePolicyName, RoleName, RuleAddress, RuleId, hash, is_canary_key};

/// Key of the tag on each role and each destination bucket that this program created. The value is the source bucket's name, or the stack's id
/// on the role of all buckets of a replication policy.
pub const OWNER_TAG: &str = "s3-kms-replication";

/// Key of the tag on a role of ours that must stay for a while although it is replaced: a bucket's role whose rules another role serves, or the
/// role of all buckets with earlier grants. The value is the time until which it stays, in seconds since the epoch.
pub const KEEP_TAG: &str = "s3-kms-replication-keep-until";
