//! Findings about the rule itself: whether it is enabled, which objects it selects, and which rule has priority.
//!
//! It must not know policies. The settings of buckets and the state of keys have their own modules.

mod buckets;
mod keys;

pub(super) use keys::state_problem;

use super::evidence::{Evidence, PrefixUse, RuleEvidence, Unread};
use super::finding::{Code, Finding, Severity};
use super::objects::severity_of;
use crate::model::{Encryption, ReplicationRule, SampledObject};

/// The findings about a rule's setup, and what is not known of it.
pub(super) struct Setup<'a> {
    pub evidence: &'a Evidence,
    pub rule: &'a RuleEvidence,
    pub findings: Vec<Finding>,
    pub undecided: Vec<Unread>,
}

impl Setup<'_> {
    pub fn examine(&mut self) {
        self.status();
        self.selection();
        self.priority();
        self.source();
        self.destination();
        self.keys();
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The other rules of the bucket.
    fn others(&self) -> impl Iterator<Item = &ReplicationRule> {
        self.evidence.source.replication.rules().filter(|other| *other != &self.rule.rule)
    }

    /// Other enabled rules that replicate all objects of this rule to the same destination.
    fn covering(&self) -> impl Iterator<Item = &ReplicationRule> {
        let rule = &self.rule.rule;
        self.others().filter(|other| {
            let prefix = other.filter().prefix();
            let covers = prefix.is_some_and(|prefix| {
                rule.filter().prefix().is_some_and(|own| own.starts_with(prefix))
            });
            other.is_enabled()
                && covers
                && other.filter().tags().is_some_and(<[_]>::is_empty)
                && other.destination_bucket() == rule.destination_bucket()
        })
    }

    fn status(&mut self) {
        let rule = &self.rule.rule;
        if rule.is_enabled() {
            return;
        }
        let kms = rule.selects_kms_objects();
        let replaced = self.covering().find(|other| other.selects_kms_objects() || !kms);
        let finding = match replaced.and_then(ReplicationRule::id) {
            Some(other) => Finding::new(
                Code::RuleDisabled,
                Severity::Note,
                format!("the rule is disabled; rule `{other}` replicates its objects"),
            ),
            None => Finding::new(
                Code::RuleDisabled,
                Severity::FailsNow,
                "the rule is disabled, so S3 replicates nothing by it",
            )
            .fix("set the rule's `Status` to `Enabled`, or delete the rule"),
        };
        self.add(finding.evidence(format!("the rule's `Status` is `{}`", self.rule.rule.status())));
    }

    /// Which objects the rule selects.
    fn selection(&mut self) {
        let rule = &self.rule.rule;
        if let Some(problem) = filter_problem(rule) {
            self.undecided.push(Unread::undecided(format!("rule `{}`", self.rule.name()), problem));
        }
        if rule.filter().is_v1() {
            let message = "the rule has no `Filter`, so it is of the first version: it replicates delete markers, and has neither \
                           metrics, Replication Time Control nor further destinations";
            self.add(Finding::new(Code::V1Rule, Severity::Note, message));
        }
        self.kms_selection();
        self.prefix();
    }

    fn kms_selection(&mut self) {
        let rule = &self.rule.rule;
        if rule.selects_kms_objects() || !rule.is_enabled() {
            return;
        }
        let others: Vec<_> = self.covering().filter(|other| other.selects_kms_objects()).collect();
        if others.iter().any(|other| other.priority() > rule.priority()) {
            return;
        }
        let with_lower_priority = others.first().map(|other| name_of(other).to_owned());
        let sample = self.rule.sampled_objects();
        let is_left_behind = |object: &&SampledObject| {
            object.kms_key.is_some() && severity_of([*object]) != Severity::Note
        };
        let sampled = sample.iter().filter(is_left_behind).count();
        let prefix = rule.filter().prefix().unwrap_or_default();
        let name = |key: &Option<String>| key.clone().unwrap_or_else(|| "alias/aws/s3".to_owned());
        let (severity, evidence) = match &self.evidence.source.encryption {
            Ok(Encryption::Kms { key, .. }) => (
                Severity::FailsNow,
                format!("the bucket's default encryption is SSE-KMS with key `{}`", name(key)),
            ),
            Ok(Encryption::S3) | Err(_) if sampled > 0 => (
                Severity::FailsForSome,
                format!(
                    "{sampled} of {} sampled objects are KMS-encrypted and not replicated",
                    sample.len()
                ),
            ),
            Ok(Encryption::S3) | Err(_) => return,
        };
        if let Some(other) = with_lower_priority {
            return self.undecided.push(self.unselected_by_priority(&other));
        }
        let message = if prefix.is_empty() {
            "no enabled rule to this destination selects KMS-encrypted objects".to_owned()
        } else {
            format!(
                "no enabled rule to this destination selects KMS-encrypted objects under `{prefix}`"
            )
        };
        self.add(
            Finding::new(Code::KmsObjectsNotSelected, severity, message).evidence(evidence).fix(
                "set the rule's `SourceSelectionCriteria.SseKmsEncryptedObjects.Status` to `Enabled` and its \
                 `Destination.EncryptionConfiguration.ReplicaKmsKeyID` to a key of the destination's Region, and grant the role both keys",
            ),
        );
    }

    fn prefix(&mut self) {
        let prefix = self.rule.rule.filter().prefix().unwrap_or_default().to_owned();
        let (severity, message) = match &self.rule.prefix_use {
            None | Some(Ok(PrefixUse::Used)) => return,
            Some(Err(unread)) => {
                if is_suspicious(&prefix) {
                    self.undecided.push(unread.clone());
                }
                return;
            }
            Some(Ok(PrefixUse::EmptyBucket)) if is_suspicious(&prefix) => (
                Severity::WillFail,
                format!("the bucket is empty, and keys rarely begin with a prefix like `{prefix}`"),
            ),
            Some(Ok(PrefixUse::Unused)) if is_suspicious(&prefix) => {
                (Severity::FailsNow, no_key_begins_with(&prefix))
            }
            Some(Ok(PrefixUse::Unused | PrefixUse::EmptyBucket)) => {
                (Severity::Note, no_key_begins_with(&prefix))
            }
        };
        let bucket = &self.evidence.source.location.bucket;
        let finding = Finding::new(Code::PrefixMatchesNothing, severity, message)
            .evidence(format!("a list of bucket `{bucket}` with this prefix is empty"));
        self.add(finding.fix(
            "prefixes are literal: they have no wildcards, and keys rarely begin with a slash; correct the prefix in the rule's `Filter`",
        ));
    }

    /// Another rule that has priority for all objects of this one.
    fn priority(&mut self) {
        let rule = &self.rule.rule;
        if !rule.is_enabled() {
            return;
        }
        let priority = rule.priority();
        let Some(other) = self.covering().find(|other| other.priority() > priority) else {
            return;
        };
        let name = name_of(other);
        let loses_kms = rule.selects_kms_objects() && !other.selects_kms_objects();
        let undecided = loses_kms.then(|| self.unselected_by_priority(name));
        let message = format!("rule `{name}` has priority over this rule for all its objects");
        let number =
            |rule: &ReplicationRule| rule.priority().map_or("none".to_owned(), |it| it.to_string());
        let evidence = format!(
            "both replicate to `{}`; the priority of `{name}` is {}, of this rule {}",
            self.rule.destination.name,
            number(other),
            number(rule)
        );
        let finding = Finding::new(Code::RuleOverridden, Severity::Note, message);
        self.add(
            finding.evidence(evidence).fix("give this rule the higher priority, or delete it"),
        );
        self.undecided.extend(undecided);
    }

    /// AWS documents that of two rules the one with the higher priority acts, not what becomes of objects that only the other one selects.
    fn unselected_by_priority(&self, other: &str) -> Unread {
        Unread::undecided(
            format!("rules `{}` and `{other}`", self.rule.name()),
            "only the one with the lower priority selects KMS-encrypted objects, and AWS does not document whether it then replicates them",
        )
    }
}

fn name_of(rule: &ReplicationRule) -> &str {
    rule.id().unwrap_or("without an id")
}

fn no_key_begins_with(prefix: &str) -> String {
    format!("no object key begins with the rule's prefix `{prefix}`")
}

/// Whether a prefix looks like a path or a pattern, which prefixes are not.
pub fn is_suspicious(prefix: &str) -> bool {
    prefix.starts_with('/') || prefix.contains('*')
}

/// Why it cannot be said which objects the rule selects.
fn filter_problem(rule: &ReplicationRule) -> Option<String> {
    use crate::model::RuleFilter;
    match rule.filter() {
        RuleFilter::NotUnderstood { elements } => Some(format!(
            "its filter has `{}`, which this version does not understand: which objects it selects is not known",
            elements.join("`, `")
        )),
        RuleFilter::V1 { .. }
        | RuleFilter::Prefix(_)
        | RuleFilter::Tag(_)
        | RuleFilter::And { .. } => None,
    }
}
