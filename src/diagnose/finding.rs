//! Findings: what a diagnosis says is wrong, why it says so, and how to mend it.
//!
//! Every code has a heading in docs/diagnose.md, and every cause in AWS's documents that can be seen has a code.

use std::fmt;

use serde::Serialize;

/// What is wrong. Codes are stable: scripts may compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Code {
    /// The rule is disabled, and no other rule replicates its objects.
    RuleDisabled,
    /// The rule does not select KMS-encrypted objects, and the bucket has or writes such objects.
    KmsObjectsNotSelected,
    /// No object's key begins with the rule's prefix.
    PrefixMatchesNothing,
    /// Another rule with the same destination has priority for all objects of the rule.
    RuleOverridden,
    /// The rule is of the first version.
    V1Rule,
    /// Versioning of the source is not enabled.
    SourceNotVersioned,
    /// Versioning of the destination is not enabled.
    DestinationNotVersioned,
    /// The destination bucket does not exist.
    DestinationMissing,
    /// The destination bucket belongs to another account than the rule says.
    DestinationOwnedByOther,
    /// The role does not exist.
    RoleMissing,
    /// The role's trust policy does not let S3 assume it.
    RoleNotTrusted,
    /// The role's policies do not allow a call on a bucket.
    ActionNotGranted,
    /// The role's policies do not allow a call on a key.
    KeyNotGranted,
    /// The role's policies allow a key for the wrong encryption context.
    EncryptionContextNotGranted,
    /// The role's policies allow a key through the wrong service or Region.
    ViaServiceNotGranted,
    /// A statement of the role names an alias as its resource.
    AliasAsResource,
    /// The role may not read annotations of objects, which are then not replicated.
    AnnotationsNotReplicated,
    /// A statement of the role's policies denies a call.
    RolePolicyDenies,
    /// The role's permissions boundary does not allow a call.
    BoundaryDoesNotAllow,
    /// The service control policies of the account's organization do not allow a call.
    OrganizationDenies,
    /// The replica key does not exist.
    ReplicaKeyMissing,
    /// The replica key is disabled, pending deletion, or of the wrong kind or Region.
    ReplicaKeyUnusable,
    /// The key of the source's default encryption does not exist, is disabled or pending deletion.
    SourceKeyUnusable,
    /// A key's policy does not let the role in.
    KeyPolicyDoesNotAllow,
    /// A key's policy denies a call of the role.
    KeyPolicyDenies,
    /// The policy of the source bucket denies a call of the role.
    SourceBucketPolicyDenies,
    /// The policy of the destination bucket denies a call of the role.
    DestinationBucketPolicyDenies,
    /// The policy of a destination bucket in another account does not allow a call of the role.
    DestinationBucketPolicyDoesNotAllow,
    /// Sampled objects use a key that the role may not decrypt.
    SampledKeyNotGranted,
    /// Replicas in another account's bucket stay in the source account's possession.
    OwnerNotOverridden,
    /// Objects of the source belong to other accounts.
    ObjectsOwnedByOthers,
    /// The source has S3 Object Lock, and the destination has not.
    DestinationObjectLockMissing,
    /// A destination bucket in another account makes requesters pay.
    RequesterPays,
    /// Objects are replicas, which S3 does not replicate again.
    ReplicasNotReplicated,
    /// Sampled objects are archived.
    ObjectsArchived,
    /// Sampled objects were never selected by a rule.
    ObjectsNeverSelected,
    /// S3 failed to replicate objects.
    ObjectsFailed,
    /// Objects are pending for long.
    ObjectsPending,
}

impl Code {
    /// All codes, in the order of docs/diagnose.md.
    pub const ALL: [Self; 38] = [
        Self::RuleDisabled,
        Self::KmsObjectsNotSelected,
        Self::PrefixMatchesNothing,
        Self::RuleOverridden,
        Self::V1Rule,
        Self::SourceNotVersioned,
        Self::DestinationNotVersioned,
        Self::DestinationMissing,
        Self::DestinationOwnedByOther,
        Self::RoleMissing,
        Self::RoleNotTrusted,
        Self::ActionNotGranted,
        Self::KeyNotGranted,
        Self::EncryptionContextNotGranted,
        Self::ViaServiceNotGranted,
        Self::AliasAsResource,
        Self::AnnotationsNotReplicated,
        Self::RolePolicyDenies,
        Self::BoundaryDoesNotAllow,
        Self::OrganizationDenies,
        Self::ReplicaKeyMissing,
        Self::ReplicaKeyUnusable,
        Self::SourceKeyUnusable,
        Self::KeyPolicyDoesNotAllow,
        Self::KeyPolicyDenies,
        Self::SourceBucketPolicyDenies,
        Self::DestinationBucketPolicyDenies,
        Self::DestinationBucketPolicyDoesNotAllow,
        Self::SampledKeyNotGranted,
        Self::OwnerNotOverridden,
        Self::ObjectsOwnedByOthers,
        Self::DestinationObjectLockMissing,
        Self::RequesterPays,
        Self::ReplicasNotReplicated,
        Self::ObjectsArchived,
        Self::ObjectsNeverSelected,
        Self::ObjectsFailed,
        Self::ObjectsPending,
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// No object that is written now is replicated.
    FailsNow,
    /// Objects of a kind that the message names are not replicated, or not wholly.
    FailsForSome,
    /// Objects are replicated now, and will not be after a change that the message names.
    WillFail,
    /// Replication works as it is set up. The setup may not be what its owner means.
    Note,
}

impl Severity {
    /// Whether S3 fails objects now.
    pub fn is_failure(self) -> bool {
        match self {
            Self::FailsNow | Self::FailsForSome => true,
            Self::WillFail | Self::Note => false,
        }
    }

    /// The severity in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::FailsNow => "fails now",
            Self::FailsForSome => "fails for some objects",
            Self::WillFail => "will fail",
            Self::Note => "note",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Finding {
    /// What is wrong.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What was read that shows it, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// The failure code that S3 gives for it in events and reports, if it gives one.
    #[serde(rename = "S3FailureCode", skip_serializing_if = "Option::is_none")]
    pub s3_failure_code: Option<&'static str>,
    /// What mends it: a sentence, a line of this program, or a statement to paste.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// A finding without evidence, failure code and fix.
    pub(super) fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, severity, message, evidence: Vec::new(), s3_failure_code: None, fix: None }
    }

    /// This finding with a line of evidence.
    pub(super) fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// This finding with S3's failure code.
    pub(super) fn s3(mut self, code: &'static str) -> Self {
        self.s3_failure_code = Some(code);
        self
    }

    /// This finding with what mends it.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
