//! The policies that decide about S3's calls, read.
//!
//! It must not know which calls S3 makes with the role.

use std::collections::BTreeSet;

use super::evidence::{KeyEvidence, RoleEvidence, Seen, Unread};
use crate::iam_policy::evaluate::{Grant, Layer, Policy, PolicySource};

/// The condition keys that S3's calls with a role do not have, as AWS documents these keys.
pub(super) const ABSENT: [&str; 3] = ["aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"];

/// The policies of the role, read.
pub(super) struct RolePolicies {
    pub identity: Vec<Policy>,
    pub boundary: Option<Policy>,
    pub unread: BTreeSet<Layer>,
}

/// The policy in front of a resource, read.
#[derive(Default)]
pub(super) struct InFront {
    pub policy: Option<Policy>,
    pub grants: Vec<Grant>,
    pub grants_are_read: bool,
    pub is_unread: bool,
}

impl RolePolicies {
    pub fn read(role: &RoleEvidence, undecided: &mut Vec<Unread>) -> Self {
        let (mut identity, mut unread) = (Vec::new(), BTreeSet::new());
        let inline = role.inline.as_ref().ok().into_iter().flatten();
        let inline = inline.map(|(name, text)| (PolicySource::Inline(name.clone()), Some(text)));
        let managed = role.managed.iter().filter_map(|(arn, text)| {
            let text = text.as_ref().ok()?.as_ref();
            Some((PolicySource::Managed(arn.clone()), text))
        });
        for (source, text) in inline.chain(managed) {
            match parse(source, text.map(String::as_str), undecided) {
                Ok(policy) => identity.extend(policy),
                Err(Unreadable) => {
                    unread.insert(Layer::Identity);
                }
            }
        }
        if role.inline.is_err() || role.managed.values().any(Result::is_err) {
            unread.insert(Layer::Identity);
        }
        let boundary = match (&role.boundary, &role.role.boundary) {
            (Some(Ok(text)), Some(arn)) => {
                let source = PolicySource::Boundary(arn.clone());
                // A boundary that does not exist allows nothing.
                let text = text.as_deref().unwrap_or(r#"{"Statement":[]}"#);
                parse(source, Some(text), undecided)
            }
            (Some(Err(_)), _) | (Some(Ok(_)), None) => Err(Unreadable),
            (None, _) => Ok(None),
        };
        if boundary.is_err() {
            unread.insert(Layer::Boundary);
        }
        Self { identity, boundary: boundary.ok().flatten(), unread }
    }
}

impl InFront {
    pub fn bucket(
        source: PolicySource,
        text: &Seen<Option<String>>,
        undecided: &mut Vec<Unread>,
    ) -> Self {
        let policy = match text {
            Ok(text) => parse(source, text.as_deref(), undecided),
            Err(_) => Err(Unreadable),
        };
        Self { is_unread: policy.is_err(), policy: policy.ok().flatten(), ..Self::default() }
    }

    pub fn key(key: &KeyEvidence, undecided: &mut Vec<Unread>) -> Self {
        let source = PolicySource::Key(key.arn().unwrap_or(&key.id).to_owned());
        let policy = match &key.policy {
            Ok(Some(text)) => parse(source, Some(text), undecided),
            Ok(None) | Err(_) => Err(Unreadable),
        };
        let (grants, are_unread) = match &key.grants {
            Some(Ok(grants)) => (grants.as_slice(), false),
            Some(Err(_)) => (&[][..], true),
            None => (&[][..], false),
        };
        let grants = grants.iter().map(|grant| Grant {
            grantee: grant.grantee.clone(),
            operations: grant.operations.clone(),
            context_subset: grant.context_subset.clone(),
            context_equals: Some(grant.context_equals.clone())
                .filter(|context| !context.is_empty()),
        });
        Self {
            is_unread: policy.is_err() || are_unread,
            policy: policy.ok().flatten(),
            grants: grants.collect(),
            grants_are_read: key.grants.is_some(),
        }
    }
}

/// A policy that exists, or may exist, and could not be read.
pub(super) struct Unreadable;

/// Reads a policy; `None` if there is none.
pub(super) fn parse(
    source: PolicySource,
    text: Option<&str>,
    undecided: &mut Vec<Unread>,
) -> Result<Option<Policy>, Unreadable> {
    let Some(text) = text else { return Ok(None) };
    let name = source.to_string();
    Policy::parse(source, text).map(Some).map_err(|error| {
        undecided.push(Unread::undecided(name, error.message));
        Unreadable
    })
}
