//! The walk: applies a replication policy to every bucket of the account.
//!
//! It must not know what a rule needs: the engine reconciles each bucket.

mod bucket;
mod roles;
mod rows;
mod state;

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt};
use s3_kms_replication::config::{Policy, PolicySource, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::ListedBucket;
use s3_kms_replication::ports::Read;

use self::bucket::reconcile_bucket;
use self::roles::Roles;
use self::rows::{Row, Rows};
use crate::options::{self, Apply, Common, Deployment, Walk};
use crate::progress::Progress;
use crate::session::Session;
use crate::{DONE, FAILED, Failure, PENDING};

/// How to reconcile buckets.
struct Walker<'a> {
    session: &'a Session,
    /// The number of buckets to reconcile concurrently.
    concurrency: u8,
    progress: &'a Progress,
}

impl Walker<'_> {
    /// Reconciles the buckets concurrently.
    async fn walk(&self, buckets: Vec<ListedBucket>, dry_run: bool) -> Rows {
        let Self { session, concurrency, progress } = self;
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
        Rows::new(rows.into_iter().flatten().collect())
    }
}

pub async fn plan(
    args: &options::Plan,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    let session = session(&args.walk, &args.deployment, common, progress).await?;
    let walker = Walker { session: &session, concurrency: args.walk.concurrency, progress };
    let buckets = list(&session, progress).await?;
    let mut rows = walker.walk(buckets, true).await;
    rows.roles = Roles::read(&session, rows.new_roles().len()).await;
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
        let planned = walker.walk(buckets.clone(), true).await;
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
    let applied = walker.walk(buckets, false).await;
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
