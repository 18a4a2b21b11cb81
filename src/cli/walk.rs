//! A replication policy held against every bucket of the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::stream::{self, StreamExt};
use s3_kms_replication::cloud::{Cloud, ListedBucket};
use s3_kms_replication::error::Error;
use s3_kms_replication::plan::{Plan, Step};
use s3_kms_replication::reconcile::{Coverage, Outcome};
use s3_kms_replication::settings::Settings;
use s3_kms_replication::spec::{BucketName, RuleId};
use serde::Serialize;

use crate::options::{self, Apply, Common, Deployment, Output, Walk};
use crate::progress::Progress;
use crate::session::{CHANGES, Session};
use crate::{DONE, FAILED, Failure, PENDING, said, screen};

/// What the policy and a bucket are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum State {
    /// All is as the policy says.
    Configured,
    /// The rule is not there.
    Missing,
    /// The rule is there, and something is not as the policy says.
    Drifted,
    /// The rule is there, and the bucket has lost the tags that it was for.
    Withdrawn,
    /// It was missing, and is there.
    Created,
    /// It had drifted, and is as the policy says.
    Repaired,
    /// It was withdrawn, and is gone.
    Removed,
    /// S3 has yet to replicate the object that shows it.
    Unverified,
    /// The policy is not about this bucket.
    Skipped,
    /// It could not be looked at or changed.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("{self:?}").to_lowercase())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    bucket: String,
    rule_id: String,
    state: State,
    why: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rows {
    rows: Vec<Row>,
    summary: BTreeMap<State, usize>,
}

pub async fn plan(asked: &options::Plan, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let session = session(&asked.walk, &asked.deployment, common, progress).await?;
    let buckets = list(&session, progress).await?;
    let rows = Rows::of(buckets, &session, &asked.walk, true, progress).await;
    rows.show(common)?;
    Ok(match rows.exit_code() {
        DONE if asked.detailed_exitcode && rows.pending().next().is_some() => PENDING,
        code => code,
    })
}

/// A bucket that is as the policy says costs reads only, so what was interrupted is simply done again.
pub async fn apply(asked: &Apply, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    asked.consent.check(common, "`plan`")?;
    let session = session(&asked.walk, &asked.deployment, common, progress).await?;
    let mut buckets = list(&session, progress).await?;
    if !asked.consent.yes {
        let planned = Rows::of(buckets.clone(), &session, &asked.walk, true, progress).await;
        planned.show(common)?;
        let pending: BTreeSet<&str> = planned.pending().map(|row| row.bucket.as_str()).collect();
        if pending.is_empty() {
            return Ok(planned.exit_code());
        }
        if !asked.consent.ask(&format!("Change {} of {} buckets?", pending.len(), buckets.len())).await {
            return Ok(FAILED);
        }
        buckets.retain(|bucket| pending.contains(bucket.name.as_str()));
    }
    let rows = Rows::of(buckets, &session, &asked.walk, false, progress).await;
    rows.show(common)?;
    Ok(rows.exit_code())
}

async fn session(walk: &Walk, deployment: &Deployment, common: &Common, progress: &Progress) -> Result<Session, Failure> {
    let settings = Settings { policy: walk.policy()?, ..deployment.settings(common.region.as_ref())? };
    progress.listen(false);
    Session::new(common, settings).await
}

async fn list(session: &Session, progress: &Progress) -> Result<Vec<ListedBucket>, Failure> {
    progress.during("Listing the account's buckets", session.aws.buckets()).await.map_err(|failure| Error::from(failure).into())
}

impl Rows {
    async fn of(buckets: Vec<ListedBucket>, session: &Session, walk: &Walk, dry_run: bool, progress: &Progress) -> Self {
        progress.bar(buckets.len(), if dry_run { "Looking at buckets" } else { "Working on buckets" });
        let covered = stream::iter(buckets).map(async |bucket| {
            let rows = cover(&bucket, session, dry_run).await;
            progress.advance();
            rows
        });
        let covered: Vec<Vec<Row>> = covered.buffer_unordered(walk.concurrency.into()).collect().await;
        progress.clear();
        let mut rows: Vec<Row> = covered.into_iter().flatten().collect();
        rows.sort_by(|one, other| (&one.bucket, &one.rule_id).cmp(&(&other.bucket, &other.rule_id)));
        let mut summary = BTreeMap::new();
        for row in &rows {
            *summary.entry(row.state).or_default() += 1;
        }
        Self { rows, summary }
    }

    fn pending(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.state, State::Missing | State::Drifted | State::Withdrawn))
    }

    fn exit_code(&self) -> i32 {
        if self.rows.iter().any(|row| matches!(row.state, State::Failed | State::Unverified)) { FAILED } else { DONE }
    }

    fn show(&self, common: &Common) -> Result<(), Failure> {
        if common.output == Output::Json {
            return screen::print_json(self);
        }
        let rows =
            self.rows.iter().map(|Row { bucket, rule_id, state, why }| [bucket.clone(), state.to_string(), rule_id.clone(), why.clone()]);
        let summary = self.summary.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
        let table = screen::table(["BUCKET", "STATE", "RULE", "WHY"], &rows.collect::<Vec<_>>());
        screen::print(&format!("{table}\n{}\n", if summary.is_empty() { "the account has no buckets" } else { &summary }))
    }
}

async fn cover(bucket: &ListedBucket, session: &Session, dry_run: bool) -> Vec<Row> {
    let row = |rule_id: &str, state, why| Row { bucket: bucket.name.clone(), rule_id: rule_id.to_owned(), state, why };
    let name = match BucketName::parse(&bucket.name) {
        Ok(name) => name,
        Err(problem) => return vec![row("", State::Skipped, format!("the name {problem}"))],
    };
    let expected = bucket.region.as_ref().unwrap_or(&session.settings.region);
    let covered = session.engine(CHANGES).cover(&name, expected, false, dry_run).await;
    match covered {
        Ok(Coverage::Skipped(why)) => vec![row("", State::Skipped, why)],
        Ok(Coverage::Retired(plan)) => vec![row("", State::Removed, why(State::Removed, &plan))],
        Ok(Coverage::Rules(rules)) => {
            // The rules of the other direction of two are of another bucket, which has its own turn.
            let of_this =
                |(_, ended): &(RuleId, Result<Outcome, Error>)| ended.as_ref().map_or(true, |outcome| outcome.rule.source == name);
            let rows = rules.into_iter().filter(of_this).map(|(rule_id, ended)| match ended {
                Ok(outcome) => {
                    let state = state(&outcome, dry_run);
                    row(rule_id.as_str(), state, why(state, &outcome.plan))
                }
                Err(Error::VerifyPending { .. }) => {
                    row(rule_id.as_str(), State::Unverified, "S3 has yet to replicate the canary".to_owned())
                }
                Err(error) => row(rule_id.as_str(), State::Failed, said(error)),
            });
            rows.collect()
        }
        Err(error) => vec![row("", State::Failed, said(error))],
    }
}

fn state(outcome: &Outcome, dry_run: bool) -> State {
    let adds = outcome.plan.steps().any(adds_rule);
    match (outcome.plan.is_empty(), outcome.target.is_none(), dry_run) {
        (true, _, _) => State::Configured,
        (false, true, true) => State::Withdrawn,
        (false, true, false) => State::Removed,
        (false, false, true) => {
            if adds {
                State::Missing
            } else {
                State::Drifted
            }
        }
        (false, false, false) => {
            if adds {
                State::Created
            } else {
                State::Repaired
            }
        }
    }
}

/// Whether the step writes a rule that was not there before.
fn adds_rule(step: &Step) -> bool {
    match step {
        Step::PutReplication { was, rule, .. } => {
            let rules = was.as_ref().map(|was| was.rules()).unwrap_or_default();
            !rules.iter().any(|other| other.id() == Some(rule.as_str()))
        }
        _ => false,
    }
}

/// What is, or was, not as the policy says, of what was not there at all, how much that is; and what one should know of it.
fn why(state: State, plan: &Plan) -> String {
    let changes = match (state, plan.steps().count()) {
        (State::Missing | State::Created, 1) => "1 change".to_owned(),
        (State::Missing | State::Created, count) => format!("{count} changes"),
        _ => {
            let mut actions: Vec<&str> = plan.steps().map(Step::action).collect();
            actions.dedup();
            actions.join(", ")
        }
    };
    let warnings = plan.warnings.iter().map(|warning| format!("warning: {warning}"));
    Some(changes).filter(|changes| !changes.is_empty()).into_iter().chain(warnings).collect::<Vec<_>>().join("; ")
}
