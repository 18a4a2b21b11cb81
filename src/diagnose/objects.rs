//! Findings about objects: a sample of the source's objects, and the rule's metrics.
//!
//! It must not know why S3 failed to replicate an object.

use super::evidence::{Evidence, RuleEvidence, Sample, Unread};
use super::finding::{Code, Finding, Severity};
use super::fix::REPLICATE_EXISTING;
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

    fn statuses(&mut self, evidence: &Evidence, rule: &RuleEvidence, sample: &Sample) {
        let all = sample.objects.len();
        let count = |is: &dyn Fn(&&SampledObject) -> bool| sample.objects.iter().filter(is).count();
        let has = |status: ReplicationStatus| {
            move |object: &&SampledObject| object.replication == Some(status)
        };
        let failed = count(&has(ReplicationStatus::Failed));
        if failed > 0 {
            let message = format!(
                "S3 failed to replicate {failed} of {all} sampled objects, and does not try again"
            );
            self.findings.push(
                Finding::new(Code::ObjectsFailed, Severity::Note, message).fix(REPLICATE_EXISTING),
            );
            let recent = count(&|object| {
                object.replication == Some(ReplicationStatus::Failed)
                    && object.last_modified + DAY > evidence.now
            });
            if recent > 0 {
                self.recent_failures = Some(format!("{recent} sampled objects"));
            }
        }
        let pending = count(&|object| {
            object.replication == Some(ReplicationStatus::Pending)
                && object.last_modified + HOUR < evidence.now
        });
        if pending > 0 {
            let message =
                format!("{pending} of {all} sampled objects are pending for more than an hour");
            self.findings
                .push(Finding::new(Code::ObjectsPending, Severity::Note, message).fix(
                    "large objects take hours; if they stay pending, mend the other findings",
                ));
        }
        // Objects without the rule's tags, or that it does not select for their encryption, have no status by design.
        let by_tags = rule.rule.filter().tags().is_none_or(|tags| !tags.is_empty());
        let kms = rule.rule.selects_kms_objects();
        let unselected =
            count(&|object| object.replication.is_none() && (kms || object.kms_key.is_none()));
        if unselected > 0 && !by_tags && rule.rule.is_enabled() {
            let message = format!(
                "{unselected} of {all} sampled objects were never selected by a rule: they are older than the rule"
            );
            self.findings.push(
                Finding::new(Code::ObjectsNeverSelected, Severity::Note, message)
                    .fix(REPLICATE_EXISTING),
            );
        }
        let replicas = count(&has(ReplicationStatus::Replica));
        if replicas > 0 {
            let message = format!(
                "{replicas} of {all} sampled objects are replicas, which S3 by design does not replicate again"
            );
            let fix = "add a rule of the bucket where the objects were written";
            self.findings
                .push(Finding::new(Code::ReplicasNotReplicated, Severity::Note, message).fix(fix));
        }
    }

    fn kinds(&mut self, evidence: &Evidence, sample: &Sample) {
        let all = sample.objects.len();
        let archived = sample
            .objects
            .iter()
            .filter(|object| ARCHIVES.contains(&object.storage_class.as_str()))
            .filter(|object| object.replication != Some(ReplicationStatus::Completed));
        let archived = archived.count();
        if archived > 0 {
            let message = format!(
                "{archived} of {all} sampled objects are archived, and cannot be replicated by a job before they are restored"
            );
            self.findings.push(
                Finding::new(Code::ObjectsArchived, Severity::Note, message)
                    .fix("restore the objects first"),
            );
        }
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
            let whose = "objects that other accounts write belong to them";
            (Severity::WillFail, whose.to_owned())
        } else {
            let read = others
                .iter()
                .map(|other| sample.objects.iter().find(|object| object.key == other.key));
            // The bucket's owner may not even read the status of an object that its owner does not share.
            let severity = read.map(|object| match object.and_then(|object| object.replication) {
                Some(ReplicationStatus::Failed) => Severity::FailsForSome,
                Some(ReplicationStatus::Pending) | None => Severity::WillFail,
                Some(ReplicationStatus::Completed | ReplicationStatus::Replica) => Severity::Note,
            });
            let severity = severity.min().unwrap_or(Severity::Note);
            let all = sample.listed.len();
            (
                severity,
                format!("{} of {all} sampled objects belong to other accounts", others.len()),
            )
        };
        let message = format!(
            "{whose}, and S3 fails those whose access control list does not grant the bucket's owner `READ` and `READ_ACP`"
        );
        let bucket = &evidence.source.location.bucket;
        self.findings.push(
            Finding::new(Code::ObjectsOwnedByOthers, severity, message)
                .s3("SrcGetObjectNotPermitted")
                .fix(format!(
                    "aws s3api put-bucket-ownership-controls --bucket {bucket} --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'"
                )),
        );
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
                    .fix("large objects take hours; if they stay pending, mend the other findings"),
            );
        }
    }
}
