//! What mends a finding: a sentence, a line of this program, or a statement to paste.
//!
//! This module owns the texts. It must not decide what is wrong. The statements are those that this program grants by itself.

use std::collections::BTreeSet;

use serde::Serialize;

use super::calls::{Call, Target};
use super::evidence::{BucketOwner, Evidence, KeyEvidence, RuleEvidence};
use crate::iam_policy::evaluate::{Denial, DenialReason, Layer};
use crate::iam_policy::sid::{
    DECRYPT_SOURCE, ENCRYPT_REPLICAS, SOURCE_BUCKET, SOURCE_OBJECTS, WRITE_REPLICAS,
};
use crate::iam_policy::{BucketInRegion, Grants};
use crate::model::{BucketLocation, KeyReference, RuleId, shell};

/// The `Sid` of statements for policies of buckets and keys.
const SID: &str = "S3Replication";

/// Writes the fixes of a rule's findings.
pub(super) struct Fixes<'a> {
    pub evidence: &'a Evidence,
    pub rule: &'a RuleEvidence,
}

impl Fixes<'_> {
    /// How a denied call is allowed. `boundary` names the role's permissions boundary.
    pub fn of_denial(
        &self,
        call: &Call,
        denial: &Denial,
        boundary: Option<&str>,
    ) -> Option<String> {
        match (&denial.reason, denial.layer) {
            (DenialReason::Explicit(statement), Layer::Identity | Layer::Boundary) => {
                Some(format!("narrow {statement}, so that it does not deny `{}`", call.action))
            }
            (DenialReason::Explicit(statement), _) => Some(format!(
                "except role `{role}` from {statement}: add the condition \"ArnNotEquals\": {{\"aws:PrincipalArn\": \"{role}\"}}",
                role = self.evidence.role_arn
            )),
            (DenialReason::NoAllow { .. }, Layer::Identity) => Some(self.grant(call)),
            (DenialReason::NoAllow { .. }, Layer::Boundary) => Some(format!(
                "allow `{}` in the permissions boundary `{}`",
                call.action,
                boundary.unwrap_or_default()
            )),
            (
                DenialReason::NoAllow { .. },
                Layer::BucketPolicy | Layer::KeyPolicy | Layer::TrustPolicy,
            ) => self.admit(call),
        }
    }

    /// How the role is granted a denied call.
    fn grant(&self, call: &Call) -> String {
        let statement = self.with_grants(|grants| {
            let sid = match call.target {
                Target::Source if call.resource.known().contains('/') => SOURCE_OBJECTS,
                Target::Source => SOURCE_BUCKET,
                Target::SourceKey => DECRYPT_SOURCE,
                Target::Destination => WRITE_REPLICAS,
                Target::ReplicaKey => ENCRYPT_REPLICAS,
            };
            grants.document().statement(sid).map(pretty)
        });
        let role = &self.evidence.role_arn;
        match statement.flatten() {
            Some(statement) if self.is_own() => {
                format!(
                    "repeat the request that made this rule, which restores this statement:\n{statement}"
                )
            }
            Some(statement) => {
                format!("add this statement to a policy of role `{role}`:\n{statement}")
            }
            None => {
                format!(
                    "allow `{}` on `{}` in a policy of role `{role}`",
                    call.action, call.resource
                )
            }
        }
    }

    /// How the policy of a bucket or a key in front of the role lets it in.
    fn admit(&self, call: &Call) -> Option<String> {
        let role = &self.evidence.role_arn;
        let (target, statement) = match call.target {
            Target::Source => return None,
            Target::Destination => (
                format!("the policy of bucket `{}`", self.bucket_name()),
                self.with_grants(|grants| pretty(&grants.statements(SID, role).bucket))?,
            ),
            Target::ReplicaKey => (
                format!("the policy of key `{}`", call.resource),
                self.with_grants(|grants| pretty(&grants.statements(SID, role).key))?,
            ),
            Target::SourceKey => (
                format!("the policy of key `{}`", call.resource),
                self.with_grants(|grants| pretty(&grants.source_key_statement(SID, role)))?,
            ),
        };
        Some(format!("add this statement to {target}:\n{statement}"))
    }

    /// Whether the rule is one of this program's.
    fn is_own(&self) -> bool {
        self.rule.rule.id().is_some_and(|id| RuleId::parse(id).is_some())
    }

    fn bucket_name(&self) -> String {
        let name = self.rule.destination_bucket();
        name.map_or_else(|| self.rule.destination.name.clone(), |bucket| bucket.to_string())
    }

    /// Calls `write` with the grants that the rule needs; `None` if the destination is not known well enough.
    fn with_grants<T>(&self, write: impl FnOnce(&Grants<'_>) -> T) -> Option<T> {
        let Evidence { identity, source, default_key, .. } = self.evidence;
        let bucket = self.rule.destination_bucket()?;
        let key = self.rule.replica_key.as_ref().and_then(KeyEvidence::arn);
        let known = match &self.rule.destination.location {
            Ok(location) => location.as_ref(),
            Err(_) => None,
        };
        let key_region = key.and_then(|key| KeyReference::parse(key).ok());
        let region = known.map(|location| location.region.clone());
        let region = region.or_else(|| key_region.map(|key| key.region().clone()))?;
        let BucketOwner::Account(owner) = self.rule.destination_owner(&identity.account) else {
            return None;
        };
        let sampled = self.rule.sample().into_iter().flat_map(|sample| sample.keys.keys().cloned());
        let default = default_key.iter().filter_map(KeyEvidence::arn).map(str::to_owned);
        let source_keys: BTreeSet<String> = default.chain(sampled).collect();
        Some(write(&Grants {
            partition: identity.partition,
            source: in_region(&source.location),
            destination: BucketInRegion { bucket: &bucket, region: &region },
            destination_account: &owner,
            prefix: self.rule.rule.filter().prefix().unwrap_or_default(),
            source_keys: &source_keys,
            replica_key: key.unwrap_or_default(),
            object_lock: source.object_lock == Ok(true),
            owner_override: self.rule.rule.overrides_owner(),
        }))
    }
}

fn in_region(location: &BucketLocation) -> BucketInRegion<'_> {
    BucketInRegion { bucket: &location.bucket, region: &location.region }
}

fn pretty(statement: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string_pretty(statement).unwrap_or_default()
}

/// The line of the AWS CLI that enables a bucket's versioning.
pub(super) fn enable_versioning(bucket: &str) -> String {
    let status = ["--versioning-configuration", "Status=Enabled"];
    s3api("put-bucket-versioning", bucket, status)
}

/// The line of the AWS CLI that gives a bucket's owner all its objects.
pub(super) fn enforce_owner(bucket: &str) -> String {
    let rules = ["--ownership-controls", "Rules=[{ObjectOwnership=BucketOwnerEnforced}]"];
    s3api("put-bucket-ownership-controls", bucket, rules)
}

/// A line of the AWS CLI that changes a bucket's setting.
pub(super) fn s3api(command: &str, bucket: &str, [option, value]: [&str; 2]) -> String {
    shell::line(&["aws", "s3api", command, "--bucket", bucket, option, value])
}

/// What replicates objects that exist.
pub(super) const REPLICATE_EXISTING: &str = "mend the other findings first, then run an S3 Batch Replication job: \
     `apply --replicate-existing-objects --report-bucket NAME` of this program starts one for its own rules";
