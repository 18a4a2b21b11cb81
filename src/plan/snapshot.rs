//! What plans are made from: the state of AWS, as it was read.

use crate::iam_policy::PolicyDocument;
use crate::model::{
    Alarm, ApiError, BucketName, Encryption, Identity, Job, Key, Location, OWNER_TAG, PolicyName,
    PolicyTarget, ReplicationConfiguration, Role, RuleAddress, Versioning,
};

/// What a plan for a rule that should exist is made from.
#[derive(Debug, Clone)]
pub struct ApplySnapshot {
    /// Whose credentials are in use.
    pub identity: Identity,
    /// The source bucket.
    pub source: Source,
    /// The destination bucket; `None` when there is none.
    pub destination: Option<Destination>,
    /// The replica key; `None` when there is none.
    pub replica_key: Option<Key>,
    /// The source keys that were given or found, each as it was asked for; `None` for one that does not exist.
    pub source_keys: Vec<(String, Option<Key>)>,
    /// The roles that could serve the bucket.
    pub roles: Roles,
    /// The rule's alarm; `None` when it has none.
    pub alarm: Option<Alarm>,
    /// What of the destination's account was not to be seen, since no role is known that could.
    pub denied_reads: Vec<ApiError>,
    /// The policies in the destination's account that may have statements of the rule, where a role is known that may change them.
    pub policies: Vec<TargetPolicy>,
    /// The rule's job, as long as it has rights; `None` when there is none.
    pub job: Option<Job>,
    /// Whether a bucket for the report on the objects that are there already was looked for and not found.
    pub report_missing: bool,
}

/// The policy of a bucket or a key, as observed.
#[derive(Debug, Clone)]
pub struct TargetPolicy {
    /// What it target_policies.
    pub target: PolicyTarget,
    /// The policy, as JSON text; `None` when there is none.
    pub policy: Option<String>,
}

/// The source bucket, as observed.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub location: Location,
    /// Its versioning.
    pub versioning: Versioning,
    /// Whether it has S3 Object Lock.
    pub object_lock: bool,
    /// Its replication configuration.
    pub replication: Option<ReplicationConfiguration>,
}

/// The destination bucket, as observed.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where it is.
    pub location: Location,
    /// Its versioning.
    pub versioning: Versioning,
    /// Whether it has S3 Object Lock.
    pub object_lock: bool,
    /// What a bucket that was created here, for this source, is kept to; `None` for any other.
    pub created: Option<Created>,
}

/// The settings of a destination bucket that was created here.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its default encryption.
    pub encryption: Encryption,
    /// Whether all public access is blocked.
    pub public_access_blocked: bool,
}

/// The roles that could serve a bucket, as observed.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The role that has the name of ours.
    pub named_ours: Option<Role>,
    /// The role that the replication configuration names, when that is another.
    pub serving: Option<Role>,
}

/// What a plan to remove a rule is made from.
#[derive(Debug, Clone)]
pub struct DeleteSnapshot {
    /// Where the source bucket is, and its replication configuration; `None` when the bucket is gone.
    pub source: Option<(Location, Option<ReplicationConfiguration>)>,
    /// The roles that could serve the bucket.
    pub roles: Roles,
    /// The rule's alarm; `None` when it has none.
    pub alarm: Option<Alarm>,
    /// The policies in the destination's account that may have statements of the rule.
    pub policies: Vec<TargetPolicy>,
    /// The rule's job, as long as it has rights; `None` when there is none.
    pub job: Option<Job>,
}

impl Roles {
    /// The role that is ours for `source`: by name and by tag.
    pub(super) fn ours(&self, source: &BucketName) -> Option<&Role> {
        let is_ours =
            |role: &&Role| role.tags.get(OWNER_TAG).is_some_and(|bucket| bucket == source.as_str());
        self.named_ours.as_ref().filter(is_ours)
    }

    /// What the rule's inline policies grant, in whichever of the roles.
    pub fn grants(&self, rule: &RuleAddress) -> Vec<PolicyDocument> {
        let names = [PolicyName::of_rule(&rule.id), PolicyName::in_foreign_role(rule)];
        let roles = self.named_ours.iter().chain(&self.serving);
        let texts =
            roles.flat_map(|role| names.iter().filter_map(|name| role.policies.get(name.as_str())));
        texts.filter_map(|text| PolicyDocument::parse(text)).collect()
    }

    /// The role with this ARN, whosever it is.
    pub(super) fn with_arn(&self, arn: &str) -> Option<&Role> {
        self.serving.iter().chain(&self.named_ours).find(|role| role.arn == arn)
    }
}
