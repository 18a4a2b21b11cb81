//! The text of plans: for each action the API's operation, the resource, and the changes as `path: before => after`.

use std::fmt;

use super::{Action, Plan};
use crate::iam_policy::{RolePolicyDocument, Statement};
use crate::model::{
    Alarm, Encryption, OWNER_TAG, ReplicationConfiguration, ResourcePolicyTarget, Versioning,
};

/// One value that an action changes.
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

impl Change {
    /// The display text of a value before or after.
    pub fn shown(value: Option<&str>) -> &str {
        match value {
            None => "(none)",
            Some("") => "\"\"",
            Some(value) => value,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) =
            (Self::shown(self.before.as_deref()), Self::shown(self.after.as_deref()));
        write!(formatter, "{}: {before} => {after}", self.path)
    }
}

type Lines = Vec<(String, String)>;

fn changes(before: Lines, after: Lines) -> Vec<Change> {
    let find = |lines: &Lines, path: &str| {
        lines.iter().find(|(other, _)| other == path).map(|(_, value)| value.clone())
    };
    let removed =
        before.iter().filter(|(path, _)| find(&after, path).is_none()).map(|(path, _)| path);
    let paths: Vec<&String> = after.iter().map(|(path, _)| path).chain(removed).collect();
    paths
        .into_iter()
        .map(|path| Change {
            path: path.clone(),
            before: find(&before, path),
            after: find(&after, path),
        })
        .filter(|change| change.before != change.after)
        .collect()
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
            | Self::DeleteRole { name } => {
                format!("role `{name}`")
            }
            Self::PutStatement { target, statement, .. } => statement_of(statement.sid(), target),
            Self::RemoveStatement { target, sid, .. } => statement_of(sid, target),
            Self::StartJob { job } => {
                format!("the existing objects of bucket `{}`", job.location.bucket)
            }
            Self::CancelJob { id, .. } => format!("job `{id}`"),
            Self::UntagRole { role, tag, .. } => format!("tag `{tag}` of role `{role}`"),
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
            | Self::PutRolePermissionsBoundary { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::PutStatement { .. }
            | Self::RemoveStatement { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::UntagRole { .. }
            | Self::PutReplication { .. }
            | Self::DeleteReplication { .. } => None,
        }
    }

    /// The values that the action changes. A new document has no changes, since [`Action::document`] returns it.
    pub fn changes(&self) -> Vec<Change> {
        let line = |path: &str, value: String| (path.to_owned(), value);
        match self {
            Self::CreateBucket { location, source } => changes(
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
                changes(before, vec![line("Versioning", "Enabled".to_owned())])
            }
            Self::EncryptBucket { before, key, .. } => {
                let wanted = Encryption::Kms { key: Some(key.clone()), bucket_key: true };
                changes(
                    vec![line("DefaultEncryption", before.to_string())],
                    vec![line("DefaultEncryption", wanted.to_string())],
                )
            }
            Self::BlockPublicAccess { .. } => changes(
                vec![line("PublicAccess", "not blocked".to_owned())],
                vec![line("PublicAccess", "blocked".to_owned())],
            ),
            Self::CreateRole { path, boundary, source, .. } => {
                let mut lines = vec![
                    line("Path", path.clone()),
                    line(&format!("Tags.{OWNER_TAG}"), source.to_string()),
                ];
                lines.extend(boundary.iter().map(|arn| line("PermissionsBoundary", arn.clone())));
                changes(Lines::new(), lines)
            }
            Self::UpdateAssumeRolePolicy { before, trust, .. } => {
                changes(document_lines(before), trust.lines())
            }
            Self::PutRolePermissionsBoundary { before, boundary, .. } => {
                let before =
                    before.iter().map(|arn| line("PermissionsBoundary", arn.clone())).collect();
                changes(before, vec![line("PermissionsBoundary", boundary.clone())])
            }
            Self::PutStatement { before, statement, .. } => {
                let before = before.as_deref().map(Statement::lines_of_text).unwrap_or_default();
                changes(before, Statement::lines_of_text(&statement.to_string()))
            }
            Self::RemoveStatement { before, .. } => {
                changes(Statement::lines_of_text(before), Lines::new())
            }
            Self::PutAlarm { before, alarm, .. } => {
                changes(before.as_deref().map(alarm_lines).unwrap_or_default(), alarm_lines(alarm))
            }
            Self::DeleteAlarm { alarm } => changes(alarm_lines(alarm), Lines::new()),
            Self::StartJob { job } => changes(
                Lines::new(),
                vec![
                    line("Operation", "S3ReplicateObject".to_owned()),
                    line("Filter.MatchAnyPrefix", job.prefix.clone()),
                    line("Filter.ObjectReplicationStatuses", "NONE, FAILED".to_owned()),
                    line("Report.Bucket", job.report.bucket.to_string()),
                    line("Report.Prefix", job.report.prefix.clone()),
                    line("RoleArn", job.role_arn.clone()),
                ],
            ),
            Self::CancelJob { before, .. } => changes(
                vec![line("Status", before.clone())],
                vec![line("Status", "Cancelled".to_owned())],
            ),
            Self::UntagRole { before, .. } => {
                changes(vec![line("Value", before.clone())], Lines::new())
            }
            Self::PutRolePolicy { before: None, .. } => Vec::new(),
            Self::PutRolePolicy { before: Some(before), document, .. } => {
                changes(document_lines(before), document.lines())
            }
            Self::DeleteRolePolicy { before, .. } => changes(document_lines(before), Lines::new()),
            Self::DeleteRole { name } => {
                changes(vec![line("Role", name.to_string())], Lines::new())
            }
            Self::PutReplication { before, configuration, .. } => changes(
                before.as_ref().map(ReplicationConfiguration::lines).unwrap_or_default(),
                configuration.lines(),
            ),
            Self::DeleteReplication { before, .. } => changes(before.lines(), Lines::new()),
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 => formatter.write_str("SSE-S3"),
            Self::Kms { key, bucket_key } => {
                let key = key.as_deref().unwrap_or("alias/aws/s3");
                write!(formatter, "KMS {key}{}", if *bucket_key { " with Bucket Key" } else { "" })
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(formatter, "nothing to do")?;
        }
        for stage in &self.stages {
            writeln!(formatter, "stage {}", stage.name)?;
            for action in &stage.actions {
                writeln!(formatter, "  {} on {}", action.operation(), action.resource())?;
                for change in action.changes() {
                    writeln!(formatter, "    {change}")?;
                }
                if let Some(document) = action.document() {
                    let document =
                        serde_json::to_string_pretty(document).map_err(|_| fmt::Error)?;
                    writeln!(formatter, "    document:")?;
                    document.lines().try_for_each(|line| writeln!(formatter, "      {line}"))?;
                }
            }
        }
        self.kept.iter().try_for_each(|kept| writeln!(formatter, "kept: {kept}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(formatter, "warning: {warning}"))
    }
}

/// The lines of a document. A document whose form differs from ours is one line.
fn document_lines(text: &str) -> Lines {
    RolePolicyDocument::parse(text)
        .map_or_else(|| vec![("Document".to_owned(), text.to_owned())], |document| document.lines())
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
    let mut lines = Lines::from([
        ("Metric".to_owned(), format!("{namespace} {metric}")),
        (
            "Condition".to_owned(),
            format!(
                "{statistic} of {period} s {comparison} {threshold}, {periods} times, missing data {missing_data}"
            ),
        ),
        ("AlarmActions".to_owned(), alarm.actions.join(", ")),
        ("ActionsEnabled".to_owned(), alarm.actions_enabled.to_string()),
    ]);
    lines.extend(
        alarm.dimensions.iter().map(|(name, value)| (format!("Dimensions.{name}"), value.clone())),
    );
    lines
}
