//! What a denial means: its code, and its reason in words.
//!
//! It must not know for which objects a call is made.

use super::calls::{CONTEXT_KEY, Call, Objects, Target};
use super::finding::Code;
use crate::iam_policy::evaluate::{Denial, DenialReason, Layer, Mismatch, NearMiss};

/// What a denial means.
pub(super) fn code(call: &Call, denial: &Denial) -> Code {
    let is_key = matches!(call.target, Target::SourceKey | Target::ReplicaKey);
    match (denial.layer, &denial.reason) {
        (Layer::Identity, DenialReason::Explicit(_)) => Code::RolePolicyDenies,
        (Layer::Identity, DenialReason::NoAllow { .. }) if call.objects == Objects::Annotated => {
            Code::AnnotationsNotReplicated
        }
        (Layer::Identity, DenialReason::NoAllow { nearest }) if is_key => key_code(nearest),
        (Layer::Identity, DenialReason::NoAllow { .. }) => Code::ActionNotGranted,
        (Layer::Boundary, _) => Code::BoundaryDoesNotAllow,
        (Layer::KeyPolicy, DenialReason::Explicit(_)) => Code::KeyPolicyDenies,
        (Layer::KeyPolicy, DenialReason::NoAllow { .. }) => Code::KeyPolicyDoesNotAllow,
        (Layer::BucketPolicy, DenialReason::NoAllow { .. }) => {
            Code::DestinationBucketPolicyDoesNotAllow
        }
        (Layer::BucketPolicy, DenialReason::Explicit(_)) if call.target == Target::Source => {
            Code::SourceBucketPolicyDenies
        }
        (Layer::BucketPolicy, DenialReason::Explicit(_)) => Code::DestinationBucketPolicyDenies,
        (Layer::TrustPolicy, _) => Code::RoleNotTrusted,
    }
}

/// What the missing grant of a key means, by the statement that comes nearest.
fn key_code(nearest: &[NearMiss]) -> Code {
    let has_alias = |near: &NearMiss| {
        near.mismatches.iter().any(|mismatch| {
            matches!(mismatch, Mismatch::Resource { wanted, negated: false, .. }
                if wanted.iter().any(|arn| arn.contains(":alias/")))
        })
    };
    let demands = |near: &NearMiss, wanted: &str| {
        !near.mismatches.is_empty()
            && near.mismatches.iter().all(|mismatch| {
                matches!(mismatch, Mismatch::Condition { key, .. }
                    if key.eq_ignore_ascii_case(wanted))
            })
    };
    if nearest.iter().any(|near| demands(near, CONTEXT_KEY)) {
        Code::EncryptionContextNotGranted
    } else if nearest.iter().any(|near| demands(near, "kms:ViaService")) {
        Code::ViaServiceNotGranted
    } else if nearest.iter().any(|near| {
        has_alias(near) && !near.mismatches.iter().any(|it| matches!(it, Mismatch::Action { .. }))
    }) {
        Code::AliasAsResource
    } else {
        Code::KeyNotGranted
    }
}

/// The beginning of a finding's message.
pub(super) fn subject(code: Code) -> &'static str {
    match code {
        Code::RolePolicyDenies => "a policy of the role denies",
        Code::AnnotationsNotReplicated => {
            "annotations of objects are not replicated: the role's policies do not allow"
        }
        Code::EncryptionContextNotGranted => {
            "the role's policies do not allow, for the encryption context that S3 sends,"
        }
        Code::ViaServiceNotGranted => {
            "the role's policies do not allow, through S3 of the bucket's Region,"
        }
        Code::AliasAsResource => {
            "the role's policies name an alias as resource, which matches no key, and so do not allow"
        }
        Code::BoundaryDoesNotAllow => "the role's permissions boundary does not allow",
        Code::KeyPolicyDenies => "the key's policy denies the role",
        Code::KeyPolicyDoesNotAllow => "the key's policy does not let the role in for",
        Code::SourceBucketPolicyDenies | Code::DestinationBucketPolicyDenies => {
            "the bucket's policy denies the role"
        }
        Code::DestinationBucketPolicyDoesNotAllow => {
            "the bucket's policy does not allow the role of another account"
        }
        _ => "the role's policies do not allow",
    }
}

/// The statements that decide, one line each: the one that denies, or the one that comes nearest.
pub(super) fn reasons(reason: &DenialReason) -> Vec<String> {
    match reason {
        DenialReason::Explicit(statement) => vec![format!("{statement} denies it")],
        DenialReason::NoAllow { nearest } => nearest.first().map(near).into_iter().collect(),
    }
}

/// Why a statement does not match.
fn near(near: &NearMiss) -> String {
    let mismatches: Vec<String> = near.mismatches.iter().map(mismatch).collect();
    format!("{} comes nearest, but {}", near.statement, join(&mismatches))
}

fn mismatch(mismatch: &Mismatch) -> String {
    let list = |values: &[String]| -> String {
        values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
    };
    let element = |name: &str, negated: bool, wanted: &[String]| {
        let not = if negated { "Not" } else { "" };
        format!("its `{not}{name}` is {}", list(wanted))
    };
    match mismatch {
        Mismatch::Principal { wanted, negated, .. } => element("Principal", *negated, wanted),
        Mismatch::Action { actual, negated: false, .. } => format!("it has no `{actual}`"),
        Mismatch::Action { wanted, negated: true, .. } => element("Action", true, wanted),
        Mismatch::Resource { wanted, negated, .. } => element("Resource", *negated, wanted),
        Mismatch::Condition { operator, key, wanted, actual } => {
            let actual = if actual.is_empty() {
                "does not send the key".to_owned()
            } else {
                format!("sends {}", list(actual))
            };
            format!("its `{operator}` of `{key}` demands {}, and S3 {actual}", list(wanted))
        }
    }
}

pub(super) fn describe(statements: &[String]) -> String {
    if statements.is_empty() { "a policy".to_owned() } else { statements.join(", ") }
}

pub(super) fn join(parts: &[String]) -> String {
    parts.join(", ")
}
