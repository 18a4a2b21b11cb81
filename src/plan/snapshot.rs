//! Snapshots: the state of AWS that plans are made from.
//!
//! It must not know how the state is read.

use super::SharedRole;
use super::inline_policy::inline_policy_in_foreign_role;
use crate::iam_policy::RolePolicyDocument;
use crate::model::{
    Alarm, ApiError, BucketLocation, BucketName, Encryption, Identity, InlinePolicyName, Job, Key,
    KeyReference, OWNER_TAG, ReplicationConfiguration, ReplicationRule, ResourcePolicyTarget, Role,
    RuleAddress, Versioning,
};

/// The snapshot for a plan that creates or updates a rule.
#[derive(Debug, Clone)]
pub struct ApplySnapshot {
    /// The account and the partition of the caller.
    pub identity: Identity,
    /// The source bucket.
    pub source: Source,
    /// The destination bucket; `None` if it does not exist.
    pub destination: Option<Destination>,
    /// The replica key; `None` if it does not exist.
    pub replica_key: Option<Key>,
    /// The source keys, each with the id, ARN or alias that it was read by; `None` for a key that does not exist.
    pub source_keys: Vec<(String, Option<Key>)>,
    /// The given source keys of other accounts that AWS denied to read.
    pub unread_source_keys: Vec<KeyReference>,
    /// The roles that could serve the bucket.
    pub roles: Roles,
    /// The role that serves all buckets of the replication policy, if the rule is one of the policy's and `RoleScope` is Policy. It has its grants.
    pub shared_role: Option<SharedRole>,
    /// The rule's alarm; `None` if it does not exist.
    pub alarm: Option<Alarm>,
    /// The reads of the destination's account that AWS denied.
    pub denied_reads: Vec<ApiError>,
    /// The policies in the destination's account that may have statements of the rule and that the caller can change.
    pub resource_policies: Vec<ResourcePolicySnapshot>,
    /// The rule's job, while the job has rights; `None` if it does not exist.
    pub job: Option<Job>,
    /// Whether the bucket for a job's report is needed and does not exist.
    pub report_missing: bool,
    /// Whether a job is to be started and certainly has nothing to replicate.
    pub has_no_versions: bool,
    /// Whether a catch-up looks for what is written before S3 has noticed the rule.
    pub catch_up_follows: bool,
}

/// The snapshot for a plan that starts a job for the objects of a rule that exists.
#[derive(Debug, Clone)]
pub struct JobSnapshot {
    /// The account and the partition of the caller.
    pub identity: Identity,
    /// The source bucket.
    pub location: BucketLocation,
    /// The rule, as S3 has it.
    pub rule: ReplicationRule,
    /// ARN of the role that serves the bucket.
    pub serving: String,
    /// The roles that could serve the bucket.
    pub roles: Roles,
    /// The rule's job, while the job has rights; `None` if it does not exist.
    pub job: Option<Job>,
    /// Whether the bucket for the job's report does not exist.
    pub report_missing: bool,
}

/// The policy of a bucket or a key.
#[derive(Debug, Clone)]
pub struct ResourcePolicySnapshot {
    /// The bucket or key.
    pub target: ResourcePolicyTarget,
    /// The policy, as JSON text; `None` if there is none.
    pub policy: Option<String>,
}

/// The source bucket.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its location.
    pub location: BucketLocation,
    /// Its versioning.
    pub versioning: Versioning,
    /// Whether it has S3 Object Lock.
    pub object_lock: bool,
    /// Its replication configuration.
    pub replication: Option<ReplicationConfiguration>,
}

/// The destination bucket.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its location.
    pub location: BucketLocation,
    /// Its versioning.
    pub versioning: Versioning,
    /// Whether it has S3 Object Lock. Read only for a source with Object Lock, or for a canary.
    pub object_lock: bool,
    /// The settings that a plan repairs, if this program created the bucket for this source; `None` for any other bucket.
    pub created: Option<Created>,
    /// The source bucket for which the bucket's tag says that this program created it; `None` without the tag, or if it was not read.
    pub tagged_for: Option<String>,
}

/// The settings of a destination bucket that this program created.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its default encryption.
    pub encryption: Encryption,
    /// Whether all public access is blocked.
    pub public_access_blocked: bool,
}

/// The roles that could serve a bucket.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The role with the name of our role. The role may be foreign.
    pub with_own_name: Option<Role>,
    /// The role that the replication configuration names, if it is a different role.
    pub serving: Option<Role>,
}

/// The snapshot for a plan that deletes a rule.
#[derive(Debug, Clone)]
pub struct DeleteSnapshot {
    /// The source bucket's location and replication configuration; `None` if the bucket does not exist.
    pub source: Option<(BucketLocation, Option<ReplicationConfiguration>)>,
    /// The roles that could serve the bucket.
    pub roles: Roles,
    /// The rule's alarm; `None` if it does not exist.
    pub alarm: Option<Alarm>,
    /// The policies in the destination's account that may have statements of the rule.
    pub resource_policies: Vec<ResourcePolicySnapshot>,
    /// The rule's job, while the job has rights; `None` if it does not exist.
    pub job: Option<Job>,
}

impl Roles {
    /// Our role for `source`, which has our name and our tag. Whether it is [only ours](super::role::foreign_parts) is another question.
    pub(super) fn own(&self, source: &BucketName) -> Option<&Role> {
        let has_tag =
            |role: &&Role| role.tags.get(OWNER_TAG).is_some_and(|bucket| bucket == source.as_str());
        self.with_own_name.as_ref().filter(has_tag)
    }

    /// The documents of the rule's inline policies in all roles.
    pub fn grants(&self, rule: &RuleAddress) -> Vec<RolePolicyDocument> {
        let roles = self.with_own_name.iter().chain(&self.serving);
        let texts = roles.flat_map(|role| {
            let names =
                [InlinePolicyName::for_rule(&rule.id), inline_policy_in_foreign_role(role, rule)];
            names.into_iter().filter_map(|name| role.policies.get(name.as_str()))
        });
        texts.filter_map(|text| RolePolicyDocument::parse(text)).collect()
    }

    /// The role with this ARN, own or foreign.
    pub(super) fn with_arn(&self, arn: &str) -> Option<&Role> {
        self.serving.iter().chain(&self.with_own_name).find(|role| role.arn == arn)
    }
}
