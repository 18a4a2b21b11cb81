//! The names that this program gives: of rules, of their inline policies, and of roles. They mark what is ours.

use std::fmt;

use sha2::{Digest, Sha256};

use super::BucketName;

/// Prefix of every rule id, and so of every inline policy, that is ours.
const RULE_PREFIX: &str = "s3-kms-replication.";

/// Prefix of the inline policies that hold the rights of jobs, and of the tags that note jobs: not that of a rule's id.
const JOB_PREFIX: &str = "s3-kms-replication-job.";

/// Prefix of the `Sid` of every statement that is ours.
const SID_PREFIX: &str = "S3KmsReplication";

/// Statements of many accounts can meet in one policy.
const SID_HASH_LENGTH: usize = 16;

/// S3's limit for the key of an object, in bytes.
const MAX_KEY: usize = 1_024;

/// The id of a rule that is ours: `s3-kms-replication.<name>`, at most 128 characters, since the rule's inline policy has that name too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(String);
text_newtype!(RuleId);

impl RuleId {
    const MAX_NAME: usize = 128 - RULE_PREFIX.len();

    /// The id of the rule that a policy or a command calls `name`.
    ///
    /// # Errors
    /// The rest of a sentence, when IAM would not take the name for an inline policy.
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

    /// The id of the rule of a CloudFormation resource: its stack's name, its own, and a hash of the stack's id and the logical id,
    /// so that no two resources share a rule however the names are shortened.
    pub fn of_resource(stack_id: &str, logical_id: &str) -> Self {
        let hash = short_hash(&format!("{stack_id}\n{logical_id}"));
        let stack = stack_id.split('/').nth(1).unwrap_or_default();
        let readable = |text: &str, most: usize| -> String {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(most).collect()
        };
        Self(format!("{RULE_PREFIX}{}-{}-{hash}", readable(stack, 48), readable(logical_id, 48)))
    }

    /// The key of the rule's canary: inside the rule's `prefix`, recognisable as ours, and always the same.
    ///
    /// # Errors
    /// The rest of a sentence about the prefix, when S3 would not take the key.
    pub fn canary_key(&self, prefix: &str) -> Result<String, String> {
        let key = format!("{prefix}.s3-kms-replication-verify/{self}");
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

    /// Reads an id back; `None` when the rule is not ours.
    pub fn recognise(text: &str) -> Option<Self> {
        text.strip_prefix(RULE_PREFIX).and_then(|name| Self::named(name).ok())
    }
}

/// A rule among those of all buckets: in text `<source bucket>/<rule id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAddress {
    /// The rule's source bucket.
    pub source: BucketName,
    /// Its id, which is unique in the bucket.
    pub id: RuleId,
}

impl RuleAddress {
    /// Reads the text back; `None` when it is not of a rule of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (source, id) = text.split_once('/')?;
        Some(Self { source: BucketName::parse(source).ok()?, id: RuleId::recognise(id)? })
    }

    /// The `Sid` of the statements that the rule has in policies of the destination's account: letters and digits, as IAM wants it, and unlike
    /// that of any other rule of any bucket.
    pub fn sid(&self) -> String {
        format!("{SID_PREFIX}{}", hash(&self.to_string(), SID_HASH_LENGTH))
    }
}

impl fmt::Display for RuleAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.source, self.id)
    }
}

/// The name of an inline policy of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName(String);
text_newtype!(PolicyName);

impl PolicyName {
    /// In a role of ours, which serves one bucket: the rule's id.
    pub fn of_rule(rule_id: &RuleId) -> Self {
        Self(rule_id.to_string())
    }

    /// In somebody else's role, which may serve several buckets, each with a rule of this id: the rule's id and a hash of the bucket; shortened
    /// with a hash of both to IAM's 128 characters.
    pub fn in_foreign_role(rule: &RuleAddress) -> Self {
        let name = format!("{}.{}", rule.id, short_hash(rule.source.as_str()));
        if name.len() <= 128 {
            return Self(name);
        }
        let head: String = name.chars().take(128 - 1 - HASH_LENGTH).collect();
        Self(format!("{head}.{}", short_hash(&rule.to_string())))
    }

    /// Of the rights that the rule's job has, in a role of ours; the role's tag that notes the job has this name, too. A hash of the rule's id,
    /// which is too long for a part of the name, and has characters that no tag has.
    pub fn of_job(rule_id: &RuleId) -> Self {
        Self(format!("{JOB_PREFIX}{}", hash(rule_id.as_str(), JOB_HASH_LENGTH)))
    }

    /// Whether it is the name of a job's rights.
    pub fn is_of_job(text: &str) -> bool {
        text.starts_with(JOB_PREFIX)
    }

    /// Reads a name back; `None` when the policy is not ours.
    pub fn recognise(text: &str) -> Option<Self> {
        let of_job = Self::is_of_job(text).then(|| Self(text.to_owned()));
        of_job.or_else(|| RuleId::recognise(text).map(|rule_id| Self::of_rule(&rule_id)))
    }
}

/// The name of an IAM role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleName(String);
text_newtype!(RoleName);

/// Prefix of the names of our replication roles.
const ROLE_PREFIX: &str = "s3-crr-";

impl RoleName {
    /// The name of our replication role for `source`: `s3-crr-<bucket>`, shortened with a hash to IAM's 64 characters.
    pub fn of_source(source: &BucketName) -> Self {
        let name = format!("{ROLE_PREFIX}{source}");
        if name.len() <= 64 {
            return Self(name);
        }
        let head: String = name.chars().take(64 - 1 - HASH_LENGTH).collect();
        Self(format!("{head}-{}", short_hash(source.as_str())))
    }

    /// Whether the name has the form of ours.
    pub fn has_our_form(&self) -> bool {
        self.0.starts_with(ROLE_PREFIX)
    }

    /// The name in a role's ARN, whatever its path; `None` when the text is no role's ARN.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let (_, path_and_name) = arn.split_once(":role/")?;
        path_and_name
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .map(|name| Self(name.to_owned()))
    }
}

const HASH_LENGTH: usize = 8;

const JOB_HASH_LENGTH: usize = 16;

/// The first eight hexadecimal digits of a SHA-256: enough to keep the names of one account apart, short enough to read.
fn short_hash(text: &str) -> String {
    hash(text, HASH_LENGTH)
}

/// The first `length` hexadecimal digits of a SHA-256.
pub fn hash(text: &str, length: usize) -> String {
    Sha256::digest(text).iter().take(length / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_in_roles_of_others_are_shortened_to_128_characters() {
        let named = |length: usize, source: &str| {
            let (source, id) =
                (BucketName::parse(source).unwrap(), RuleId::named(&"n".repeat(length)).unwrap());
            PolicyName::in_foreign_role(&RuleAddress { source, id })
        };
        let longest = named(RuleId::MAX_NAME, "one");
        assert_eq!(longest.as_str().len(), 128);
        assert_ne!(longest, named(RuleId::MAX_NAME, "other"));
        assert_ne!(longest, named(RuleId::MAX_NAME - 1, "one"));
        assert_eq!(named(1, "one").as_str(), format!("s3-kms-replication.n.{}", short_hash("one")));
    }

    #[test]
    fn role_names_are_shortened_with_a_hash_to_64_characters() {
        let long = |last: &str| {
            RoleName::of_source(&BucketName::parse(&format!("{}{last}", "a".repeat(62))).unwrap())
        };
        assert_eq!(long("x").as_str().len(), 64);
        assert_ne!(long("x"), long("y"));
        assert_eq!(
            RoleName::of_source(&BucketName::parse("demo").unwrap()).as_str(),
            "s3-crr-demo"
        );
    }

    #[test]
    fn a_resource_rule_id_is_readable_unique_and_fits_an_inline_policy_name() {
        let dashed = RuleId::of_resource(
            "arn:aws:cloudformation:us-east-1:111122223333:stack/my-app_1/6f3c",
            "Replication",
        );
        assert!(dashed.as_str().starts_with("s3-kms-replication.my-app1-Replication-"), "{dashed}");
        let stack =
            |name: &str| format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{name}/6f3c");
        insta::assert_snapshot!(RuleId::of_resource(&stack("demo"), "Replication"), @"s3-kms-replication.demo-Replication-a3dc4a5c");
        let long = RuleId::of_resource(&stack(&"s".repeat(128)), &"L".repeat(255));
        assert!(long.as_str().len() <= 128);
        assert_eq!(RuleId::recognise(long.as_str()), Some(long.clone()));
        assert_ne!(long, RuleId::of_resource(&stack(&"s".repeat(128)), &"L".repeat(254)));
        assert_eq!(RuleId::recognise("somebody-elses"), None);
    }
}
