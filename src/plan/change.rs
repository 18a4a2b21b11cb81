//! What an action changes: for each action the API's operation, the resource, whether something is added, changed or removed, and the values
//! before and after.

use std::collections::BTreeSet;
use std::fmt;

use super::{Action, NewJob, ObjectSelection, Replaces};
use crate::iam_policy::{RolePolicyDocument, Statement};
use crate::model::{
    Alarm, Encryption, KEEP_TAG, OWNER_TAG, ReplicationConfiguration, ResourcePolicyTarget, RuleId,
    Versioning,
};

/// Whether something is added, changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is there before.
    Add,
    /// Something is there before and after.
    Change,
    /// Nothing is there after.
    Remove,
}

impl Effect {
    /// The sign that stands before a line.
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
        }
    }

    fn of_write(exists_before: bool) -> Self {
        if exists_before { Self::Change } else { Self::Add }
    }
}

/// One value that an action changes. Of a list in a policy document, only the members that are added or removed are in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Change {
    /// The path of the value, such as `Rules[x].Priority`.
    pub path: String,
    /// The value before; `None` if there is none.
    #[serde(rename = "Was")]
    pub before: Option<String>,
    /// The value after; `None` if there is none.
    #[serde(rename = "Will")]
    pub after: Option<String>,
}

/// The sign, the path, and the values: `+ path: after`, `~ path: before => after`, `- path: before`.
impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.effect().sign(), self.text(&self.path))
    }
}

impl Change {
    /// Whether the value is added, changed or removed.
    pub fn effect(&self) -> Effect {
        match (&self.before, &self.after) {
            (None, _) => Effect::Add,
            (Some(_), Some(_)) => Effect::Change,
            (Some(_), None) => Effect::Remove,
        }
    }

    /// The change of the value at `path`, without its sign.
    pub(super) fn text(&self, path: &str) -> String {
        let shown = |value: &str| if value.is_empty() { "\"\"" } else { value }.to_owned();
        let values: Vec<String> =
            self.before.iter().chain(&self.after).map(|value| shown(value)).collect();
        format!("{path}: {}", values.join(" => "))
    }
}

/// Paths, each with its values. Only a list in a policy document has several values.
type Lines = Vec<(String, BTreeSet<String>)>;

fn line(path: &str, value: String) -> (String, BTreeSet<String>) {
    (path.to_owned(), BTreeSet::from([value]))
}

fn changes(before: &Lines, after: &Lines) -> Vec<Change> {
    let find = |lines: &Lines, path: &str| {
        lines.iter().find(|(other, _)| other == path).map(|(_, values)| values.clone())
    };
    let removed = before.iter().filter(|(path, _)| find(after, path).is_none());
    let change = |(path, _): &(String, BTreeSet<String>)| {
        let (before, after) =
            (find(before, path).unwrap_or_default(), find(after, path).unwrap_or_default());
        let members = |values: &BTreeSet<String>, others: &BTreeSet<String>| {
            let only: Vec<&str> = values.difference(others).map(String::as_str).collect();
            (!only.is_empty()).then(|| only.join(", "))
        };
        let (before, after) = (members(&before, &after), members(&after, &before));
        (before.is_some() || after.is_some()).then(|| Change { path: path.clone(), before, after })
    };
    after.iter().chain(removed).filter_map(change).collect()
}

impl Action {
    /// The API's operation, such as `PutBucketReplication`.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateBucket { .. } => "CreateBucket",
            Self::EnableVersioning { .. } => "PutBucketVersioning",
            Self::EncryptBucket { .. } => "PutBucketEncryption",
            Self::BlockPublicAccess { .. } => "PutPublicAccessBlock",
            Self::CreateRole { .. } => "CreateRole",
            Self::KeepForNow { .. } => "TagRole",
            Self::UpdateAssumeRolePolicy { .. } => "UpdateAssumeRolePolicy",
            Self::PutRolePermissionsBoundary { .. } => "PutRolePermissionsBoundary",
            Self::PutRolePolicy { .. } => "PutRolePolicy",
            Self::DeleteRolePolicy { .. } => "DeleteRolePolicy",
            Self::DeleteRole { .. } => "DeleteRole",
            Self::PutStatement { target, .. } | Self::RemoveStatement { target, .. } => {
                match target {
                    ResourcePolicyTarget::Bucket(_) => "PutBucketPolicy",
                    ResourcePolicyTarget::Key { .. } => "PutKeyPolicy",
                }
            }
            Self::PutAlarm { .. } => "PutMetricAlarm",
            Self::DeleteAlarm { .. } => "DeleteAlarms",
            Self::StartJob { .. } => "CreateJob",
            Self::CancelJob { .. } => "UpdateJobStatus",
            Self::TagRole { .. } => "TagRole",
            Self::UntagRole { .. } => "UntagRole",
            Self::PutReplication { .. } => "PutBucketReplication",
            Self::DeleteReplication { .. } => "DeleteBucketReplication",
        }
    }

    /// The resource that the action changes.
    pub fn resource(&self) -> String {
        match self {
            Self::CreateBucket { location, .. }
            | Self::EnableVersioning { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location }
            | Self::PutReplication { location, .. }
            | Self::DeleteReplication { location, .. } => format!("bucket `{}`", location.bucket),
            Self::CreateRole { name, .. }
            | Self::UpdateAssumeRolePolicy { name, .. }
            | Self::PutRolePermissionsBoundary { name, .. }
            | Self::DeleteRole { name, .. } => {
                format!("role `{name}`")
            }
            Self::PutStatement { target, statement, .. } => statement_of(statement.sid(), target),
            Self::RemoveStatement { target, sid, .. } => statement_of(sid, target),
            Self::StartJob { job } => {
                format!("the existing objects of bucket `{}`", job.location.bucket)
            }
            Self::CancelJob { id, .. } => format!("job `{id}`"),
            Self::KeepForNow { role, .. } => format!("tag `{KEEP_TAG}` of role `{role}`"),
            Self::TagRole { role, tag, .. } | Self::UntagRole { role, tag, .. } => {
                format!("tag `{tag}` of role `{role}`")
            }
            Self::PutAlarm { alarm, .. } | Self::DeleteAlarm { alarm } => {
                format!("alarm `{}`", alarm.name)
            }
            Self::PutRolePolicy { role, policy, .. }
            | Self::DeleteRolePolicy { role, policy, .. } => {
                format!("inline policy `{policy}` of role `{role}`")
            }
        }
    }

    /// The policy document that the action writes.
    pub fn document(&self) -> Option<&RolePolicyDocument> {
        match self {
            Self::CreateRole { trust, .. } | Self::UpdateAssumeRolePolicy { trust, .. } => {
                Some(trust)
            }
            Self::PutRolePolicy { document, .. } => Some(document),
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::KeepForNow { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::PutStatement { .. }
            | Self::RemoveStatement { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::PutReplication { .. }
            | Self::DeleteReplication { .. } => None,
        }
    }

    /// The policy document or statement that the action writes or removes, in full.
    pub(super) fn document_text(&self) -> Option<String> {
        match self {
            Self::CreateRole { trust, .. } | Self::UpdateAssumeRolePolicy { trust, .. } => {
                Some(pretty(&trust.to_string()))
            }
            Self::PutRolePolicy { document, .. } => Some(pretty(&document.to_string())),
            Self::PutStatement { statement, .. } => Some(pretty(&statement.to_string())),
            Self::DeleteRolePolicy { before, .. }
            | Self::DeleteRole { before, .. }
            | Self::RemoveStatement { before, .. } => Some(pretty(before)),
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::KeepForNow { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::PutReplication { .. }
            | Self::DeleteReplication { .. } => None,
        }
    }

    /// Whether the action adds, changes or removes something. For a replication configuration, that is our rule.
    pub fn effect(&self) -> Effect {
        match self {
            Self::CreateBucket { .. } | Self::CreateRole { .. } | Self::StartJob { .. } => {
                Effect::Add
            }
            Self::EnableVersioning { before, .. } => Effect::of_write(*before != Versioning::Off),
            Self::PutRolePermissionsBoundary { before, .. } => Effect::of_write(before.is_some()),
            Self::PutRolePolicy { before, .. } | Self::PutStatement { before, .. } => {
                Effect::of_write(before.is_some())
            }
            Self::PutAlarm { before, .. } => Effect::of_write(before.is_some()),
            Self::TagRole { before, .. } => Effect::of_write(before.is_some()),
            Self::KeepForNow { before, .. } => Effect::of_write(before.is_some()),
            Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::CancelJob { .. } => Effect::Change,
            Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::RemoveStatement { .. }
            | Self::DeleteAlarm { .. }
            | Self::UntagRole { .. }
            | Self::DeleteReplication { .. } => Effect::Remove,
            Self::PutReplication { before, configuration, rule, .. } => {
                match (
                    super::has_rule(rule, before.as_ref()),
                    super::has_rule(rule, Some(configuration)),
                ) {
                    (_, false) => Effect::Remove,
                    (exists_before, true) => Effect::of_write(exists_before),
                }
            }
        }
    }

    /// The values that the action changes.
    pub fn changes(&self) -> Vec<Change> {
        let (before, after) = match self {
            Self::CreateBucket { location, source } => (
                Lines::new(),
                vec![
                    line("Region", location.region.to_string()),
                    line(&format!("Tags.{OWNER_TAG}"), source.to_string()),
                ],
            ),
            Self::EnableVersioning { before, .. } => {
                let before = match before {
                    Versioning::Off => Lines::new(),
                    Versioning::Enabled => vec![line("Versioning", "Enabled".to_owned())],
                    Versioning::Suspended => vec![line("Versioning", "Suspended".to_owned())],
                };
                (before, vec![line("Versioning", "Enabled".to_owned())])
            }
            Self::EncryptBucket { before, key, .. } => {
                let wanted = Encryption::with_bucket_key(key);
                (
                    vec![line("DefaultEncryption", before.to_string())],
                    vec![line("DefaultEncryption", wanted.to_string())],
                )
            }
            Self::BlockPublicAccess { .. } => (
                vec![line("PublicAccess", "not blocked".to_owned())],
                vec![line("PublicAccess", "blocked".to_owned())],
            ),
            Self::CreateRole { path, trust, boundary, owner, .. } => {
                let mut lines = vec![
                    line("Path", path.clone()),
                    line(&format!("Tags.{OWNER_TAG}"), owner.to_string()),
                ];
                lines.extend(boundary.iter().map(|arn| line("PermissionsBoundary", arn.clone())));
                lines.extend(trust_lines(trust.lines()));
                (Lines::new(), lines)
            }
            Self::UpdateAssumeRolePolicy { before, trust, .. } => {
                (trust_lines(document_lines(before)), trust_lines(trust.lines()))
            }
            Self::PutRolePermissionsBoundary { before, boundary, .. } => {
                let before =
                    before.iter().map(|arn| line("PermissionsBoundary", arn.clone())).collect();
                (before, vec![line("PermissionsBoundary", boundary.clone())])
            }
            Self::PutStatement { before, statement, .. } => {
                let before = before.as_deref().map(Statement::lines_of_text).unwrap_or_default();
                (before, Statement::lines_of_text(&statement.to_string()))
            }
            Self::RemoveStatement { before, .. } => {
                (Statement::lines_of_text(before), Lines::new())
            }
            Self::PutAlarm { before, alarm, .. } => {
                (before.as_deref().map(alarm_lines).unwrap_or_default(), alarm_lines(alarm))
            }
            Self::DeleteAlarm { alarm } => (alarm_lines(alarm), Lines::new()),
            Self::StartJob { job } => (Lines::new(), job_lines(job)),
            Self::CancelJob { before, .. } => {
                (vec![line("Status", before.clone())], vec![line("Status", "Cancelled".to_owned())])
            }
            Self::KeepForNow { before, .. } => (
                before.iter().map(|time| line("Value", time.clone())).collect(),
                vec![line("Value", "25 hours from now".to_owned())],
            ),
            Self::TagRole { before, value, .. } => (
                before.iter().map(|before| line("Value", before.clone())).collect(),
                vec![line("Value", value.clone())],
            ),
            Self::UntagRole { before, .. } => (vec![line("Value", before.clone())], Lines::new()),
            Self::PutRolePolicy { before, document, .. } => {
                (before.as_deref().map(document_lines).unwrap_or_default(), document.lines())
            }
            Self::DeleteRolePolicy { before, .. } => (document_lines(before), Lines::new()),
            Self::DeleteRole { before, .. } => (trust_lines(document_lines(before)), Lines::new()),
            Self::PutReplication { before, configuration, .. } => (
                before.as_ref().map(configuration_lines).unwrap_or_default(),
                configuration_lines(configuration),
            ),
            Self::DeleteReplication { before, .. } => (configuration_lines(before), Lines::new()),
        };
        changes(&before, &after)
    }

    /// The rule whose values the action changes among those of other rules.
    pub(super) fn changed_rule(&self) -> Option<&RuleId> {
        match self.replaces() {
            Replaces::Replication(write) => Some(write.rule),
            Replaces::ResourcePolicy(_) | Replaces::Nothing => None,
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 => formatter.write_str("SSE-S3"),
            Self::Kms { key, bucket_key, .. } => {
                let key = key.as_deref().unwrap_or("alias/aws/s3");
                write!(formatter, "KMS {key}{}", if *bucket_key { " with Bucket Key" } else { "" })
            }
        }
    }
}

/// The lines of a document. A document whose form differs from ours is one line.
fn document_lines(text: &str) -> Lines {
    RolePolicyDocument::parse(text)
        .map_or_else(|| vec![line("Document", text.to_owned())], |document| document.lines())
}

/// A document or a statement on lines. Only those in the form of ours have their members in the usual order.
fn pretty(text: &str) -> String {
    let ours = RolePolicyDocument::parse(text)
        .map(|document| serde_json::to_string_pretty(&document))
        .or_else(|| {
            Some(serde_json::to_string_pretty(&serde_json::from_str::<Statement>(text).ok()?))
        });
    let parsed = || serde_json::from_str::<serde_json::Value>(text);
    let pretty = ours.unwrap_or_else(|| serde_json::to_string_pretty(&parsed()?));
    pretty.unwrap_or_else(|_| text.to_owned())
}

/// The lines of a trust policy, beside the other values of its role.
fn trust_lines(lines: Lines) -> Lines {
    lines.into_iter().map(|(path, values)| (format!("TrustPolicy.{path}"), values)).collect()
}

fn configuration_lines(configuration: &ReplicationConfiguration) -> Lines {
    configuration.lines().into_iter().map(|(path, value)| line(&path, value)).collect()
}

fn job_lines(job: &NewJob) -> Lines {
    let statuses = match job.selection {
        ObjectSelection::Unreplicated => "NONE, FAILED",
        ObjectSelection::Failed => "FAILED",
    };
    vec![
        line("Operation", "S3ReplicateObject".to_owned()),
        line("Filter.MatchAnyPrefix", job.prefix.clone()),
        line("Filter.ObjectReplicationStatuses", statuses.to_owned()),
        line("Report.Bucket", job.report.bucket.to_string()),
        line("Report.Prefix", job.report.prefix.clone()),
        line("RoleArn", job.role_arn.clone()),
    ]
}

fn statement_of(sid: &str, target: &ResourcePolicyTarget) -> String {
    format!("statement `{sid}` of the policy of {target}")
}

fn alarm_lines(alarm: &Alarm) -> Lines {
    let Alarm {
        namespace,
        metric,
        statistic,
        period,
        periods,
        comparison,
        threshold,
        missing_data,
        ..
    } = alarm;
    let mut lines = vec![
        line("Metric", format!("{namespace} {metric}")),
        line(
            "Condition",
            format!(
                "{statistic} of {period} s {comparison} {threshold}, {periods} times, missing data {missing_data}"
            ),
        ),
        ("AlarmActions".to_owned(), alarm.actions.iter().cloned().collect()),
        line("ActionsEnabled", alarm.actions_enabled.to_string()),
    ];
    lines.extend(
        alarm
            .dimensions
            .iter()
            .map(|(name, value)| line(&format!("Dimensions.{name}"), value.clone())),
    );
    lines
}
