//! The source keys that a rule's inline policy grants.
//!
//! It owns which keys of earlier default encryptions stay granted. It must not know whether S3 can use a key.

use std::collections::BTreeSet;

use crate::iam_policy::RolePolicyDocument;
use crate::plan::inline_policy::InlinePolicy;
use crate::plan::{ApplySnapshot, Refusal, keys};
use crate::spec::{SourceKeys, Spec};

/// The source keys that a rule's policy grants.
pub(super) struct SourceKeyGrants {
    /// All keys.
    pub granted: BTreeSet<String>,
    /// The keys of earlier default encryptions, which existing objects still need.
    pub earlier: BTreeSet<String>,
}

impl SourceKeyGrants {
    /// The keys that the spec asks for, and those that the rule's present policy grants beside them.
    pub fn new(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        policy: &InlinePolicy<'_>,
    ) -> Result<Self, Refusal> {
        let wanted = keys::source_keys(spec, snapshot)?;
        let earlier: BTreeSet<String> = match spec.source_keys {
            SourceKeys::Given(_) => BTreeSet::new(),
            SourceKeys::BucketDefault => {
                let granted =
                    policy.current().map(RolePolicyDocument::source_keys).unwrap_or_default();
                granted.difference(&wanted).cloned().collect()
            }
        };
        Ok(Self { granted: wanted.union(&earlier).cloned().collect(), earlier })
    }
}
