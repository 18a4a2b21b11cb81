//! What a spec can ask for that the caller may not mean.
//!
//! It owns the texts. It must not know what is planned.

use std::collections::BTreeSet;

use crate::spec::{Spec, grantable_prefix};

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
