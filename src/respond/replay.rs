//! The answer to a Replay.

use serde::Serialize;
use serde_json::Value;

use super::plan::PlanAnswer;
use crate::diagnose::{Finding, ForeignJob, Unread};
use crate::iam_policy::Statement;
use crate::plan::{Detail, StatementToAdd};
use crate::reconcile::{Replay, ReplayStatus, ReplayedRule};

/// The answer to a Replay.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ReplayAnswer {
    /// About a rule of ours.
    Own(Box<OwnAnswer>),
    /// About a foreign rule.
    Foreign(Box<ForeignAnswer>),
}

/// The answer about a rule of ours.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OwnAnswer {
    status: ReplayStatus,
    source_bucket: String,
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(flatten)]
    plan: PlanAnswer,
}

/// The answer about a foreign rule: what others have to do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ForeignAnswer {
    status: &'static str,
    source_bucket: String,
    rule_id: String,
    role_arn: String,
    findings: Vec<Finding>,
    lacks: Vec<LackedStatement>,
    unread: Vec<Unread>,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A statement that a policy lacks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LackedStatement {
    target: String,
    statement: Statement,
}

impl From<&Replay> for ReplayAnswer {
    fn from(replay: &Replay) -> Self {
        match replay {
            Replay::Own(replayed) => {
                let mut plan = PlanAnswer::from(&replayed.plan);
                plan.text = Some(replay_text(replay));
                Self::Own(Box::new(OwnAnswer {
                    status: replayed.status,
                    source_bucket: replayed.rule.source.to_string(),
                    rule_id: replayed.rule.id.to_string(),
                    job_id: replayed.job_id.clone(),
                    plan,
                }))
            }
            Replay::Foreign(job) => {
                let lacked = |StatementToAdd { target, statement }: &StatementToAdd| {
                    LackedStatement { target: target.clone(), statement: statement.clone() }
                };
                Self::Foreign(Box::new(ForeignAnswer {
                    status: "Foreign",
                    source_bucket: job.source_bucket.clone(),
                    rule_id: job.rule_id.clone(),
                    role_arn: job.role_arn.clone(),
                    findings: job.findings.clone(),
                    lacks: job.lacks.iter().map(lacked).collect(),
                    unread: job.unread.clone(),
                    command: job.command.clone(),
                    text: Some(replay_text(replay)),
                }))
            }
        }
    }
}

impl ReplayAnswer {
    /// The answer without the text for a person, which repeats the other elements.
    #[must_use]
    pub fn without_text(self) -> Self {
        match self {
            Self::Own(answer) => {
                Self::Own(Box::new(OwnAnswer { plan: answer.plan.without_text(), ..*answer }))
            }
            Self::Foreign(answer) => {
                Self::Foreign(Box::new(ForeignAnswer { text: None, ..*answer }))
            }
        }
    }
}

/// The text about a Replay for a person.
pub fn replay_text(replay: &Replay) -> String {
    match replay {
        Replay::Own(replayed) => own_text(replayed),
        Replay::Foreign(job) => foreign_text(job),
    }
}

fn own_text(ReplayedRule { rule, status, job_id, plan }: &ReplayedRule) -> String {
    let job = job_id.as_deref().unwrap_or_default();
    let result = match status {
        ReplayStatus::Planned => "Planned".to_owned(),
        ReplayStatus::Started => format!("job `{job}` was started"),
        ReplayStatus::Running => format!("job `{job}` runs already, so no other was started"),
    };
    let heading = format!("rule `{}` of bucket `{}`: {result}", rule.id, rule.source);
    let lines = match status {
        ReplayStatus::Planned => plan.lines(Detail::Changes),
        ReplayStatus::Started | ReplayStatus::Running => Vec::new(),
    };
    let lines = lines.into_iter().map(|line| line.to_string());
    std::iter::once(heading).chain(lines).map(|line| line + "\n").collect()
}

fn foreign_text(job: &ForeignJob) -> String {
    let ForeignJob { source_bucket, rule_id, role_arn, findings, lacks, unread, command } = job;
    let mut text = format!(
        "rule `{rule_id}` of bucket `{source_bucket}` has role `{role_arn}`, which is not ours: nothing was changed\n"
    );
    if !findings.is_empty() {
        text += "mend first what makes S3 fail its objects:\n";
        for finding in findings {
            text += &format!("  {}: {}\n", finding.code, finding.message);
            text += &indented(finding.fix.as_deref().unwrap_or_default(), "    ");
        }
    }
    for StatementToAdd { target, statement } in lacks {
        text += &format!("add this statement to {target}:\n");
        let statement = serde_json::to_value(statement).unwrap_or(Value::Null);
        text += &indented(&format!("{statement:#}"), "  ");
    }
    for unread in unread {
        text += &format!("not read, so the role may have these rights: {unread}\n");
    }
    text + &format!("then start the job:\n  {command}\n")
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}
