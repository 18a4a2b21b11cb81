//! Diagnosis: from what was read of a bucket to what is wrong with its replication, whoever set it up.
//!
//! This module owns the findings, their severity, their fixes, and the verdict. It must not know how AWS is read.
//!
//! # Expected flow
//! `reconcile` collects [`Evidence`]: everything that could not be read is a value in it, never an error. [`diagnose()`] holds S3's own
//! [`calls`] against every policy that was read, and the settings against what S3 demands.
//!
//! # Guarantees
//! - [`Verdict::Works`] means that every policy, key and setting but SCPs and RCPs was read, and allows objects that are written now under
//!   the bucket's default encryption.
//! - [`Verdict::Fails`] means that something that was seen makes S3 fail objects.
//!
//! # Caveats
//! - What a policy says of single objects is found for one key of each pattern, for at most 50. What they leave open makes the verdict
//!   [`Verdict::Unknown`].

mod access;
pub mod calls;
mod code;
mod denial;
mod evidence;
mod finding;
mod fix;
mod foreign_job;
mod objects;
mod policies;
mod setup;
mod simulation;
mod trust;
mod verdict;

use std::collections::BTreeSet;

use access::access;
pub use evidence::{
    AbroadSettings, BucketOwner, DestinationEvidence, DestinationSettings, Evidence, KeyEvidence,
    PrefixUse, RoleEvidence, RuleEvidence, Sample, Seen, SourceEvidence, Unread,
};
pub use finding::{Code, Finding, Severity};
pub use foreign_job::{ForeignJob, ForeignJobEvidence, foreign_job};
use objects::ObjectFindings;
use setup::Setup;
pub use setup::is_suspicious;
use verdict::NOT_SIMULATED;
pub use verdict::{Diagnosis, NOT_EXAMINED, RuleDiagnosis, Verdict};

use crate::model::SimulatedCall;

/// Diagnoses the rules of a bucket.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let rules = evidence.rules.iter().map(|rule| diagnose_rule(evidence, rule)).collect();
    let knows_scps = evidence.rules.iter().all(|rule| matches!(rule.simulations, Some(Ok(_))));
    let not_examined = if knows_scps { NOT_SIMULATED.as_slice() } else { NOT_EXAMINED.as_slice() };
    Diagnosis::new(evidence.source.location.bucket.to_string(), rules, not_examined)
}

/// The calls that IAM's simulator has to be asked about, to know whether service control policies allow what S3 does for every object.
pub fn simulated_calls(evidence: &Evidence, rule: &RuleEvidence) -> Vec<SimulatedCall> {
    match &evidence.role {
        Ok(Some(_)) => access::simulated_calls(evidence, rule),
        Ok(None) | Err(_) => Vec::new(),
    }
}

/// ARNs of the keys whose grants decide whether a call is allowed, and were not read.
pub fn keys_decided_by_grants(evidence: &Evidence) -> BTreeSet<String> {
    let accesses = evidence.rules.iter().map(|rule| access(evidence, rule));
    accesses.flat_map(|access| access.keys_by_grants).collect()
}

fn diagnose_rule(evidence: &Evidence, rule: &RuleEvidence) -> RuleDiagnosis {
    let mut setup = Setup { evidence, rule, findings: Vec::new(), undecided: Vec::new() };
    setup.examine();
    let Setup { mut findings, undecided: mut unread, .. } = setup;
    unread.extend(unread_settings(evidence, rule));
    match &evidence.role {
        Ok(Some(role)) => {
            findings.extend(trust::examine(evidence, role, &mut unread));
        }
        Ok(None) => findings.push(
            Finding::new(
                Code::RoleMissing,
                Severity::FailsNow,
                format!("the role `{}` does not exist", evidence.role_arn),
            )
            .s3("AssumeRoleNotPermitted")
            .fix("let the replication configuration's `Role` name a role that exists"),
        ),
        Err(_) => {}
    }
    let access = access(evidence, rule);
    findings.extend(access.findings);
    unread.extend(access.undecided);
    let is_denied = findings.iter().any(|finding| finding.severity.is_failure());
    findings.extend(simulation::examine(rule, is_denied, &mut unread));
    let objects = ObjectFindings::of(evidence, rule);
    findings.extend(objects.findings);
    unread.extend(objects.unread);
    let is_explained = findings.iter().any(|finding| finding.severity.is_failure());
    if let Some(failures) = objects.recent_failures.filter(|_| !is_explained) {
        unread.push(Unread::undecided(
            format!("rule `{}`", rule.name()),
            format!(
                "S3 failed {failures} in the last day, and nothing that was read explains it: the cause has been mended since, or an SCP or RCP denies"
            ),
        ));
    }
    let destination = rule.rule.destination_bucket().unwrap_or_default();
    let id = rule.rule.id().unwrap_or_default();
    RuleDiagnosis::new(id.to_owned(), destination.to_owned(), findings, unread)
}

/// The settings and policies that decide and could not be read.
fn unread_settings(evidence: &Evidence, rule: &RuleEvidence) -> Vec<Unread> {
    let source = &evidence.source;
    let mut unread = Vec::new();
    let mut add = |reason: Option<&Unread>| unread.extend(reason.cloned());
    add(source.versioning.as_ref().err());
    add(source.encryption.as_ref().err());
    add(source.object_lock.as_ref().err());
    add(source.policy.as_ref().err());
    add(source.ownership.as_ref().err());
    match &evidence.role {
        Err(reason) => add(Some(reason)),
        Ok(None) => {}
        Ok(Some(role)) => {
            add(role.inline.as_ref().err());
            role.managed.values().for_each(|policy| add(policy.as_ref().err()));
            add(role.boundary.as_ref().and_then(|policy| policy.as_ref().err()));
        }
    }
    let replicates_kms = rule.rule.selects_kms_objects() && !source.writes_without_kms();
    let keys = evidence.default_key.iter().chain(&rule.replica_key).filter(|_| replicates_kms);
    keys.flat_map(unread_key).for_each(|reason| add(Some(reason)));
    let destination = &rule.destination;
    add(destination.location.as_ref().err());
    add(destination.is_own.as_ref().err());
    if let Some(settings) = &destination.settings {
        add(settings.versioning.as_ref().err());
        add(settings.encryption.as_ref().err());
        add(settings.object_lock.as_ref().and_then(|lock| lock.as_ref().err()));
        add(settings.policy.as_ref().err());
        if let Some(abroad) = &settings.abroad {
            add(abroad.requester_pays.as_ref().err());
            add(abroad.ownership.as_ref().err().filter(|_| rule.rule.overrides_owner()));
        }
    }
    // The keys of objects that are there decide nothing about objects that are written now.
    unread.extend(rule.sampled_keys().flat_map(unread_key).cloned().map(Unread::of_objects));
    unread
}

fn unread_key(key: &KeyEvidence) -> impl Iterator<Item = &Unread> {
    let grants = key.grants.as_ref().and_then(|grants| grants.as_ref().err());
    [key.key.as_ref().err(), key.policy.as_ref().err(), grants].into_iter().flatten()
}
