//! The names that this program chooses for rules, inline policies, roles, tags and statements. The names show what belongs to this program.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{BucketName, Region, shell};

/// Prefix of the ids of our rules, and so of their inline policies.
const RULE_PREFIX: &str = "s3-kms-replication.";

/// Prefix of the inline policies with the rights of jobs, and of the role's tags that record jobs. It differs from the prefix of rule ids.
const JOB_PREFIX: &str = "s3-kms-replication-job.";

/// Prefix of the `Sid` of our statements.
const SID_PREFIX: &str = "S3KmsReplication";

/// One policy can have statements for many accounts.
const SID_HASH_LENGTH: usize = 16;

/// What the key of a canary has between the rule's prefix and the rule. The function has rights on canaries by this part of the key.
const CANARY_DIRECTORY: &str = ".s3-kms-replication-verify/";

/// S3's limit for the key of an object, in bytes.
const MAX_KEY: usize = 1_024;

/// The id of our rule: `s3-kms-replication.<name>`. It has at most 128 characters, since it is also the name of the rule's inline policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(String);
text_newtype!(RuleId);

impl RuleId {
    const MAX_NAME: usize = 128 - RULE_PREFIX.len();

    /// The id of the rule with this `Name` in a policy or a command.
    ///
    /// # Errors
    /// The rest of a sentence, if IAM does not accept the name for an inline policy.
    pub fn named(name: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !name.is_empty() && name.len() <= Self::MAX_NAME && name.bytes().all(allowed) {
            Ok(Self(format!("{RULE_PREFIX}{name}")))
        } else {
            Err(format!(
                "is `{name}`; a rule's name has 1 to {} letters, digits and `_+=,.@-`",
                Self::MAX_NAME
            ))
        }
    }

    /// The id of the rule of a CloudFormation resource: the stack's name, the logical id, and a hash of the stack's id and the logical id. The
    /// hash keeps the ids of two resources apart when their names are shortened.
    pub fn for_resource(stack_id: &str, logical_id: &str) -> Self {
        let hash = hash(&format!("{stack_id}\n{logical_id}"), SHORT_HASH_LENGTH);
        let stack = stack_id.split('/').nth(1).unwrap_or_default();
        let readable = |text: &str, most: usize| -> String {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(most).collect()
        };
        Self(format!("{RULE_PREFIX}{}-{}-{hash}", readable(stack, 48), readable(logical_id, 48)))
    }

    /// The name that a command gives for the rule.
    pub fn name(&self) -> &str {
        self.0.strip_prefix(RULE_PREFIX).unwrap_or(&self.0)
    }

    /// Reads a rule's id; `None` for a foreign rule.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(RULE_PREFIX).and_then(|name| Self::named(name).ok())
    }
}

/// A source bucket and one of its rules; as text `<source bucket>/<rule id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAddress {
    /// The rule's source bucket.
    pub source: BucketName,
    /// The rule's id, which is unique in the bucket.
    pub id: RuleId,
}

impl RuleAddress {
    /// Reads the text form; `None` if the text is not the address of one of our rules.
    pub fn parse(text: &str) -> Option<Self> {
        let (source, id) = text.split_once('/')?;
        Some(Self { source: BucketName::parse(source).ok()?, id: RuleId::parse(id)? })
    }

    /// The object key of the rule's canary, which begins with the rule's `prefix` and does not change. The key contains the source, since rules of
    /// several sources may have the same name and the same destination.
    ///
    /// # Errors
    /// The rest of a sentence about the prefix, if the key is too long for S3.
    pub fn canary_key(&self, prefix: &str) -> Result<String, String> {
        let key = format!("{prefix}{CANARY_DIRECTORY}{self}");
        if key.len() <= MAX_KEY {
            Ok(key)
        } else {
            let most = MAX_KEY - (key.len() - prefix.len());
            Err(format!(
                "has {} bytes; an object's key has at most {MAX_KEY}, so with `Verify` the prefix has at most {most}",
                prefix.len()
            ))
        }
    }

    /// The command that replicates the rule's objects once more: those that S3 failed to replicate, or also those that no rule has selected.
    pub fn replay_command(&self, with_existing: bool) -> String {
        let existing: &[&str] = if with_existing { &["--replicate-existing-objects"] } else { &[] };
        let (source, name) = (self.source.as_str(), self.id.name());
        let replay: &[&str] =
            &["s3-kms-replication", "replay", "--source-bucket", source, "--name", name];
        shell::line(&[replay, &["--report-bucket", "BUCKET"][..], existing].concat())
    }

    /// The object key of the canaries of version 0.1.0, which the rules of several sources may share.
    pub fn former_canary_key(&self, prefix: &str) -> String {
        format!("{prefix}{CANARY_DIRECTORY}{}", self.id)
    }

    /// The `Sid` of the rule's statements in policies of the destination's account. It has only letters and digits, as IAM requires, and
    /// differs from the `Sid` of every other rule of every bucket.
    pub fn sid(&self) -> String {
        format!("{SID_PREFIX}{}", hash(&self.to_string(), SID_HASH_LENGTH))
    }
}

impl fmt::Display for RuleAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.source, self.id)
    }
}

/// Whether an object key is that of a canary, under any prefix.
pub fn is_canary_key(key: &str) -> bool {
    key.contains(CANARY_DIRECTORY)
}

/// The name of our inline policy. The role's tag that records a job has the name of the job's policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InlinePolicyName(String);
text_newtype!(InlinePolicyName);

impl InlinePolicyName {
    /// The rule's inline policy in our role, which serves one bucket: the rule's id.
    pub fn for_rule(rule_id: &RuleId) -> Self {
        Self(rule_id.to_string())
    }

    /// The rule's inline policy in a foreign role: the rule's id and a hash of the bucket, since the role may serve several buckets that have a
    /// rule of this id. A name of more than IAM's 128 characters is shortened, with a hash of the rule's id and the bucket.
    pub fn for_rule_in_foreign_role(rule: &RuleAddress) -> Self {
        Self::with_hash(rule, HASH_LENGTH)
    }

    /// The name that 0.1.0 gave to [that policy](Self::for_rule_in_foreign_role). Its hash is so short that two buckets can have the same one.
    pub fn for_rule_in_foreign_role_of_0_1_0(rule: &RuleAddress) -> Self {
        Self::with_hash(rule, SHORT_HASH_LENGTH)
    }

    fn with_hash(rule: &RuleAddress, length: usize) -> Self {
        let name = format!("{}.{}", rule.id, hash(rule.source.as_str(), length));
        if name.len() <= 128 {
            return Self(name);
        }
        let head: String = name.chars().take(128 - 1 - length).collect();
        Self(format!("{head}.{}", hash(&rule.to_string(), length)))
    }

    /// The inline policy with the rights of the rule's job, in our role. The name contains a hash of the rule's id, since the id may be too long,
    /// and may have characters that a tag's key cannot have.
    pub fn for_job(rule_id: &RuleId) -> Self {
        Self(format!("{JOB_PREFIX}{}", hash(rule_id.as_str(), JOB_HASH_LENGTH)))
    }

    /// Whether a name is the name of a job's policy.
    pub fn is_for_job(text: &str) -> bool {
        text.starts_with(JOB_PREFIX)
    }

    /// Reads the name of an inline policy in our role; `None` for a foreign policy.
    pub fn parse(text: &str) -> Option<Self> {
        let for_job = Self::is_for_job(text).then(|| Self(text.to_owned()));
        for_job.or_else(|| RuleId::parse(text).map(|rule_id| Self::for_rule(&rule_id)))
    }
}

/// The name of an IAM role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleName(String);
text_newtype!(RoleName);

/// Prefix of the names of our replication roles.
const ROLE_PREFIX: &str = "s3-crr-";

impl RoleName {
    /// The name of our role for `source`: `s3-crr-<bucket>`. A name of more than IAM's 64 characters is shortened, with a hash of the bucket
    /// after a character that no bucket's name has, so that no other bucket's role can have the name.
    pub fn for_source(source: &BucketName) -> Self {
        Self::shortened(source, '_', HASH_LENGTH)
    }

    /// The name that 0.1.0 gave to our role for `source`, if that is another one. A bucket can be named so that its role has this name, too.
    pub fn for_source_of_0_1_0(source: &BucketName) -> Option<Self> {
        let earlier = Self::shortened(source, '-', SHORT_HASH_LENGTH);
        (earlier != Self::for_source(source)).then_some(earlier)
    }

    /// The name of the role that serves all buckets of a replication policy: the Region, and a hash of the stack's id. No bucket's role has this
    /// name: a `_` is only in names of 64 characters, and this one is shorter.
    pub fn shared(region: &Region, stack_id: &str) -> Self {
        Self(format!("{ROLE_PREFIX}{region}_{}", hash(stack_id, HASH_LENGTH)))
    }

    fn shortened(source: &BucketName, separator: char, hash_length: usize) -> Self {
        let name = format!("{ROLE_PREFIX}{source}");
        if name.len() <= 64 {
            return Self(name);
        }
        let head: String = name.chars().take(64 - 1 - hash_length).collect();
        Self(format!("{head}{separator}{}", hash(source.as_str(), hash_length)))
    }

    /// Whether the name begins as the names of our roles do.
    pub fn has_own_prefix(&self) -> bool {
        self.0.starts_with(ROLE_PREFIX)
    }

    /// The role's name in its ARN, without the path; `None` if the text is no role's ARN.
    pub fn from_arn(arn: &str) -> Option<Self> {
        let (_, path_and_name) = arn.split_once(":role/")?;
        path_and_name
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .map(|name| Self(name.to_owned()))
    }
}

/// Hexadecimal digits of a hash: nobody finds two names with the same 64 bits by trying names.
const HASH_LENGTH: usize = 16;

/// The digits of hashes in names of 0.1.0, and in rule ids, which also name stack and resource.
const SHORT_HASH_LENGTH: usize = 8;

const JOB_HASH_LENGTH: usize = 16;

/// The first `length` hexadecimal digits of a SHA-256.
pub fn hash(text: &str, length: usize) -> String {
    Sha256::digest(text).iter().take(length / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_name_for_a_foreign_role_has_at_most_128_characters() {
        let policy_name = |length: usize, source: &str| {
            let (source, id) =
                (BucketName::parse(source).unwrap(), RuleId::named(&"n".repeat(length)).unwrap());
            InlinePolicyName::for_rule_in_foreign_role(&RuleAddress { source, id })
        };
        let longest = policy_name(RuleId::MAX_NAME, "one");
        assert_eq!(longest.as_str().len(), 128);
        assert_ne!(longest, policy_name(RuleId::MAX_NAME, "other"));
        assert_ne!(longest, policy_name(RuleId::MAX_NAME - 1, "one"));
        assert_eq!(
            policy_name(1, "one").as_str(),
            format!("s3-kms-replication.n.{}", hash("one", HASH_LENGTH))
        );
    }

    #[test]
    fn no_bucket_can_be_named_so_that_it_takes_the_role_of_another_bucket() {
        let bucket = |name: &str| BucketName::parse(name).unwrap();
        for length in 57..=63 {
            let victim = bucket(&"v".repeat(length));
            let name = RoleName::for_source(&victim);
            let tail = name.as_str().strip_prefix(ROLE_PREFIX).unwrap().to_owned();
            assert_eq!(BucketName::parse(&tail).is_ok(), length == 57, "{tail}");
            // The role of 0.1.0 could be had by another bucket, whose name is what follows the prefix.
            let earlier = RoleName::for_source_of_0_1_0(&victim);
            assert_eq!(earlier.is_some(), length > 57);
            if let Some(earlier) = earlier {
                let taker = bucket(earlier.as_str().strip_prefix(ROLE_PREFIX).unwrap());
                assert_eq!(RoleName::for_source(&taker), earlier);
                assert_ne!(RoleName::for_source(&taker), RoleName::for_source(&victim));
            }
        }
    }

    #[test]
    fn no_bucket_can_have_the_role_that_serves_all_buckets() {
        let region = |code| Region::parse(code).unwrap();
        let stack = "arn:aws:cloudformation:us-east-1:111122223333:stack/crr/6f3c";
        let names: Vec<String> = ["us-east-1", "ap-southeast-1", "us-gov-east-1", "eusc-de-east-1"]
            .map(|code| RoleName::shared(&region(code), stack).to_string())
            .into();
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        for name in names {
            let tail = name.strip_prefix(ROLE_PREFIX).unwrap();
            assert!(BucketName::parse(tail).is_err() && name.contains('_') && name.len() < 64);
        }
        assert_ne!(
            RoleName::shared(&region("us-east-1"), "other"),
            RoleName::shared(&region("us-east-1"), stack)
        );
    }

    #[test]
    fn a_role_name_of_a_long_bucket_name_is_shortened_with_a_hash() {
        let long = |last: &str| {
            RoleName::for_source(&BucketName::parse(&format!("{}{last}", "a".repeat(62))).unwrap())
        };
        assert_eq!(long("x").as_str().len(), 64);
        assert_ne!(long("x"), long("y"));
        assert_eq!(
            RoleName::for_source(&BucketName::parse("demo").unwrap()).as_str(),
            "s3-crr-demo"
        );
    }

    #[test]
    fn a_rule_id_for_a_resource_is_readable_and_unique_and_fits_a_policy_name() {
        let dashed = RuleId::for_resource(
            "arn:aws:cloudformation:us-east-1:111122223333:stack/my-app_1/6f3c",
            "Replication",
        );
        assert!(dashed.as_str().starts_with("s3-kms-replication.my-app1-Replication-"), "{dashed}");
        let stack =
            |name: &str| format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{name}/6f3c");
        insta::assert_snapshot!(RuleId::for_resource(&stack("demo"), "Replication"), @"s3-kms-replication.demo-Replication-a3dc4a5c");
        let long = RuleId::for_resource(&stack(&"s".repeat(128)), &"L".repeat(255));
        assert!(long.as_str().len() <= 128);
        assert_eq!(RuleId::parse(long.as_str()), Some(long.clone()));
        assert_ne!(long, RuleId::for_resource(&stack(&"s".repeat(128)), &"L".repeat(254)));
        assert_eq!(RuleId::parse("foreign"), None);
    }
}
