//! A job for a rule whose role is not ours: the statements that the role lacks for it, and the line of the AWS CLI that starts it.
//!
//! It must not know how the role is read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::evidence::{RoleEvidence, Seen, Unread};
use super::finding::Finding;
use super::policies::{ABSENT, RolePolicies};
use super::trust::trusts;
use super::verdict::Diagnosis;
use crate::iam_policy;
use crate::iam_policy::evaluate::{
    Context, Decision, Owner, Policies, Principal, Request, ResourcePolicy, Text, decide,
};
use crate::iam_policy::sid::{JOB_MANIFEST, JOB_OBJECTS, JOB_REPORT};
use crate::model::{Account, BucketLocation, Identity, ReplicationRule, RoleArn, shell};
use crate::plan::{ObjectSelection, StatementToAdd};
use crate::spec::Report;

/// The service that runs jobs.
const SERVICE: &str = "batchoperations.s3.amazonaws.com";

/// What is known of a foreign rule and its role.
#[derive(Debug)]
pub struct ForeignJobEvidence<'a> {
    /// The account and the partition of the caller.
    pub identity: &'a Identity,
    /// The source bucket.
    pub location: &'a BucketLocation,
    /// The rule.
    pub rule: &'a ReplicationRule,
    /// ARN of the bucket's role.
    pub role_arn: &'a str,
    /// That role; `None` if it does not exist.
    pub role: &'a Seen<Option<RoleEvidence>>,
    /// The objects that the job is to replicate.
    pub selection: ObjectSelection,
    /// The place of the job's report.
    pub report: &'a Report,
    /// The diagnosis of the rule.
    pub diagnosis: &'a Diagnosis,
}

/// What others have to do so that a job replicates the objects of their rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignJob {
    /// The source bucket.
    pub source_bucket: String,
    /// The rule's `ID`.
    pub rule_id: String,
    /// ARN of the role.
    pub role_arn: String,
    /// What makes the rule fail: objects are replicated again in vain until it is mended.
    pub findings: Vec<Finding>,
    /// The statements that the role lacks for a job, or may lack.
    pub lacks: Vec<StatementToAdd>,
    /// What could not be read of the role.
    pub unread: Vec<Unread>,
    /// The line of the AWS CLI that starts the job.
    pub command: String,
}

/// Says what a foreign rule's role lacks for a job.
pub fn foreign_job(evidence: &ForeignJobEvidence<'_>) -> ForeignJob {
    let mut unread = Vec::new();
    let lacks = match evidence.role {
        Ok(Some(role)) => missing_statements(evidence, role, &mut unread),
        Ok(None) => Vec::new(),
        Err(reason) => {
            unread.push(reason.clone());
            all_statements(evidence)
        }
    };
    let rules = evidence.diagnosis.rules.iter();
    let findings = rules.flat_map(|rule| rule.findings.iter());
    let failures = findings.filter(|finding| finding.severity.is_failure());
    unread.sort();
    unread.dedup();
    ForeignJob {
        source_bucket: evidence.location.bucket.to_string(),
        rule_id: evidence.rule.id().unwrap_or_default().to_owned(),
        role_arn: evidence.role_arn.to_owned(),
        findings: failures.cloned().collect(),
        lacks,
        unread,
        command: command(evidence),
    }
}

/// The statements for a job, each with the resource whose policy needs it.
fn all_statements(evidence: &ForeignJobEvidence<'_>) -> Vec<StatementToAdd> {
    let role = evidence.role_arn;
    let document = document(evidence);
    let rights = [JOB_OBJECTS, JOB_MANIFEST, JOB_REPORT].into_iter();
    let rights = rights.filter_map(|sid| document.statement(sid).cloned());
    let trust = iam_policy::job_trust_statement();
    let target = format!("the trust policy of role `{role}`");
    std::iter::once(StatementToAdd { target, statement: trust })
        .chain(rights.map(|statement| StatementToAdd {
            target: format!("a policy of role `{role}`"),
            statement,
        }))
        .collect()
}

fn missing_statements(
    evidence: &ForeignJobEvidence<'_>,
    role: &RoleEvidence,
    unread: &mut Vec<Unread>,
) -> Vec<StatementToAdd> {
    let account = &evidence.identity.account;
    let policies = RolePolicies::read(role, unread);
    unread.extend(role.inline.as_ref().err().cloned());
    unread.extend(role.managed.values().filter_map(|policy| policy.as_ref().err().cloned()));
    let mut missing: BTreeSet<usize> = BTreeSet::new();
    if !trusts(role, account, SERVICE, unread) {
        missing.insert(0);
    }
    for JobCall { statement, action, resource } in job_calls(evidence) {
        if !is_allowed(role, &policies, account, action, &resource) {
            missing.insert(statement);
        }
    }
    let all = all_statements(evidence).into_iter().enumerate();
    all.filter(|(number, _)| missing.contains(number)).map(|(_, statement)| statement).collect()
}

/// A call of a job, and the number of the statement that allows it.
struct JobCall {
    statement: usize,
    action: &'static str,
    resource: Text,
}

fn job_calls(evidence: &ForeignJobEvidence<'_>) -> [JobCall; 4] {
    let partition = evidence.identity.partition;
    let bucket = evidence.location.bucket.arn(partition);
    let prefix = evidence.rule.filter().prefix().unwrap_or_default();
    let report = evidence.report;
    let folder = match report.prefix.as_str() {
        "" => "job-any".to_owned(),
        prefix => format!("{prefix}/job-any"),
    };
    let manifest = format!("{}/{folder}/manifest.json", report.bucket.arn(partition));
    let call = |statement, action, resource| JobCall { statement, action, resource };
    [
        call(1, "s3:InitiateReplication", Text::Open(format!("{bucket}/{prefix}"))),
        call(2, "s3:GetReplicationConfiguration", bucket.as_str().into()),
        call(2, "s3:PutInventoryConfiguration", bucket.into()),
        call(3, "s3:PutObject", manifest.into()),
    ]
}

/// Whether the role's policies certainly allow a call.
fn is_allowed(
    role: &RoleEvidence,
    policies: &RolePolicies,
    account: &Account,
    action: &str,
    resource: &Text,
) -> bool {
    let Ok(arn) = RoleArn::parse(&role.role.arn) else { return false };
    let mut context = Context::new().with("aws:SecureTransport", "true");
    for key in ABSENT {
        context = context.without(key);
    }
    let principal = Principal::RoleSession { role: arn, session: None };
    let request = Request {
        principal: &principal,
        action,
        resource,
        owner: Owner::Account(account),
        context: &context,
    };
    let policies = Policies {
        identity: &policies.identity,
        boundary: policies.boundary.as_ref(),
        resource: ResourcePolicy::Bucket(None),
        unread: policies.unread.clone(),
    };
    decide(&request, &policies) == Decision::Allowed
}

fn document(evidence: &ForeignJobEvidence<'_>) -> iam_policy::RolePolicyDocument {
    let prefix = evidence.rule.filter().prefix().unwrap_or_default();
    let source = &evidence.location.bucket;
    iam_policy::job_document(evidence.identity.partition, source, prefix, evidence.report)
}

/// The line of the AWS CLI that starts the job.
fn command(evidence: &ForeignJobEvidence<'_>) -> String {
    let location = evidence.location;
    shell::line(&[
        "aws",
        "s3control",
        "create-job",
        "--region",
        location.region.as_str(),
        "--account-id",
        location.owner.as_str(),
        "--no-confirmation-required",
        "--priority",
        "10",
        "--role-arn",
        evidence.role_arn,
        "--operation",
        r#"{"S3ReplicateObject": {}}"#,
        "--manifest-generator",
        &manifest_generator(evidence).to_string(),
        "--report",
        &report(evidence).to_string(),
    ])
}

/// The list of the job's objects, which S3 makes.
fn manifest_generator(evidence: &ForeignJobEvidence<'_>) -> Value {
    let ForeignJobEvidence { identity, location, .. } = evidence;
    let statuses = match evidence.selection {
        ObjectSelection::Unreplicated => json!(["NONE", "FAILED"]),
        ObjectSelection::Failed => json!(["FAILED"]),
    };
    let mut filter = json!({"EligibleForReplication": true, "ObjectReplicationStatuses": statuses});
    let prefix = evidence.rule.filter().prefix().unwrap_or_default();
    if let (false, Some(filter)) = (prefix.is_empty(), filter.as_object_mut()) {
        filter.insert("KeyNameConstraint".to_owned(), json!({"MatchAnyPrefix": [prefix]}));
    }
    json!({"S3JobManifestGenerator": {
        "ExpectedBucketOwner": location.owner,
        "SourceBucket": location.bucket.arn(identity.partition),
        "EnableManifestOutput": false,
        "Filter": filter,
    }})
}

/// The place of the job's report.
fn report(evidence: &ForeignJobEvidence<'_>) -> Value {
    let ForeignJobEvidence { identity, report, .. } = evidence;
    let mut place = json!({
        "Enabled": true,
        "Bucket": report.bucket.arn(identity.partition),
        "Format": "Report_CSV_20180820",
        "ReportScope": "FailedTasksOnly",
    });
    // The AWS CLI refuses an empty prefix.
    if let (false, Some(place)) = (report.prefix.is_empty(), place.as_object_mut()) {
        place.insert("Prefix".to_owned(), json!(report.prefix));
    }
    place
}
