//! The reasons for which a plan or a verification is refused. A refused plan changes nothing.
//!
//! It owns the messages. It must not know which check refuses.

use aws_sdk_kms::types::KeyState;

use super::rules::list_rules;
use crate::iam_policy::Statement;
use crate::model::xml::InvalidCharacter;
use crate::model::{
    Account, BucketName, LegacyBucketName, Region, ReplicationConfiguration, RoleName, RuleAddress,
    RuleId, Versioning,
};

/// A precondition that is not met and that this program may not or cannot meet, with the remedy if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message explains its fields")]
pub enum Refusal {
    #[error("source bucket `{bucket}` does not exist, or not in this account")]
    SourceMissing { bucket: BucketName },

    #[error(
        "`DestinationBucket` `{bucket}` does not exist; create it, or set `CreateDestinationBucket` to true"
    )]
    DestinationMissing { bucket: BucketName },

    #[error(
        "`DestinationBucket` `{bucket}` is in {region}, but `ReplicaKmsKeyArn` is `{key}`; S3 needs a key of the destination's Region"
    )]
    DestinationInOtherRegion { bucket: BucketName, region: Region, key: String },

    #[error(
        "`CreateDestinationBucket` of `{bucket}` in account {account} needs `DestinationRoleArn`, a role of that account"
    )]
    DestinationOutOfReach { bucket: BucketName, account: Account },

    #[error(
        "bucket `{bucket}` has a name from before March 2018; such buckets are not supported: exclude it with `ExcludeBucketNames`, or replicate it by other means"
    )]
    LegacyName { bucket: LegacyBucketName },

    #[error(
        "`DestinationBucket` `{bucket}` exists and was not created for bucket `{source_bucket}`, so its objects could be replaced; set `ExistingDestination` to Use to replicate to it all the same"
    )]
    DestinationExists { bucket: BucketName, source_bucket: BucketName },

    #[error("`DestinationBucket` {problem}; give it another name, or create it first")]
    DestinationNotCreatable { problem: String },

    #[error(
        "versioning of `DestinationBucket` `{bucket}` is {versioning:?}, which only account {account} can change: enable it there, or set `DestinationRoleArn`"
    )]
    DestinationNotVersioned { bucket: BucketName, account: Account, versioning: Versioning },

    #[error(
        "the destination cannot be read from this account: {}; set `DestinationRoleArn`, or name the account in the template's `DestinationAccounts` and have these statements added there: {}",
        .failures.join("; "),
        texts(.statements)
    )]
    DestinationNotReadable { failures: Vec<String>, statements: Vec<StatementToAdd> },

    #[error(
        "the policy of {target} would have {size} bytes with the statement of this rule; AWS allows {limit}: use fewer rules (while a rule changes, its earlier statement counts, too)"
    )]
    ResourcePolicyTooLong { target: String, size: usize, limit: usize },

    #[error("the policy of {target} is not valid; correct it first")]
    UnreadableResourcePolicy { target: String },

    #[error(
        "the policy of {target} has a statement `{sid}` that is not ours, under the `Sid` of this rule's statement; give it another `Sid` first"
    )]
    ForeignStatement { target: String, sid: String },

    #[error("{property}: key `{key}` does not exist")]
    KeyMissing { property: String, key: String },

    #[error("{property}: key `{key}` is {state}; it must be Enabled")]
    KeyNotEnabled { property: String, key: String, state: KeyState },

    #[error(
        "{property}: key `{key}` is not a symmetric key for encryption and decryption, the only kind that S3 uses"
    )]
    KeyNotSymmetric { property: String, key: String },

    #[error(
        "{property}: key `{key}` is managed by AWS, and its policy cannot be given grants; use a customer managed key"
    )]
    KeyManagedByAws { property: String, key: String },

    #[error(
        "{property}: alias `{key}` of another account cannot be read from this account; give the key's own ARN, since grants cannot name an alias"
    )]
    UnreadableAlias { property: String, key: String },

    #[error("`SourceKmsKeyArns`: key `{key}` is not in {region}, the Region of bucket `{bucket}`")]
    SourceKeyInOtherRegion { key: String, bucket: BucketName, region: Region },

    #[error(
        "bucket `{bucket}` is the destination of another rule of the replication policy, so it can be a source only of the rule that replicates back; exclude it with `ExcludeBucketNames`"
    )]
    DestinationOfRule { bucket: BucketName },

    #[error(
        "bucket `{source_bucket}` has S3 Object Lock and `{destination}` has not; replicas need a destination with Object Lock: turn it on there, which S3 allows for an existing bucket with versioning"
    )]
    LockedSource { source_bucket: BucketName, destination: BucketName },

    #[error(
        "bucket `{bucket}` already replicates with role `{role}`, which is not ours; set `ExistingRole` to Extend to add an inline policy to that role"
    )]
    ForeignRole { bucket: BucketName, role: String },

    #[error(
        "bucket `{bucket}` replicates with role `{role}`, which does not exist, so its rules cannot work; correct or remove them first"
    )]
    ServingRoleMissing { bucket: BucketName, role: String },

    #[error(
        "bucket `{bucket}` replicates with role `{role}`, which is our role for bucket `{owner}` and is deleted with that bucket's rules; give bucket `{bucket}` a different role"
    )]
    RoleOfOtherBucket { bucket: BucketName, role: String, owner: String },

    #[error(
        "bucket `{bucket}` replicates with role `{role}`, which serves all buckets of the replication policy of stack `{stack}`; use that deployment, or remove the bucket's rules first"
    )]
    RoleOfOtherStack { bucket: BucketName, role: String, stack: String },

    #[error(
        "bucket `{bucket}` replicates with the role of all buckets, and needs a role of its own with the grants of its rules {rules} first"
    )]
    ServedBySharedRole { bucket: BucketName, rules: String },

    #[error(
        "rule `{rule}` of bucket `{bucket}` is no longer in the replication policy, so its grants in a role of the bucket's own are not known; delete the rule first"
    )]
    RuleNotOfPolicy { bucket: BucketName, rule: RuleId },

    #[error(
        "rule `{}` does not match the name of bucket `{}` any more, which still replicates by it with the role of all buckets: that role does not grant the name, or not for long; delete the bucket's rule, or let the policy match the name",
        rule.id, rule.source
    )]
    NameLeftRule { rule: RuleAddress },

    #[error(
        "role `{role}` exists and is not tagged as the role of all buckets of this stack; rename or remove it"
    )]
    SharedRoleOwnedByOther { role: RoleName },

    #[error(
        "the role of all buckets is `{role}`, but `RolePath` is `{path}`; set `RolePath` to the path of the role, since buckets replicate with it"
    )]
    SharedRoleAtOtherPath { role: String, path: String },

    #[error(
        "`ReplicaKmsKeyArn` is the key `{key}` now, and role `{role}` has not its grants yet; repeat the request some minutes later"
    )]
    SharedRoleOutdated { role: RoleName, key: String },

    #[error(
        "role `{role}` exists and is not tagged as ours for bucket `{bucket}`; rename or remove it"
    )]
    RoleOwnedByOther { role: RoleName, bucket: BucketName },

    #[error(
        "role `{role}` is tagged as ours for bucket `{bucket}` and has what we do not make ({parts}), so bucket `{bucket}` is not made to replicate with it; rename or remove it"
    )]
    RoleNotOnlyOurs { role: RoleName, bucket: BucketName, parts: String },

    #[error(
        "bucket `{bucket}` has rules of the V1 form ({rules}), which S3 does not mix with ours; give them a `Filter` and a `Priority` first"
    )]
    V1Rules { bucket: BucketName, rules: String },

    #[error(
        "`Priority` {priority} is taken by rule `{rule}` of bucket `{bucket}`; leave it out to take the next free one"
    )]
    PriorityTaken { priority: i32, rule: String, bucket: BucketName },

    #[error(
        "`Priority` {priority} is taken by rule `{rule}` of bucket `{bucket}`, which is also ours; if CloudFormation deletes that rule only after this request, because its resource has a new logical id, leave `Priority` out now and set it again in a later update; else leave it out to take the next free one"
    )]
    PriorityTakenByOwn { priority: i32, rule: RuleId, bucket: BucketName },

    #[error(
        "`AlarmTopicArn`: topic `{topic}` is not in {region}, the Region of bucket `{bucket}`, where S3 publishes the metric"
    )]
    TopicInOtherRegion { topic: String, bucket: BucketName, region: Region },

    #[error("bucket `{bucket}` already has {count} replication rules, S3's limit")]
    TooManyRules { bucket: BucketName, count: usize },

    #[error(
        "the inline policies of role `{role}` would have {total} characters; IAM allows {limit}: use fewer rules or fewer source keys on this bucket (while a rule changes, its earlier grants count, too)"
    )]
    InlinePoliciesTooLong { role: RoleName, total: usize, limit: usize },

    #[error(
        "role `{role}` would have {total} characters of inline policies with the former grants, of {limit}: undo the change, then change fewer rules at a time, 25 hours and two walks apart, or set `RoleScope` to Bucket{}",
        removable(others)
    )]
    SharedRolePoliciesTooLong { role: RoleName, total: usize, limit: usize, others: Vec<String> },

    #[error("bucket `{bucket}` has no rule `{rule}`; it has {existing}")]
    RuleMissing { bucket: BucketName, rule: RuleId, existing: String },

    #[error("rule `{rule}` of bucket `{bucket}` is disabled: it replicates nothing")]
    RuleDisabled { bucket: BucketName, rule: RuleId },

    #[error(
        "bucket `{bucket}` has S3 Object Lock, which may keep a canary and its replica from being removed, so the rule cannot be verified"
    )]
    LockedCanary { bucket: BucketName },

    #[error("the prefix of rule `{rule}` {problem}")]
    CanaryKeyTooLong { rule: RuleId, problem: String },

    #[error(
        "`ReplicateExistingObjects` needs a role of ours, since its job must be trusted by the role; bucket `{bucket}` replicates with role `{role}`"
    )]
    JobOfForeignRole { bucket: BucketName, role: RoleName },

    #[error(
        "the role of bucket `{bucket}` is not ours, so its rule gets no job: only a role of ours is made to trust S3 Batch Operations"
    )]
    NoRoleForJob { bucket: BucketName },

    #[error(
        "bucket `{bucket}` replicates with the role of all buckets (`RoleScope` Policy), which gets no job; give its rule `ReplicateExistingObjects`, with which the bucket gets a role of its own"
    )]
    JobOfSharedRole { bucket: BucketName },

    #[error("`ReportBucket` `{bucket}` does not exist")]
    ReportBucketMissing { bucket: BucketName },

    #[error("the replication rule lacks a part that S3 requires: {0}")]
    IncompleteRule(String),

    #[error("the replication rule cannot be written: {0}")]
    UnwritableRule(String),
}

/// A statement that somebody else must add to the policy of a bucket or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementToAdd {
    /// The bucket or key.
    pub target: String,
    /// The statement.
    pub statement: Statement,
}

/// Joins statements to one line.
pub(super) fn texts(statements: &[StatementToAdd]) -> String {
    let texts: Vec<String> = statements
        .iter()
        .map(|StatementToAdd { target, statement }| {
            format!("in the policy of {target}: {statement}")
        })
        .collect();
    texts.join("; ")
}

impl Refusal {
    /// A rule that the bucket does not have, with the rules that it has.
    pub fn rule_missing(
        rule: &RuleAddress,
        replication: Option<&ReplicationConfiguration>,
    ) -> Self {
        let existing = replication.map_or_else(|| "no rules".to_owned(), list_rules);
        Self::RuleMissing { bucket: rule.source.clone(), rule: rule.id.clone(), existing }
    }
}

impl From<InvalidCharacter> for Refusal {
    fn from(error: InvalidCharacter) -> Self {
        Self::UnwritableRule(error.to_string())
    }
}

/// How the inline policies of rules that the replication policy no longer has can make room.
fn removable(others: &[String]) -> String {
    if others.is_empty() {
        return String::new();
    }
    format!("; if no bucket has their rules, delete {}", others.join(", "))
}
