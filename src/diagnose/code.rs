//! The codes of findings. Every code has a heading in docs/diagnose.md, and every cause in AWS's documents that can be seen has a code.

use std::fmt;

use serde::Serialize;

/// Defines [`Code`] and the list of all codes, so that none is forgotten in the list.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident,)*) => {
        /// What is wrong. Codes are stable: scripts may compare them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All codes, in the order of docs/diagnose.md.
            pub const ALL: &[Self] = &[$(Self::$code,)*];
        }
    };
}

codes! {
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

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
