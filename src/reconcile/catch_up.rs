//! Catch-up: looks for objects that a rule has missed, once S3 has noticed the rule.
//!
//! Between the creation of a bucket and the moment in which S3 has noticed versioning, role, key and rule lie minutes. What is written then is
//! never replicated, and nobody notices. It must not know how a message is delivered or a job is planned.
//!
//! # Expected flow
//! Before a rule is made or repaired, a message to the function's own queue is sent, which comes after [`DELAY`]. Then the versions of the
//! bucket are listed, within [`MAX_PAGES`]. The list has no replication status, so at most [`MAX_HEADS`] of them are read one by one, the latest
//! first, where the function has the right to. What an older version counts as that was not read, [`Older`] tells. If something was missed, one
//! job replicates it, or a person is told. While the rule's job runs, it comes again after each [`DELAY`], since the job may be older than what
//! was missed; and once more if something is pending.
//!
//! # Guarantees
//! - The message is sent before the first change that makes it necessary, so a crash loses no catch-up.
//! - A message that comes twice starts no second job: the role's tag records the catch-up for which a job was started.
//! - A job is started only while the role's tag records that one was asked for.
//! - No object's key is in a log, an answer or an error.
//!
//! # Caveats
//! - A message that cannot be sent does not keep the rule from being made, since more objects would be missed: a warning says so.
//! - The job has no limit by time. Versions that are written later have a status other than NONE and FAILED.

use std::cmp::Reverse;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::job_of_rule::{RequestedJob, RulesOfSource};
use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::model::{
    ApiError, BucketLocation, ListedVersion, ObjectVersion, OptionalRight, ReplicationRule,
    ReplicationStatus, Retry, RuleAddress, VersionMarker, is_canary_key,
};
use crate::plan::{JobRequest, ObjectSelection, Plan, Refusal, Roles};
use crate::ports::Cloud;
use crate::spec::{CatchUp, Invalid, Report, Spec};

/// How long a message is delayed: as long as SQS can, and as long as S3 may take to notice versioning.
const DELAY: Duration = Duration::from_secs(900);

/// For how long a catch-up comes again.
const MAX_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How far the clocks of two invocations may be apart.
const MAX_SKEW: Duration = Duration::from_secs(60);

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
    /// Versions are not replicated, and no job was started.
    Unreplicated {
        /// Their number, as far as it is known.
        count: usize,
        /// The number of versions that were not looked at.
        unexamined: usize,
        /// Why no job was started, if one was asked for; or why the rule gets none.
        reason: Option<String>,
        /// The command that replicates them; `None` if the rule gets no job.
        command: Option<String>,
    },
}

/// The versions of a bucket, as the list shows them.
#[derive(Debug, Default)]
struct Listed {
    versions: Vec<ListedVersion>,
    /// Whether there are more versions than were listed.
    is_cut: bool,
}

/// What a version counts as that is older than the catch-up and was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    /// The rule is new.
    Unreplicated,
    /// The rule is new, and the job of the request for existing objects has ended.
    Replicated,
    /// The rule has been there before, or selects by tags, which the list does not have.
    Unknown,
}

/// The catch-up of a request, which plans several times while the state changes: the warning about its message, once that was sent.
pub(super) type RequestedCatchUp = OnceCell<Option<String>>;

/// What the versions show.
#[derive(Debug, Default)]
struct Examined {
    unreplicated: usize,
    pending: usize,
    unexamined: usize,
    /// The number of older versions that are not among the unexamined ones, and were not examined either.
    unexamined_older: usize,
    /// Whether an older version was replicated, or is a replica: then the rule is not new, or replicates back.
    has_older_replica: bool,
}

impl<C: Cloud> Engine<'_, C> {
    /// Sends the message for the rule of `spec`, if `plan` makes or repairs it, and no earlier plan of the request did. Returns a warning if the
    /// message cannot be sent.
    pub(super) async fn request_catch_up(
        &self,
        spec: &Spec,
        plan: &Plan,
        requested: &RequestedCatchUp,
    ) -> Option<String> {
        if self.settings.catch_up_queue.is_none() || !plan.mends_replication() {
            return requested.get().cloned().flatten();
        }
        requested.get_or_init(async || self.send_first(spec, plan).await).await.clone()
    }

    async fn send_first(&self, spec: &Spec, plan: &Plan) -> Option<String> {
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
        if catch_up.time > epoch_seconds(MAX_SKEW) {
            return Err(Invalid::new("Time", "is later than now").into());
        }
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
        let has_shared_role = self.settings.roles.is_shared_role(source.role_arn());
        let RulesOfSource { location, own_role, .. } = source;
        let with_own_name = self.before_deadline(reader.with_policies(own_role)).await?;
        let roles = Roles { with_own_name, serving: None };
        if roles.has_caught_up(rule, catch_up.time) {
            return skip("a job was started for it");
        }
        let identity = self.identity().await?;
        let job = reader.job(rule, &location.region, &identity, &roles);
        let job = self.before_deadline(job).await?;
        if job.is_some_and(|job| !job.has_ended()) && self.comes_again(catch_up.clone()).await? {
            return Ok(CatchUpResult::ComesAgain);
        }
        let listed = self.list_versions(&location, &found).await?;
        let examined = self.examine(&location, &found, listed, catch_up.time).await?;
        if examined.pending > 0 && !catch_up.is_second {
            let second = CatchUp { is_second: true, ..catch_up.clone() };
            if self.comes_again(second).await? {
                return Ok(CatchUpResult::ComesAgain);
            }
        }
        let older = Older::of(catch_up, &found, &roles);
        // Whoever has removed the wish for a job since then is not to pay for one.
        let report = catch_up.report.as_ref().filter(|_| roles.asks_for_job(rule));
        let examined = examined.counting(older);
        let result = self.replicate_or_tell(catch_up, report, &location, examined).await?;
        Ok(if has_shared_role { result.without_job(rule) } else { result })
    }

    /// Sends the message once more. Returns whether it was sent: not without a queue, and not after [`MAX_WAIT`].
    async fn comes_again(&self, catch_up: CatchUp) -> Result<bool, Error> {
        let waited = epoch_seconds(Duration::ZERO).saturating_sub(catch_up.time);
        if self.settings.catch_up_queue.is_none() || waited > MAX_WAIT.as_secs() {
            return Ok(false);
        }
        self.before_deadline(self.send_catch_up(&catch_up)).await?;
        Ok(true)
    }

    /// Starts a job for what was missed, if there is a `report` for one, or tells of it.
    async fn replicate_or_tell(
        &self,
        catch_up: &CatchUp,
        report: Option<&Report>,
        location: &BucketLocation,
        Examined { unreplicated: count, pending, unexamined, .. }: Examined,
    ) -> Result<CatchUpResult, Error> {
        let tell = |reason: Option<String>| {
            let unexamined = unexamined + pending;
            match count {
                0 => CatchUpResult::NothingMissed { unexamined },
                count => {
                    let command = Some(catch_up.rule.replay_command(true));
                    CatchUpResult::Unreplicated { count, unexamined, reason, command }
                }
            }
        };
        let may_have_missed = count > 0 || (catch_up.is_new && unexamined > 0);
        let Some(report) = report.filter(|_| may_have_missed) else { return Ok(tell(None)) };
        let job = JobRequest {
            rule: &catch_up.rule,
            selection: ObjectSelection::Unreplicated,
            report,
            caught_up: Some(catch_up.time),
        };
        match self.start_job_of_rule(job, &location.region, false).await {
            Ok(RequestedJob { plan, id }) if !plan.is_empty() => {
                Ok(CatchUpResult::Job { id: id.unwrap_or_default() })
            }
            // The list of a job that runs may be older than what was missed.
            Ok(_) if self.comes_again(catch_up.clone()).await? => Ok(CatchUpResult::ComesAgain),
            Ok(_) => Ok(tell(Some("another job of the rule runs".to_owned()))),
            Err(Error::Refused(refusal)) if count > 0 => Ok(tell(Some(refusal.to_string()))),
            Err(error) => Err(error),
        }
    }

    /// Lists the versions under the rule's prefix. Uses at most half of the time that is left.
    async fn list_versions(
        &self,
        location: &BucketLocation,
        rule: &ReplicationRule,
    ) -> Result<Listed, Error> {
        let prefix = rule.filter().prefix().unwrap_or_default();
        let ends_at = Instant::now() + self.time_left() / 2;
        let mut listed = Listed::default();
        let mut next: Option<VersionMarker> = None;
        for _ in 0..MAX_PAGES {
            let page = self.cloud.versions_page(location, prefix, next.as_ref(), PAGE_SIZE);
            let page =
                self.before_deadline(async { page.await.map_err(with_needed_right) }).await?;
            let versions = page.versions.into_iter();
            listed.versions.extend(versions.filter(|version| !is_canary_key(&version.key)));
            next = page.next;
            if next.is_none() || Instant::now() >= ends_at {
                break;
            }
        }
        listed.is_cut = next.is_some();
        Ok(listed)
    }

    /// Reads the replication status of the latest versions. Those before `time` are the older ones.
    async fn examine(
        &self,
        location: &BucketLocation,
        rule: &ReplicationRule,
        listed: Listed,
        time: u64,
    ) -> Result<Examined, Error> {
        let Listed { mut versions, is_cut } = listed;
        versions.sort_by_key(|version| Reverse(version.last_modified));
        let mut examined = Examined { unexamined: usize::from(is_cut), ..Examined::default() };
        for version in versions.iter().skip(MAX_HEADS) {
            examined.leave_out(version.last_modified < time);
        }
        let heads = versions.into_iter().take(MAX_HEADS).map(async |version| {
            let ListedVersion { key, version, last_modified } = version;
            let read = self.cloud.object_version(location, &key, &version);
            let read = self.before_deadline(async {
                read.await.map_err(|failure| without_key(failure, location))
            });
            (last_modified < time, read.await)
        });
        let mut heads = stream::iter(heads).buffered(CONCURRENT_HEADS);
        let mut unread = None;
        while let Some((is_older, head)) = heads.next().await {
            match head {
                // The bucket's policy may deny the right for some objects only, and S3 tells of no object whose key the customer keeps.
                Err(Error::Read(failure)) if failure.retry == Retry::Never => {
                    examined.leave_out(is_older);
                    unread = Some(failure);
                }
                Err(error) => return Err(error),
                Ok(version) => examined.count(version.as_ref(), is_older, has_tags(rule)),
            }
        }
        if let Some(failure) = unread {
            tracing::info!(%failure, "versions are not examined whose replication status cannot be read");
        }
        Ok(examined)
    }
}

impl Older {
    fn of(catch_up: &CatchUp, rule: &ReplicationRule, roles: &Roles) -> Self {
        match catch_up.is_new {
            true if roles.has_had_job(&catch_up.rule) => Self::Replicated,
            true if !has_tags(rule) => Self::Unreplicated,
            true | false => Self::Unknown,
        }
    }
}

impl CatchUpResult {
    /// The result for a rule of the role of all buckets, for which the command would be refused: the refusal's advice in its place.
    fn without_job(self, rule: &RuleAddress) -> Self {
        match self {
            Self::Unreplicated { count, unexamined, .. } => {
                let refusal = Refusal::JobOfSharedRole { bucket: rule.source.clone() };
                let reason = Some(refusal.to_string());
                Self::Unreplicated { count, unexamined, reason, command: None }
            }
            Self::Ended(_) | Self::NothingMissed { .. } | Self::ComesAgain | Self::Job { .. } => {
                self
            }
        }
    }
}

impl Examined {
    fn count(&mut self, version: Option<&ObjectVersion>, is_older: bool, selects_by_tag: bool) {
        match version.map(|version| version.replication) {
            Some(Some(ReplicationStatus::Pending)) => self.pending += 1,
            Some(Some(ReplicationStatus::Failed)) => self.unreplicated += 1,
            // Perhaps the rule does not select it.
            Some(None) if selects_by_tag => self.leave_out(is_older),
            Some(None) => self.unreplicated += 1,
            Some(Some(ReplicationStatus::Completed | ReplicationStatus::Replica)) => {
                self.has_older_replica |= is_older;
            }
            None => {}
        }
    }

    fn leave_out(&mut self, is_older: bool) {
        *if is_older { &mut self.unexamined_older } else { &mut self.unexamined } += 1;
    }

    /// Counts the older versions that were not examined.
    fn counting(self, older: Older) -> Self {
        let Self { unreplicated, unexamined, unexamined_older, .. } = self;
        match older {
            Older::Replicated => self,
            Older::Unreplicated if !self.has_older_replica => {
                Self { unreplicated: unreplicated + unexamined_older, ..self }
            }
            Older::Unreplicated | Older::Unknown => {
                Self { unexamined: unexamined + unexamined_older, ..self }
            }
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
