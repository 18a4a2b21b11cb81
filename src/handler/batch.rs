//! Batches of buckets, as the walk sends them.
//!
//! It must not know how a bucket is reconciled.
//!
//! # Guarantees
//! - A bucket that fails stops no other, and each bucket is in the answer once.
//! - IAM's quota of roles is asked for once in a batch that changed something or lacked roles, and never for each bucket. A batch whose call
//!   fails is as good as any other.
//! - A bucket is named as not done when a retry can help it, or when too little time was left to begin with it.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::command::reconcile;
use super::event::EventOutcome;
use super::json;
use crate::config::RoleScope;
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::Engine;
use crate::request::BatchItem;
use crate::respond::BatchAnswer;
use crate::respond::metrics::Counters;

/// How many buckets are worked on at the same time. The template's `WalkConcurrency` counts on it.
const CONCURRENCY: usize = 5;

/// The time without which no bucket is begun: a bucket with a new role and destination takes about 20 seconds.
const LEAST_TIME: Duration = Duration::from_secs(30);

/// Applies the replication policy to each bucket.
pub(super) async fn handle<C: Cloud>(
    items: &[BatchItem],
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let reconciled = items.iter().map(async |item| (item, handle_bucket(item, engine).await));
    let mut reconciled = stream::iter(reconciled).buffer_unordered(CONCURRENCY);
    let mut answer = BatchAnswer::default();
    while let Some((item, outcome)) = reconciled.next().await {
        match outcome {
            Some(outcome) => {
                counters.count_bucket(&outcome.result);
                answer.add(&item.name, &outcome.result);
            }
            None => answer.add_not_begun(&item.name),
        }
    }
    if answer.changed() > 0 || answer.roles_needed() > 0 {
        warn_of_role_quota(answer.roles_needed(), engine).await;
    }
    json(&answer)
}

/// Warns when IAM's quota of roles is nearly exhausted, before it lets buckets fail. `needed` is the number of the batch's buckets that it has let fail.
async fn warn_of_role_quota<C: Cloud>(needed: u32, engine: &Engine<'_, C>) {
    let quota = match engine.settings.role_scope {
        RoleScope::Bucket => engine.role_quota().await.map(Some),
        RoleScope::Policy(_) => Ok(None),
    };
    let quota = quota.unwrap_or_else(|failure| {
        tracing::warn!(%failure, "the quota of roles could not be read");
        None
    });
    if needed > 0 || quota.is_some_and(|quota| quota.is_nearly_exhausted()) {
        tracing::warn!(
            roles_in_use = quota.map(|quota| quota.in_use),
            roles_quota = quota.map(|quota| quota.quota),
            roles_needed = needed,
            "IAM's quota of roles is nearly or wholly exhausted; set `RoleScope: Policy`, which needs one role for all buckets, or raise the quota"
        );
    }
}

/// Reconciles the bucket, unless too little time is left.
async fn handle_bucket<C: Cloud>(item: &BatchItem, engine: &Engine<'_, C>) -> Option<EventOutcome> {
    let BatchItem { name, source } = item;
    let result = match source {
        Ok(_) if engine.time_left() < LEAST_TIME => return None,
        Ok(source) => Box::pin(reconcile(source, false, engine)).await,
        Err(invalid) => Err(invalid.clone().into()),
    };
    let outcome = EventOutcome { bucket: name.clone(), result };
    outcome.log();
    Some(outcome)
}
