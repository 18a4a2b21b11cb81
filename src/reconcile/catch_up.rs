//! Catch-up: looks for objects that a rule has missed, once S3 has noticed the rule.
//!
//! Between the creation of a bucket and the moment in which S3 has noticed versioning, role, key and rule lie minutes. What is written then is
//! never replicated, and nobody notices. It must not know how a message is delivered or a job is planned.
//!
//! # Expected flow
//! Before a rule is made or repaired, a message to the function's own queue is sent, which comes after [`DELAY`]. Then the versions of the
//! bucket are listed, within [`MAX_PAGES`]. For a new rule, older ones count as not replicated. The list has no replication status, so at most
//! [`MAX_HEADS`] of the others are read one by one, the latest first, where the function has the right to. If something was missed, one job
//! replicates it, or a person is told. While the rule's job runs, it comes again after each [`DELAY`], since the job may be older than what was
//! missed; and once more if something is pending.
//!
//! # Guarantees
//! - The message is sent before the first change that makes it necessary, so a crash loses no catch-up.
//! - A message that comes twice starts no second job: the role's tag records the catch-up for which a job was started.
//! - No object's key is in a log, an answer or an error.
//!
//! # Caveats
//! - A message that cannot be sent does not keep the rule from being made, since more objects would be missed: a warning says so.
//! - The job has no limit by time. Versions that are written later have a status other than NONE and FAILED.

use std::cmp::Reverse;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::job_of_rule::RulesOfSource;
use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::model::{
    ApiError, BucketLocation, ListedVersion, ObjectVersion, OptionalRight, ReplicationRule,
    ReplicationStatus, RuleAddress, VersionMarker, is_canary_key,
};
use crate::plan::{JobRequest, ObjectSelection, Plan, Roles};
use crate::ports::Cloud;
use crate::spec::{CatchUp, Report, Spec};

/// How long a message is delayed: as long as SQS can, and as long as S3 may take to notice versioning.
const DELAY: Duration = Duration::from_secs(900);

/// How long a catch-up waits for the end of the rule's job.
const MAX_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many pages of versions are listed.
const MAX_PAGES: usize = 10;

/// How many versions a page has: as many as S3 returns.
const PAGE_SIZE: u16 = 1_000;

/// How many versions are read one by one.
const MAX_HEADS: usize = 100;

/// How many of them are read at once.
const CONCURRENT_HEADS: usize = 8;

/// What a catch-up found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// The rule.
    pub rule: RuleAddress,
    /// What was found, and what was done.
    pub result: CatchUpResult,
}

/// What a catch-up found, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatchUpResult {
    /// There was nothing to look for, for this reason: bucket or rule are gone, or the message has come before.
    Ended(String),
    /// Nothing that was looked at was missed.
    NothingMissed {
        /// The number of versions that were not looked at.
        unexamined: usize,
    },
    /// Something is pending, or the rule's job runs: the catch-up comes again.
    ComesAgain,
    /// A job replicates what was missed.
    Job {
        /// Its id.
        id: String,
    },
    /// Versions are not replicated, and nobody asked for a job.
    Unreplicated {
        /// Their number, as far as it is known.
        count: usize,
    },
}

/// The versions of a bucket, as the list shows them.
#[derive(Debug, Default)]
struct Listed {
    /// The number of versions that are older than a new rule.
    older: usize,
    /// The others.
    others: Vec<ListedVersion>,
    /// Whether there are more versions than were listed.
    is_cut: bool,
}

/// What the versions that were read one by one show.
#[derive(Debug, Default)]
struct Examined {
    unreplicated: usize,
    pending: usize,
    unexamined: usize,
}

impl<C: Cloud> Engine<'_, C> {
    /// Sends the message for the rule of `spec`, if `plan` makes or repairs it. Returns a warning if the message cannot be sent.
    pub(super) async fn request_catch_up(&self, spec: &Spec, plan: &Plan) -> Option<String> {
        if self.settings.catch_up_queue.is_none() || !plan.mends_replication() {
            return None;
        }
        let catch_up = CatchUp {
            rule: spec.rule.clone(),
            time: epoch_seconds(Duration::ZERO),
            is_new: plan.adds_rule(),
            report: spec.existing_objects.clone(),
            is_second: false,
        };
        let failure = self.before_deadline(self.send_catch_up(&catch_up)).await.err()?;
        tracing::error!(bucket = %spec.rule.source, rule = %spec.rule.id, error = %failure, "the catch-up could not be requested");
        Some(format!(
            "nothing will look for objects that were written before S3 noticed the rule: {failure}; in 15 minutes, `{}` replicates them",
            spec.rule.replay_command(true)
        ))
    }

    async fn send_catch_up(&self, catch_up: &CatchUp) -> Result<(), ApiError> {
        let Some(queue) = &self.settings.catch_up_queue else { return Ok(()) };
        let sent = self.cloud.send(queue, catch_up.to_message(), DELAY).await;
        sent.map_err(with_needed_right)
    }

    /// Looks for objects that the rule has missed. Ends without effect if bucket or rule are gone.
    ///
    /// # Errors
    /// Any [`Error`]; the message must be delivered again.
    pub async fn catch_up(&self, catch_up: &CatchUp) -> Result<CaughtUp, Error> {
        let result = Box::pin(self.look_for_missed(catch_up)).await?;
        Ok(CaughtUp { rule: catch_up.rule.clone(), result })
    }

    async fn look_for_missed(&self, catch_up: &CatchUp) -> Result<CatchUpResult, Error> {
        let rule = &catch_up.rule;
        let skip = |reason: &str| Ok(CatchUpResult::Ended(reason.to_owned()));
        let reader = self.reader();
        let found = reader.rules_of_source(&rule.source, &self.settings.region);
        let Some(source) = self.before_deadline(found).await? else {
            return skip("the bucket does not exist");
        };
        let Some(found) = source.rule(rule.id.as_str()).filter(|found| found.is_enabled()).cloned()
        else {
            return skip("the bucket has no such rule that is enabled");
        };
        let RulesOfSource { location, own_role, .. } = source;
        let with_own_name = match own_role {
            Some(outline) => Some(self.before_deadline(self.cloud.with_policies(outline)).await?),
            None => None,
        };
        let roles = Roles { with_own_name, serving: None };
        if roles.has_caught_up(rule, catch_up.time) {
            return skip("a job was started for it");
        }
        let identity = self.identity().await?;
        let job = reader.job(rule, &location.region, &identity, &roles);
        let job = self.before_deadline(job).await?;
        if job.is_some_and(|job| !job.has_ended()) {
            let waited = epoch_seconds(Duration::ZERO).saturating_sub(catch_up.time);
            if waited > MAX_WAIT.as_secs() {
                return skip("a job of the rule has run for a week, and has not ended");
            }
            return self.send_again(catch_up.clone()).await;
        }
        // A job of the request for existing objects has replicated the older versions.
        let before = catch_up.time * u64::from(catch_up.is_new && !roles.has_had_job(rule));
        let listed = self.list_versions(&location, &found, before).await?;
        let older = listed.older;
        let examined = self.examine(&location, &found, listed).await?;
        if examined.pending > 0 && !catch_up.is_second {
            return self.send_again(CatchUp { is_second: true, ..catch_up.clone() }).await;
        }
        let Examined { unreplicated, unexamined, .. } = examined;
        let missed = older + unreplicated;
        let may_have_missed = missed > 0 || (catch_up.is_new && unexamined > 0);
        Ok(match &catch_up.report {
            Some(report) if may_have_missed => {
                self.replicate_missed(catch_up, report, &location).await?
            }
            None if missed > 0 => CatchUpResult::Unreplicated { count: missed },
            Some(_) | None => CatchUpResult::NothingMissed { unexamined },
        })
    }

    async fn send_again(&self, catch_up: CatchUp) -> Result<CatchUpResult, Error> {
        self.before_deadline(self.send_catch_up(&catch_up)).await?;
        Ok(CatchUpResult::ComesAgain)
    }

    async fn replicate_missed(
        &self,
        catch_up: &CatchUp,
        report: &Report,
        location: &BucketLocation,
    ) -> Result<CatchUpResult, Error> {
        let job = JobRequest {
            rule: &catch_up.rule,
            selection: ObjectSelection::Unreplicated,
            report,
            caught_up: Some(catch_up.time),
        };
        let job = self.start_job_of_rule(job, &location.region, false).await?;
        Ok(CatchUpResult::Job { id: job.id.unwrap_or_default() })
    }

    /// Lists the versions under the rule's prefix. Those that were written before the time `before` are only counted. Uses at most half of the
    /// time that is left.
    async fn list_versions(
        &self,
        location: &BucketLocation,
        rule: &ReplicationRule,
        before: u64,
    ) -> Result<Listed, Error> {
        let prefix = rule.filter().prefix().unwrap_or_default();
        let ends_at = Instant::now() + self.time_left() / 2;
        let selects_by_tag = has_tags(rule);
        let mut listed = Listed::default();
        let mut next: Option<VersionMarker> = None;
        for _ in 0..MAX_PAGES {
            let page = self.cloud.versions_page(location, prefix, next.as_ref(), PAGE_SIZE);
            let page =
                self.before_deadline(async { page.await.map_err(with_needed_right) }).await?;
            let versions = page.versions.into_iter();
            for version in versions.filter(|version| !is_canary_key(&version.key)) {
                if version.last_modified < before && !selects_by_tag {
                    listed.older += 1;
                } else {
                    listed.others.push(version);
                }
            }
            next = page.next;
            if next.is_none() || Instant::now() >= ends_at {
                break;
            }
        }
        listed.is_cut = next.is_some();
        Ok(listed)
    }

    /// Reads the replication status of the latest versions.
    async fn examine(
        &self,
        location: &BucketLocation,
        rule: &ReplicationRule,
        listed: Listed,
    ) -> Result<Examined, Error> {
        let Listed { mut others, is_cut, .. } = listed;
        others.sort_by_key(|version| Reverse(version.last_modified));
        let mut examined = Examined {
            unexamined: others.len().saturating_sub(MAX_HEADS) + usize::from(is_cut),
            ..Examined::default()
        };
        let heads = others.into_iter().take(MAX_HEADS).map(async |version| {
            let ListedVersion { key, version, .. } = version;
            let read = self.cloud.object_version(location, &key, &version);
            self.before_deadline(async {
                read.await.map_err(|failure| without_key(failure, location))
            })
            .await
        });
        let mut heads = stream::iter(heads).buffered(CONCURRENT_HEADS);
        let mut denied = None;
        while let Some(head) = heads.next().await {
            match head {
                // The right may be denied for some objects only, by the bucket's policy.
                Err(Error::Read(failure)) if failure.is_denied() => {
                    examined.unexamined += 1;
                    denied = Some(failure);
                }
                Err(error) => return Err(error),
                Ok(version) => examined.count(version.as_ref(), has_tags(rule)),
            }
        }
        if let Some(failure) = denied {
            tracing::info!(%failure, "versions are not examined without the right to read their replication status");
        }
        Ok(examined)
    }
}

impl Examined {
    fn count(&mut self, version: Option<&ObjectVersion>, selects_by_tag: bool) {
        match version.map(|version| version.replication) {
            Some(Some(ReplicationStatus::Pending)) => self.pending += 1,
            Some(Some(ReplicationStatus::Failed)) => self.unreplicated += 1,
            // Perhaps the rule does not select it.
            Some(None) if selects_by_tag => self.unexamined += 1,
            Some(None) => self.unreplicated += 1,
            Some(Some(ReplicationStatus::Completed | ReplicationStatus::Replica)) | None => {}
        }
    }
}

fn has_tags(rule: &ReplicationRule) -> bool {
    rule.filter().tags().is_some_and(|tags| !tags.is_empty())
}

fn with_needed_right(failure: ApiError) -> ApiError {
    failure.with_needed_right(Some(OptionalRight::CatchUp))
}

/// The failure without the object's key, which is not logged.
fn without_key(failure: ApiError, location: &BucketLocation) -> ApiError {
    ApiError { resource: format!("a version in bucket `{}`", location.bucket), ..failure }
}
