//! The walk: applies a replication policy to every bucket of the account.
//!
//! It must not know what a rule needs: the engine reconciles each bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::stream::{self, StreamExt};
use s3_kms_replication::config::{Policy, PolicySource, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{BucketName, ListedBucket, RoleQuota};
use s3_kms_replication::plan::{Action, Plan};
use s3_kms_replication::ports::Read;
use s3_kms_replication::reconcile::{self, BucketOutcome, Outcome, ReconcileRequest, RuleOutcome};
use serde::Serialize;

use crate::options::{self, Apply, Common, Deployment, Output, Walk};
use crate::progress::Progress;
use crate::session::{CHANGE_TIME, Session};
use crate::{DONE, FAILED, Failure, PENDING, error_message, screen};

/// The state of a bucket's rule, compared with the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum State {
    /// The rule is as the policy requires.
    Configured,
    /// The rule does not exist.
    Missing,
    /// The rule exists, but differs from the policy.
    Drifted,
    /// The rule exists, but the bucket has lost the tags that the policy requires.
    Withdrawn,
    /// The rule was missing and has been created.
    Created,
    /// The rule had drifted and has been repaired.
    Repaired,
    /// The rule was withdrawn and has been removed.
    Removed,
    /// The rule is applied, but S3 has not yet replicated the canary.
    Unverified,
    /// No rule applies to this bucket; `why` says for what reason.
    Skipped,
    /// The bucket could not be read or changed.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl State {
    fn colored(self) -> String {
        let text = self.to_string();
        match self {
            Self::Configured | Self::Created | Self::Repaired | Self::Removed => {
                screen::green(&text)
            }
            Self::Missing | Self::Drifted | Self::Withdrawn | Self::Unverified => {
                screen::yellow(&text)
            }
            Self::Failed => screen::red(&text),
            Self::Skipped => text,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    bucket: String,
    rule_id: String,
    state: State,
    why: String,
    /// The names of the roles that the bucket's plan creates.
    #[serde(skip)]
    new_roles: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rows {
    rows: Vec<Row>,
    summary: BTreeMap<State, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Roles>,
}

/// The account's roles, and those that the policy needs in addition.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Roles {
    in_use: u32,
    quota: u32,
    needed: usize,
}

/// How to reconcile buckets.
struct Walker<'a> {
    session: &'a Session,
    /// The number of buckets to reconcile concurrently.
    concurrency: u8,
    progress: &'a Progress,
}

pub async fn plan(
    args: &options::Plan,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    let session = session(&args.walk, &args.deployment, common, progress).await?;
    let walker = Walker { session: &session, concurrency: args.walk.concurrency, progress };
    let buckets = list(&session, progress).await?;
    let mut rows = Rows::collect(buckets, &walker, true).await;
    rows.add_roles(&session).await;
    rows.print(common)?;
    Ok(match rows.exit_code() {
        DONE if args.detailed_exitcode && rows.pending().next().is_some() => PENDING,
        code => code,
    })
}

/// Applies the policy. After an interruption, the same command starts over: a bucket that is already configured costs reads only.
pub async fn apply(args: &Apply, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    args.confirmation.check(common, "`plan`")?;
    let session = session(&args.walk, &args.deployment, common, progress).await?;
    let walker = Walker { session: &session, concurrency: args.walk.concurrency, progress };
    let mut buckets = list(&session, progress).await?;
    // The rows of the buckets that need no change, or could not be planned. They belong to the result as well.
    let others: Vec<Row> = if !args.confirmation.yes {
        let planned = Rows::collect(buckets.clone(), &walker, true).await;
        planned.print(common)?;
        let pending: BTreeSet<&str> = planned.pending().map(|row| row.bucket.as_str()).collect();
        if pending.is_empty() {
            return Ok(planned.exit_code());
        }
        if !args
            .confirmation
            .confirm(&format!("Change {} of {} buckets?", pending.len(), buckets.len()))
            .await
        {
            return Ok(FAILED);
        }
        let is_pending = |name: &str| pending.contains(name);
        buckets.retain(|bucket| is_pending(&bucket.name));
        let others = planned.rows.iter().filter(|row| !is_pending(&row.bucket)).cloned();
        others.collect()
    } else {
        Vec::new()
    };
    let applied = Rows::collect(buckets, &walker, false).await;
    let rows = Rows::new(applied.rows.into_iter().chain(others).collect());
    rows.print(common)?;
    Ok(rows.exit_code())
}

async fn session(
    walk: &Walk,
    deployment: &Deployment,
    common: &Common,
    progress: &Progress,
) -> Result<Session, Failure> {
    let policy = options::read_policy(walk.policy.as_deref())?;
    if let Some(file) = &walk.policy
        && policy.as_ref().is_some_and(Policy::is_empty)
    {
        return Err(Failure::usage(format!(
            "--policy {}: `Rules` is empty, so the policy applies to no bucket",
            file.display()
        )));
    }
    let policy = policy.map(PolicySource::Inline);
    let settings = Settings { policy, ..deployment.settings(common.region.as_ref())? };
    progress.print_log(false);
    Session::new(common, settings).await
}

async fn list(session: &Session, progress: &Progress) -> Result<Vec<ListedBucket>, Failure> {
    progress
        .show_during("Listing the account's buckets", session.aws.buckets())
        .await
        .map_err(|failure| Error::from(failure).into())
}

impl Rows {
    /// Reconciles the buckets concurrently.
    async fn collect(buckets: Vec<ListedBucket>, walker: &Walker<'_>, dry_run: bool) -> Self {
        let Walker { session, concurrency, progress } = walker;
        progress.show_bar(
            buckets.len(),
            if dry_run { "Reading buckets" } else { "Applying the policy" },
        );
        let rows = stream::iter(buckets).map(async |bucket| {
            let rows = reconcile_bucket(&bucket, session, dry_run).await;
            progress.advance();
            rows
        });
        let rows: Vec<Vec<Row>> = rows.buffer_unordered(usize::from(*concurrency)).collect().await;
        progress.clear();
        Self::new(rows.into_iter().flatten().collect())
    }

    /// The rows in order, with their summary.
    fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_by(|left, right| {
            (&left.bucket, &left.rule_id).cmp(&(&right.bucket, &right.rule_id))
        });
        let mut summary = BTreeMap::new();
        for row in &rows {
            *summary.entry(row.state).or_default() += 1;
        }
        Self { rows, summary, roles: None }
    }

    /// Adds how many roles the account has, may have, and needs in addition. The plan does not depend on it, so a failed read is only logged.
    async fn add_roles(&mut self, session: &Session) {
        let new_roles: BTreeSet<&String> =
            self.rows.iter().flat_map(|row| &row.new_roles).collect();
        let needed = new_roles.len();
        match session.aws.role_quota().await {
            Ok(RoleQuota { in_use, quota }) => self.roles = Some(Roles { in_use, quota, needed }),
            Err(failure) => tracing::warn!(%failure, "the quota of roles could not be read"),
        }
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

    fn print(&self, common: &Common) -> Result<(), Failure> {
        if common.output == Output::Json {
            return screen::print_json(self);
        }
        let (skipped, rows): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.state == State::Skipped);
        let rows = rows.into_iter().map(|Row { bucket, rule_id, state, why, .. }| {
            [bucket.clone(), state.colored(), rule_id.clone(), why.clone()]
        });
        let summary = self
            .summary
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect::<Vec<_>>()
            .join(", ");
        let rows = Vec::from_iter(rows);
        let table = if rows.is_empty() {
            String::new()
        } else {
            screen::table(["BUCKET", "STATE", "RULE", "WHY"], &rows) + "\n"
        };
        let summary = if summary.is_empty() { "the account has no buckets" } else { &summary };
        screen::print(&format!("{table}{}{summary}\n", list_skipped(&skipped)))?;
        match self.roles {
            Some(roles) => screen::print(&roles.text()),
            None => Ok(()),
        }
    }
}

impl Roles {
    fn text(self) -> String {
        let Self { in_use, quota, needed } = self;
        let is_too_many =
            usize::try_from(quota.saturating_sub(in_use)).is_ok_and(|left| needed > left);
        let warning = if is_too_many {
            format!(
                "{} that is more than the account may have: raise the quota, or set --role-scope Policy\n",
                screen::yellow("warning:")
            )
        } else {
            String::new()
        };
        format!("IAM roles: {in_use} of {quota} in use, {needed} more needed\n{warning}")
    }
}

/// The number of skipped buckets that are named for each reason.
const NAMED_BUCKETS: usize = 5;

/// A line for each reason for which buckets are skipped.
fn list_skipped(rows: &[&Row]) -> String {
    let mut buckets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows {
        buckets.entry(&row.why).or_default().push(&row.bucket);
    }
    let line = |(why, buckets): (&str, Vec<&str>)| {
        let names = buckets.iter().take(NAMED_BUCKETS).copied().collect::<Vec<_>>().join(", ");
        let others = match buckets.len().saturating_sub(NAMED_BUCKETS) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        format!("skipped {}, {why}: {names}{others}\n", buckets.len())
    };
    buckets.into_iter().map(line).collect()
}

async fn reconcile_bucket(bucket: &ListedBucket, session: &Session, dry_run: bool) -> Vec<Row> {
    let row = |rule_id: &str, state, why| Row {
        bucket: bucket.name.clone(),
        rule_id: rule_id.to_owned(),
        state,
        why,
        new_roles: BTreeSet::new(),
    };
    let name = match BucketName::parse(&bucket.name) {
        Ok(name) => name,
        Err(problem) => return vec![row("", State::Skipped, format!("the name {problem}"))],
    };
    let expected = bucket.region.as_ref().unwrap_or(&session.settings.region);
    let request = ReconcileRequest {
        bucket: &name,
        expected,
        remove_if_gone: false,
        remove_replaced_role: true,
        may_be_invisible: false,
        dry_run,
    };
    match session.engine(CHANGE_TIME).reconcile_bucket(&request).await {
        Ok(BucketOutcome::Skipped(why)) => vec![row("", State::Skipped, why)],
        Ok(BucketOutcome::Retired(plan)) => {
            vec![row("", State::Removed, explain(State::Removed, &plan))]
        }
        Ok(BucketOutcome::Rules(rules)) => {
            // The rules of the reverse direction belong to the other bucket, which has its own rows.
            let is_of_bucket = |outcome: &RuleOutcome| outcome.source == bucket.name;
            let rows = rules.into_iter().filter(is_of_bucket).map(
                |RuleOutcome { rule_id, result, .. }| match result {
                    Ok(outcome) => {
                        let state = state(&outcome, dry_run);
                        let new_roles = new_roles(&outcome.plan);
                        Row {
                            new_roles,
                            ..row(rule_id.as_str(), state, explain(state, &outcome.plan))
                        }
                    }
                    Err(reconcile::Error::VerifyPending { .. }) => row(
                        rule_id.as_str(),
                        State::Unverified,
                        "S3 has not replicated the canary yet".to_owned(),
                    ),
                    Err(error) => row(rule_id.as_str(), State::Failed, error_message(error.into())),
                },
            );
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

fn new_roles(plan: &Plan) -> BTreeSet<String> {
    let name = |action: &Action| match action {
        Action::CreateRole { name, .. } => Some(name.to_string()),
        _ => None,
    };
    plan.actions().filter_map(name).collect()
}

/// Whether the action adds a rule to the configuration.
fn adds_rule(action: &Action) -> bool {
    match action {
        Action::PutReplication { before, rule, .. } => {
            before.as_ref().is_none_or(|before| before.rule(rule.as_str()).is_none())
        }
        _ => false,
    }
}

/// Explains a state: the number of changes for a new rule, otherwise the operations of the changes; and the plan's warnings.
fn explain(state: State, plan: &Plan) -> String {
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
