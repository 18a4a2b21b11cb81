//! The values that an action changes, as lines of a plan.
//!
//! It owns the values of each thing before and after an action. It must not know how they are compared and shown.

use super::Action;
use crate::iam_policy::{RolePolicyDocument, Statement};
use crate::model::{Alarm, Encryption, OWNER_TAG, ReplicationConfiguration, Versioning};
use crate::plan::change::{self, Lines, line};
use crate::plan::{Change, Effect, NewJob, ObjectSelection};

impl Action {
    /// Whether the action adds, changes or removes something. For a replication configuration, that is our rule.
    pub fn effect(&self) -> Effect {
        match self.replication() {
            Some(write) => {
                Effect::between(write.rule_before().is_some(), write.rule_after().is_some())
            }
            None => Effect::between(!self.before().is_empty(), !self.after().is_empty()),
        }
    }

    /// The values that the action changes.
    pub fn changes(&self) -> Vec<Change> {
        change::changes(&self.before(), &self.after())
    }

    /// The values before the action; none where the thing does not exist yet.
    fn before(&self) -> Lines {
        match self {
            Self::CreateBucket { .. } | Self::CreateRole { .. } | Self::StartJob { .. } => {
                Lines::new()
            }
            Self::EnableVersioning { before, .. } => versioning_lines(*before),
            Self::EncryptBucket { before, .. } => one("DefaultEncryption", before),
            Self::BlockPublicAccess { .. } => one("PublicAccess", "not blocked"),
            Self::UpdateAssumeRolePolicy { before, .. } | Self::DeleteRole { before, .. } => {
                trust_lines(document_lines(before))
            }
            Self::PutRolePermissionsBoundary { before, .. } => {
                if_any(before.as_deref(), |arn| one("PermissionsBoundary", arn))
            }
            Self::PutRolePolicy { before, .. } => if_any(before.as_deref(), document_lines),
            Self::DeleteRolePolicy { before, .. } => document_lines(before),
            Self::PutStatement { before, .. } => {
                if_any(before.as_deref(), Statement::lines_of_text)
            }
            Self::RemoveStatement { before, .. } => Statement::lines_of_text(before),
            Self::PutAlarm { before, .. } => if_any(before.as_deref(), alarm_lines),
            Self::DeleteAlarm { alarm } => alarm_lines(alarm),
            Self::CancelJob { before, .. } => one("Status", before),
            Self::KeepForNow { before, .. } | Self::TagRole { before, .. } => {
                if_any(before.as_deref(), |tag| one("Value", tag))
            }
            Self::UntagRole { before, .. } => one("Value", before),
            Self::PutReplication { before, .. } => if_any(before.as_ref(), configuration_lines),
            Self::DeleteReplication { before, .. } => configuration_lines(before),
        }
    }

    /// The values after the action; none where the thing does not exist any more.
    fn after(&self) -> Lines {
        match self {
            Self::CreateBucket { location, source } => {
                [one("Region", &location.region), owner_lines(source)].concat()
            }
            Self::EnableVersioning { .. } => versioning_lines(Versioning::Enabled),
            Self::EncryptBucket { key, .. } => {
                one("DefaultEncryption", &Encryption::with_bucket_key(key))
            }
            Self::BlockPublicAccess { .. } => one("PublicAccess", "blocked"),
            Self::CreateRole { path, trust, boundary, owner, .. } => {
                let boundary = if_any(boundary.as_deref(), |arn| one("PermissionsBoundary", arn));
                [one("Path", path), owner_lines(owner), boundary, trust_lines(trust.lines())]
                    .concat()
            }
            Self::UpdateAssumeRolePolicy { trust, .. } => trust_lines(trust.lines()),
            Self::PutRolePermissionsBoundary { boundary, .. } => {
                one("PermissionsBoundary", boundary)
            }
            Self::PutRolePolicy { document, .. } => document.lines(),
            Self::PutStatement { statement, .. } => {
                Statement::lines_of_text(&statement.to_string())
            }
            Self::PutAlarm { alarm, .. } => alarm_lines(alarm),
            Self::StartJob { job } => job_lines(job),
            Self::CancelJob { .. } => one("Status", "Cancelled"),
            Self::KeepForNow { .. } => one("Value", "25 hours from now"),
            Self::TagRole { value, .. } => one("Value", value),
            Self::PutReplication { configuration, .. } => configuration_lines(configuration),
            Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::RemoveStatement { .. }
            | Self::DeleteAlarm { .. }
            | Self::UntagRole { .. }
            | Self::DeleteReplication { .. } => Lines::new(),
        }
    }
}

fn one(path: &str, value: &(impl ToString + ?Sized)) -> Lines {
    vec![line(path, value.to_string())]
}

fn if_any<T>(value: Option<T>, lines: impl FnOnce(T) -> Lines) -> Lines {
    value.map(lines).unwrap_or_default()
}

fn versioning_lines(versioning: Versioning) -> Lines {
    match versioning {
        Versioning::Off => Lines::new(),
        Versioning::Enabled => one("Versioning", "Enabled"),
        Versioning::Suspended => one("Versioning", "Suspended"),
    }
}

fn owner_lines(owner: &(impl ToString + ?Sized)) -> Lines {
    one(&format!("Tags.{OWNER_TAG}"), owner)
}

/// The lines of a document. A document whose form differs from ours is one line.
fn document_lines(text: &str) -> Lines {
    RolePolicyDocument::parse(text)
        .map_or_else(|| vec![line("Document", text.to_owned())], |document| document.lines())
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
