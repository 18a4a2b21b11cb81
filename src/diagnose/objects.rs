//! Findings about objects: a sample of the source's objects, and the rule's metrics.
//!
//! It must not know why S3 failed to replicate an object.

use super::evidence::{Evidence, RuleEvidence, Sample, Unread};
use super::finding::{Code, Finding, Severity};
use super::fix::{REPLICATE_EXISTING, enforce_owner};
use super::setup::state_problem;
use crate::model::{ListedObject, ObjectOwnership, ReplicationStatus, SampledObject};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Storage classes whose objects must be restored before they can be read.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What something that fails replication means for objects that are there, by what has become of them.
pub(super) fn severity_of<'a>(objects: impl IntoIterator<Item = &'a SampledObject>) -> Severity {
    let severity = |object: &SampledObject| match object.replication {
        Some(ReplicationStatus::Failed | ReplicationStatus::Pending) => Severity::FailsForSome,
        // A job would fail.
        None => Severity::WillFail,
        Some(ReplicationStatus::Completed | ReplicationStatus::Replica) => Severity::Note,
    };
    objects.into_iter().map(severity).min().unwrap_or(Severity::Note)
}

/// What to do about objects that are pending.
const WAIT: &str = "large objects take hours; if they stay pending, mend the other findings";

fn has(object: &SampledObject, status: ReplicationStatus) -> bool {
    object.replication == Some(status)
}

fn count(sample: &Sample, is: impl Fn(&SampledObject) -> bool) -> usize {
    sample.objects.iter().filter(|object| is(object)).count()
}

/// The findings about a rule's objects.
pub(super) struct ObjectFindings {
    pub findings: Vec<Finding>,
    /// What S3 failed to replicate in the last day; `None` if nothing.
    pub recent_failures: Option<String>,
    pub unread: Vec<Unread>,
}

impl ObjectFindings {
    pub fn of(evidence: &Evidence, rule: &RuleEvidence) -> Self {
        let mut found = Self { findings: Vec::new(), recent_failures: None, unread: Vec::new() };
        let sample = match &rule.sample {
            Some(Ok(sample)) => sample,
            Some(Err(unread)) => {
                found.unread.push(unread.clone());
                &Sample::default()
            }
            None => &Sample::default(),
        };
        found.unread.extend(sample.unread.iter().cloned());
        found.statuses(evidence, rule, sample);
        found.kinds(evidence, sample);
        found.metrics(rule);
        found
    }

    /// What has become of the sampled objects.
    fn statuses(&mut self, evidence: &Evidence, rule: &RuleEvidence, sample: &Sample) {
        self.failed(evidence, sample);
        self.pending(evidence, sample);
        self.never_selected(rule, sample);
        let replicas = count(sample, |object| has(object, ReplicationStatus::Replica));
        let message = "are replicas, which S3 by design does not replicate again";
        let fix = "add a rule of the bucket where the objects were written";
        self.note(Code::ReplicasNotReplicated, replicas, sample, message, fix);
    }

    fn failed(&mut self, evidence: &Evidence, sample: &Sample) {
        let failed = count(sample, |object| has(object, ReplicationStatus::Failed));
        let message = "have failed, and S3 does not try again";
        self.note(Code::ObjectsFailed, failed, sample, message, REPLICATE_EXISTING);
        let recent = count(sample, |object| {
            has(object, ReplicationStatus::Failed) && object.last_modified + DAY > evidence.now
        });
        if recent > 0 {
            self.recent_failures = Some(format!("{recent} sampled objects"));
        }
    }

    fn pending(&mut self, evidence: &Evidence, sample: &Sample) {
        let pending = count(sample, |object| {
            has(object, ReplicationStatus::Pending) && object.last_modified + HOUR < evidence.now
        });
        let message = "are pending for more than an hour";
        self.note(Code::ObjectsPending, pending, sample, message, WAIT);
    }

    fn never_selected(&mut self, rule: &RuleEvidence, sample: &Sample) {
        // Objects without the rule's tags, or that it does not select for their encryption, have no status by design.
        let by_tags = rule.rule.filter().tags().is_none_or(|tags| !tags.is_empty());
        if by_tags || !rule.rule.is_enabled() {
            return;
        }
        let kms = rule.rule.selects_kms_objects();
        let unselected = count(sample, |object| {
            object.replication.is_none() && (kms || object.kms_key.is_none())
        });
        let message = "were never selected by a rule: they are older than the rule";
        self.note(Code::ObjectsNeverSelected, unselected, sample, message, REPLICATE_EXISTING);
    }

    /// Notes what is to be said of so many sampled objects, unless there are none.
    fn note(&mut self, code: Code, count: usize, sample: &Sample, message: &str, fix: &str) {
        if count > 0 {
            let message = format!("{count} of {} sampled objects {message}", sample.objects.len());
            self.findings.push(Finding::new(code, Severity::Note, message).fix(fix));
        }
    }

    fn kinds(&mut self, evidence: &Evidence, sample: &Sample) {
        let all = sample.objects.len();
        let archived = count(sample, |object| {
            ARCHIVES.contains(&object.storage_class.as_str())
                && !has(object, ReplicationStatus::Completed)
        });
        let message = "are archived, and cannot be replicated by a job before they are restored";
        self.note(Code::ObjectsArchived, archived, sample, message, "restore the objects first");
        for (arn, key) in &sample.keys {
            let problem = match &key.key {
                Ok(Some(found)) => state_problem(found),
                Ok(None) => Some("does not exist".to_owned()),
                Err(_) => None,
            };
            let Some(problem) = problem else { continue };
            let users = sample.objects.iter().filter(|object| object.kms_key.as_ref() == Some(arn));
            let severity = severity_of(users.clone());
            let message = format!(
                "{} of {all} sampled objects use key `{arn}`, which {problem}",
                users.count()
            );
            self.findings.push(
                Finding::new(Code::SourceKeyUnusable, severity, message)
                    .s3("SrcKmsKeyInvalidState"),
            );
        }
        self.owners(evidence, sample);
    }

    /// Other accounts may own objects. S3 replicates those that their owners let the bucket's owner read.
    fn owners(&mut self, evidence: &Evidence, sample: &Sample) {
        match &evidence.source.ownership {
            Ok(ObjectOwnership::BucketOwnerEnforced) | Err(_) => return,
            Ok(ObjectOwnership::ObjectWriter | ObjectOwnership::BucketOwnerPreferred) => {}
        }
        let owner = match &sample.owner {
            Some(Ok(owner)) => Some(owner),
            Some(Err(unread)) => {
                self.unread.push(unread.clone());
                None
            }
            None => None,
        };
        let is_others = |object: &&ListedObject| {
            owner.is_some() && object.owner.is_some() && object.owner.as_ref() != owner
        };
        let others: Vec<&ListedObject> = sample.listed.iter().filter(is_others).collect();
        let (severity, whose) = if others.is_empty() {
            (Severity::WillFail, "objects that other accounts write belong to them".to_owned())
        } else {
            let (some, all) = (others.len(), sample.listed.len());
            let whose = format!("{some} of {all} sampled objects belong to other accounts");
            (severity_of_others(&others, sample), whose)
        };
        let message = format!(
            "{whose}, and S3 fails those whose access control list does not grant the bucket's owner `READ` and `READ_ACP`"
        );
        let finding = Finding::new(Code::ObjectsOwnedByOthers, severity, message);
        let fix = enforce_owner(evidence.source.location.bucket.as_str());
        self.findings.push(finding.s3("SrcGetObjectNotPermitted").fix(fix));
    }

    fn metrics(&mut self, rule: &RuleEvidence) {
        let metrics = match &rule.metrics {
            Some(Ok(metrics)) => metrics,
            Some(Err(unread)) => return self.unread.push(unread.clone()),
            None => return,
        };
        if metrics.failed > 0.0 {
            let failures = format!("{} operations", metrics.failed);
            self.recent_failures.get_or_insert_with(|| failures.clone());
            let message = format!("S3 failed {failures} of the rule in the last day");
            let finding = Finding::new(Code::ObjectsFailed, Severity::Note, message);
            self.findings.push(
                finding
                    .evidence("the metric `OperationsFailedReplication`")
                    .fix(REPLICATE_EXISTING),
            );
        }
        if metrics.latency > 3_600.0 {
            let message = format!(
                "the destination is {} minutes behind, and {} operations are pending",
                (metrics.latency / 60.0).round(),
                metrics.pending
            );
            let finding = Finding::new(Code::ObjectsPending, Severity::Note, message);
            self.findings.push(
                finding
                    .evidence("the metrics `ReplicationLatency` and `OperationsPendingReplication`")
                    .fix(WAIT),
            );
        }
    }
}

/// What it means that these objects belong to others. The bucket's owner may not even read the status of such an object.
fn severity_of_others(others: &[&ListedObject], sample: &Sample) -> Severity {
    let severity = |other: &&ListedObject| {
        let object = sample.objects.iter().find(|object| object.key == other.key);
        match object.and_then(|object| object.replication) {
            Some(ReplicationStatus::Failed) => Severity::FailsForSome,
            Some(ReplicationStatus::Pending) | None => Severity::WillFail,
            Some(ReplicationStatus::Completed | ReplicationStatus::Replica) => Severity::Note,
        }
    };
    others.iter().map(severity).min().unwrap_or(Severity::Note)
}
