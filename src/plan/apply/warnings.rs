//! What a spec can ask for that the caller may not mean.
//!
//! It owns the texts. It must not know what is planned.

use std::collections::BTreeSet;

use crate::plan::ApplySnapshot;
use crate::spec::{ReplicaOwner, Spec, grantable_prefix};

/// What the caller should know about the prefix.
pub(super) fn prefix_warnings(prefix: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let grantable = grantable_prefix(prefix);
    if grantable != prefix {
        warnings.push(format!(
            "`Prefix` `{prefix}` is not printable ASCII throughout, so the grants are for all keys that begin with `{grantable}`"
        ));
    }
    if let Some(form) = literal_form(prefix) {
        warnings.push(format!(
            "`Prefix` `{prefix}` {form}; S3 takes a prefix literally, so the rule selects only objects whose keys begin with exactly these characters"
        ));
    }
    warnings
}

/// What the caller should know about a source that is not KMS-encrypted.
pub(super) fn encryption_warning(spec: &Spec, source_keys: &BTreeSet<String>) -> Option<String> {
    source_keys.is_empty().then(|| {
        format!(
            "bucket `{}` encrypts with SSE-S3, not KMS: replicas have the same type of encryption, so they are not KMS-encrypted",
            spec.rule.source
        )
    })
}

/// What the caller should know about an owner of replicas that the rule leaves out, since S3 has an owner override only across accounts. It is
/// no refusal: one replication policy may serve the destination's account, too, and CloudFormation could not roll a stack back to a request
/// that was accepted before.
pub(super) fn owner_warning(spec: &Spec, snapshot: &ApplySnapshot) -> Option<String> {
    let own = &snapshot.identity.account;
    let is_ignored =
        spec.replica_owner == ReplicaOwner::Destination && spec.other_account(own).is_none();
    is_ignored.then(|| {
        format!(
            "`ReplicaOwner` `Destination` has no effect: bucket `{}` is taken to be in account {own}, which owns the source; the owner changes only where `DestinationAccount` or `DestinationRoleArn` names another account",
            spec.destination
        )
    })
}

/// What shows that a prefix was meant as something else than the first characters of object keys; `None` for an ordinary prefix.
fn literal_form(prefix: &str) -> Option<&'static str> {
    if prefix.contains('*') {
        Some("has a `*`, which is no wild card")
    } else if prefix.starts_with('/') {
        Some("begins with `/`, which keys rarely do")
    } else if prefix.starts_with("s3://") || prefix.starts_with("arn:") {
        Some("looks like an address")
    } else {
        None
    }
}
