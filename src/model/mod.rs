//! AWS's nouns: names, ARNs, buckets, keys, roles, jobs, and the errors of its API.
//!
//! This module owns types and their text forms. It must not know requests, plans or clients.

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
    };
}

mod access;
mod api_error;
mod arns;
mod bucket;
mod identity;
mod job;
mod kms;
mod lease;
mod names;
mod object;
mod partition;
mod replication_configuration;
mod response_url;
mod role;
mod rule_names;
pub mod xml;

pub use access::{Access, AssumedRole};
pub use api_error::{ApiError, Retry};
pub use arns::{KeyReference, RoleArn, TopicArn};
pub use bucket::{Encryption, ListedBucket, Location, PolicyTarget, Versioning};
pub use identity::Identity;
pub use job::{Job, is_end};
pub use kms::Key;
pub use lease::{Acquired, Lease};
pub use names::{Account, BucketName, Region};
pub use object::{Canary, ObjectVersion, Replication, Versions};
pub use partition::Partition;
pub use replication_configuration::{
    FilterTag, Metrics, ParseError, ReplicationConfiguration, Rule as ReplicationRule,
    RuleElements, RuleFilter,
};
pub use response_url::{ResponseUrl, is_loopback};
pub use role::{Role, RoleOutline};
pub use rule_names::{PolicyName, RoleName, RuleAddress, RuleId, hash};

mod alarm;
pub use alarm::Alarm;

/// Key of the tag that marks a role, and a destination bucket that was created here, as ours; its value is the source bucket's name.
pub const OWNER_TAG: &str = "s3-kms-replication";
