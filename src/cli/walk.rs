//! A replication policy held against every bucket of the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::stream::{self, StreamExt};
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{BucketName, ListedBucket, RuleId};
use s3_kms_replication::plan::{Action, Plan};
use s3_kms_replication::ports::Read;
use s3_kms_replication::reconcile::{self, BucketOutcome, Outcome, ReconcileRequest};
use serde::Serialize;

use crate::options::{self, Apply, Common, Deployment, Output, Walk};
use crate::progress::Progress;
use crate::session::{CHANGES, Session};
use crate::{DONE, FAILED, Failure, PENDING, error_message, screen};

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

pub async fn plan(
    asked: &options::Plan,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
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
        if !asked
            .consent
            .ask(&format!("Change {} of {} buckets?", pending.len(), buckets.len()))
            .await
        {
            return Ok(FAILED);
        }
        buckets.retain(|bucket| pending.contains(bucket.name.as_str()));
    }
    let rows = Rows::of(buckets, &session, &asked.walk, false, progress).await;
    rows.show(common)?;
    Ok(rows.exit_code())
}

async fn session(
    walk: &Walk,
    deployment: &Deployment,
    common: &Common,
    progress: &Progress,
) -> Result<Session, Failure> {
    let settings =
        Settings { policy: walk.policy()?, ..deployment.settings(common.region.as_ref())? };
    progress.listen(false);
    Session::new(common, settings).await
}

async fn list(session: &Session, progress: &Progress) -> Result<Vec<ListedBucket>, Failure> {
    progress
        .during("Listing the account's buckets", session.aws.buckets())
        .await
        .map_err(|failure| Error::from(failure).into())
}

impl Rows {
    async fn of(
        buckets: Vec<ListedBucket>,
        session: &Session,
        walk: &Walk,
        dry_run: bool,
        progress: &Progress,
    ) -> Self {
        progress
            .bar(buckets.len(), if dry_run { "Looking at buckets" } else { "Working on buckets" });
        let rows = stream::iter(buckets).map(async |bucket| {
            let rows = reconcile_bucket(&bucket, session, dry_run).await;
            progress.advance();
            rows
        });
        let rows: Vec<Vec<Row>> = rows.buffer_unordered(walk.concurrency.into()).collect().await;
        progress.clear();
        let mut rows: Vec<Row> = rows.into_iter().flatten().collect();
        rows.sort_by(|one, other| {
            (&one.bucket, &one.rule_id).cmp(&(&other.bucket, &other.rule_id))
        });
        let mut summary = BTreeMap::new();
        for row in &rows {
            *summary.entry(row.state).or_default() += 1;
        }
        Self { rows, summary }
    }

    fn pending(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| matches!(row.state, State::Missing | State::Drifted | State::Withdrawn))
    }

    fn exit_code(&self) -> i32 {
        if self.rows.iter().any(|row| matches!(row.state, State::Failed | State::Unverified)) {
            FAILED
        } else {
            DONE
        }
    }

    fn show(&self, common: &Common) -> Result<(), Failure> {
        if common.output == Output::Json {
            return screen::print_json(self);
        }
        let rows = self.rows.iter().map(|Row { bucket, rule_id, state, why }| {
            [bucket.clone(), state.to_string(), rule_id.clone(), why.clone()]
        });
        let summary = self
            .summary
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect::<Vec<_>>()
            .join(", ");
        let table = screen::table(["BUCKET", "STATE", "RULE", "WHY"], &rows.collect::<Vec<_>>());
        screen::print(&format!(
            "{table}\n{}\n",
            if summary.is_empty() { "the account has no buckets" } else { &summary }
        ))
    }
}

async fn reconcile_bucket(bucket: &ListedBucket, session: &Session, dry_run: bool) -> Vec<Row> {
    let row = |rule_id: &str, state, why| Row {
        bucket: bucket.name.clone(),
        rule_id: rule_id.to_owned(),
        state,
        why,
    };
    let name = match BucketName::parse(&bucket.name) {
        Ok(name) => name,
        Err(problem) => return vec![row("", State::Skipped, format!("the name {problem}"))],
    };
    let expected = bucket.region.as_ref().unwrap_or(&session.settings.region);
    let request = ReconcileRequest { bucket: &name, expected, remove_if_gone: false, dry_run };
    match session.engine(CHANGES).reconcile_bucket(&request).await {
        Ok(BucketOutcome::Skipped(why)) => vec![row("", State::Skipped, why)],
        Ok(BucketOutcome::Retired(plan)) => {
            vec![row("", State::Removed, why(State::Removed, &plan))]
        }
        Ok(BucketOutcome::Rules(rules)) => {
            // The rules of the other direction are those of another bucket, which has rows of its own.
            let of_this = |(_, ended): &(RuleId, Result<Outcome, reconcile::Error>)| {
                ended.as_ref().map_or(true, |outcome| outcome.rule.source == name)
            };
            let rows = rules.into_iter().filter(of_this).map(|(rule_id, ended)| match ended {
                Ok(outcome) => {
                    let state = state(&outcome, dry_run);
                    row(rule_id.as_str(), state, why(state, &outcome.plan))
                }
                Err(reconcile::Error::VerifyPending { .. }) => row(
                    rule_id.as_str(),
                    State::Unverified,
                    "S3 has yet to replicate the canary".to_owned(),
                ),
                Err(error) => row(rule_id.as_str(), State::Failed, error_message(error.into())),
            });
            rows.collect()
        }
        Err(error) => vec![row("", State::Failed, error_message(error.into()))],
    }
}

fn state(outcome: &Outcome, dry_run: bool) -> State {
    let adds = outcome.plan.actions().any(adds_rule);
    match (outcome.plan.is_empty(), outcome.attributes.is_none(), dry_run) {
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

/// Whether the action writes a rule that was not there before.
fn adds_rule(action: &Action) -> bool {
    match action {
        Action::PutReplication { before, rule, .. } => {
            before.as_ref().is_none_or(|before| before.rule(rule.as_str()).is_none())
        }
        _ => false,
    }
}

/// What is, or was, not as the policy says, of what was not there at all, how much that is; and what one should know of it.
fn why(state: State, plan: &Plan) -> String {
    let changes = match (state, plan.actions().count()) {
        (State::Missing | State::Created, 1) => "1 change".to_owned(),
        (State::Missing | State::Created, count) => format!("{count} changes"),
        _ => {
            let mut actions: Vec<&str> = plan.actions().map(Action::operation).collect();
            actions.dedup();
            actions.join(", ")
        }
    };
    let warnings = plan.warnings.iter().map(|warning| format!("warning: {warning}"));
    Some(changes)
        .filter(|changes| !changes.is_empty())
        .into_iter()
        .chain(warnings)
        .collect::<Vec<_>>()
        .join("; ")
}
