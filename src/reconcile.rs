//! Observe, plan, apply: within a deadline, and as often as the state turns out to be another than was observed.

mod coverage;
mod cross_account;
mod job;
mod lease;
mod observe;
mod turn;
mod verify;

use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::join;
use tokio::time::{Instant, sleep, timeout_at};

pub use coverage::Coverage;
use lease::epoch_seconds;
use observe::{Glance, SetUp, located};
use turn::{Does, Turn};
pub use verify::Trial;

use crate::backoff::Backoff;
use crate::cloud::{Cloud, CloudError, Identity, Remedy};
use crate::error::Error;
use crate::plan::{self, Plan, Step, Target};
use crate::settings::Settings;
use crate::spec::{Access, BucketName, Region, RuleAddress, Spec};

/// How long a change that was made a moment ago may take to be visible, as Terraform's AWS provider waits.
const SETTLE: Duration = Duration::from_secs(120);

/// How long IAM may take until a role's trust and rights are known everywhere: S3 takes a job that comes earlier, and then the job fails.
const RIGHTS_SPREAD: Duration = Duration::from_secs(10);

/// How long after its first read what was observed is taken to be as it was, although others do not ask for the lease.
const FRESH: Duration = Duration::from_secs(2);

/// How a request about one rule ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The rule.
    pub rule: RuleAddress,
    /// What became of the plan.
    pub status: Status,
    /// What was, or would be, done.
    pub plan: Plan,
    /// What the rule amounts to; `None` when it was removed.
    pub target: Option<Target>,
}

/// The first round of reads, when it has been made before it was known to be needed.
struct Early<G> {
    began: Began,
    glance: Result<G, Error>,
}

/// When the first round of reads began, by both clocks.
#[derive(Debug, Clone, Copy)]
struct Began {
    at: Instant,
    /// In seconds since the epoch, as leases end.
    epoch: u64,
}

impl Began {
    fn now() -> Self {
        Self { at: Instant::now(), epoch: epoch_seconds(Duration::ZERO) }
    }
}

/// A plan, and what the rule amounts to.
type Planned = (Plan, Option<Target>);

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Status {
    /// It was only asked for.
    Planned,
    /// It was carried out, and the rule is there.
    Configured,
    /// It was empty: all was as asked.
    Unchanged,
    /// It was carried out, and the rule is gone.
    Removed,
    /// The rule is there, and an object was seen to be replicated by it.
    Verified,
    /// The rule is there, and an object is still to be replicated by it: asking again goes on with that object.
    Pending,
}

/// What an engine needs beside the request.
#[derive(Debug)]
pub struct Engine<'a, C> {
    /// AWS.
    pub cloud: &'a C,
    /// The function's environment.
    pub settings: &'a Settings,
    /// When work must have ended, so that there is time to answer.
    pub deadline: Instant,
    /// When the answer must be there.
    pub end: Instant,
    /// When CloudFormation signed its request, as [`ResponseUrl::signed_at`](crate::event::cloudformation::ResponseUrl::signed_at) gives it; `None`
    /// for whoever else asks.
    pub signed_at: Option<u64>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Makes `spec` true. `expected` is the Region in which the source bucket is looked for first.
    ///
    /// # Errors
    /// As [`Error`] says; a failure on the way names what was done and what was not.
    pub async fn apply(&self, spec: &Spec, expected: &Region) -> Result<Outcome, Error> {
        self.apply_to(spec, expected, None).await
    }

    /// As [`Engine::apply`], beginning with what has been read already.
    async fn apply_to(&self, spec: &Spec, expected: &Region, early: Option<Early<SetUp>>) -> Result<Outcome, Error> {
        let look = async || self.glance(spec, expected).await;
        let plan = async |glance| {
            let observed = self.observe(spec, glance).await?;
            let (plan, target) = plan::apply(spec, &observed, &self.settings.roles)?;
            Ok((plan, Some(target)))
        };
        let turn = self.turn(&spec.rule, Does::Apply, spec.dry_run);
        let converged = self.converge(&spec.rule.source, spec.dry_run, early, look, plan, turn).await;
        if converged.is_err() && spec.verify && !spec.dry_run {
            self.sweep(spec, expected).await;
        }
        let (plan, target) = converged?;
        Ok(outcome(spec.rule.clone(), Status::Configured, spec.dry_run, plan, target))
    }

    /// Takes back `rule`, and nothing else; in the destination's account with `access`. A rule or a bucket that is gone is success.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn remove(&self, rule: &RuleAddress, access: &Access, expected: &Region, dry_run: bool) -> Result<Outcome, Error> {
        let look = async || self.glance_at_remains(rule, expected, true).await;
        let plan = async |glance| {
            let remains = self.observe_remains(rule, access, expected, glance).await?;
            Ok((plan::remove(rule, &remains), None))
        };
        let turn = self.turn(rule, Does::Remove, dry_run);
        let (plan, _) = self.converge(&rule.source, dry_run, None, look, plan, turn).await?;
        Ok(outcome(rule.clone(), Status::Removed, dry_run, plan, None))
    }

    /// Whose credentials are in use.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn identity(&self) -> Result<Identity, Error> {
        self.in_time(self.cloud.identity()).await
    }

    /// Awaits what changes nothing, but not past the deadline.
    async fn in_time<T, E: Into<Error>>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
        let read = timeout_at(self.deadline, read).await.map_err(|_| out_of_time(&[], &Plan::default()))?;
        read.map_err(Into::into)
    }

    /// Plans and applies, unless the request has lost its turn, and starts over while the state turns out to be another than was observed. The
    /// first plan goes on from what was read `early`.
    async fn converge<G: Glance>(
        &self,
        source: &BucketName,
        dry_run: bool,
        mut early: Option<Early<G>>,
        look: impl AsyncFn() -> Result<G, Error>,
        plan: impl AsyncFn(G) -> Result<Planned, Error>,
        turn: Option<Turn<'_>>,
    ) -> Result<Planned, Error> {
        let mut patience = Patience::new(Duration::from_secs(1));
        let mut done_before = Vec::new();
        loop {
            // Boxed, as all is that holds many calls: futures are moved about on the stack, which has its end.
            let error = match Box::pin(self.attempt(source, dry_run, early.take(), &look, &plan, turn.as_ref())).await {
                Ok(planned) => return Ok(planned),
                Err(error) => error,
            };
            let again = error.remedy() == Some(Remedy::Observe) && timeout_at(self.deadline, patience.pause()).await.unwrap_or(false);
            if !again {
                return Err(if done_before.is_empty() { error } else { Error::Interrupted { error: Box::new(error), done: done_before } });
            }
            tracing::info!(%error, "the state is not as observed; observing again");
            if let Error::Apply { done, .. } = error {
                done_before.extend(done);
            }
        }
    }

    /// Plans, takes the lease on `source`, meanwhile when the first round of reads calls for it, else when there is something to write; plans anew
    /// under it if another may have written, and applies.
    async fn attempt<G: Glance>(
        &self,
        source: &BucketName,
        dry_run: bool,
        early: Option<Early<G>>,
        look: &impl AsyncFn() -> Result<G, Error>,
        plan: &impl AsyncFn(G) -> Result<Planned, Error>,
        turn: Option<&Turn<'_>>,
    ) -> Result<Planned, Error> {
        let Early { began, glance } = match early {
            Some(early) => early,
            None => Early { began: Began::now(), glance: self.in_time(in_turn(Box::pin(look()), self.has_turn(turn))).await },
        };
        let glance = glance?;
        // Also when a custom resource has nothing to write: an earlier request about it may be at it.
        let leased = !dry_run && (turn.is_some() || glance.calls_for_lease());
        let planning = self.in_time(Box::pin(plan(glance)));
        let planned: Pin<Box<dyn Future<Output = _>>> = if leased {
            Box::pin(planning)
        } else {
            let planned = planning.await?;
            if dry_run || planned.0.is_empty() {
                return Ok(planned);
            }
            Box::pin(ready(Ok(planned)))
        };
        let applied = self.with_lease(source.as_str(), planned, async |held, planned| {
            // A later request that had nothing to write has held no lease.
            let (began, planned) = if held.may_be_written_since(began.epoch) {
                let began = Began::now();
                (began, self.in_time(Box::pin(async { plan(in_turn(look(), self.has_turn(turn)).await?).await })).await?)
            } else {
                self.in_time(self.has_turn(turn)).await?;
                (began, planned)
            };
            let fresh_until = began.at + FRESH;
            let started = if planned.0.steps().any(|step| step.changes_policy_of().is_some()) {
                // With a slash, so that it is no bucket's name.
                self.with_lease("policies/cross-account", ready(Ok(())), async |_, ()| {
                    Box::pin(self.execute(&planned.0, fresh_until)).await
                })
                .await?
            } else {
                Box::pin(self.execute(&planned.0, fresh_until)).await?
            };
            let (plan, target) = planned;
            Ok((plan, target.map(|target| Target { job_id: started.or(target.job_id.clone()), ..target })))
        });
        Box::pin(applied).await
    }

    /// Carries out a plan; gives the id of the job that it starts.
    async fn execute(&self, plan: &Plan, fresh_until: Instant) -> Result<Option<String>, Error> {
        let mut done: Vec<&Step> = Vec::new();
        let mut started = None;
        for stage in &plan.stages {
            let steps = async {
                if stage.iter().any(|step| matches!(step, Step::StartJob { .. })) && done.iter().any(|step| step.extends_role()) {
                    sleep(RIGHTS_SPREAD).await;
                }
                join_all(stage.iter().map(|step| self.settle(step, fresh_until))).await
            };
            let results = timeout_at(self.deadline, Box::pin(steps)).await.map_err(|_| out_of_time(&done, plan))?;
            let mut failures = Vec::new();
            for (step, result) in stage.iter().zip(results) {
                match result {
                    Ok(job) => {
                        done.push(step);
                        started = started.or(job);
                    }
                    Err(failure) => failures.push(failure),
                }
            }
            // Before all, one after which a call may still be on its way.
            if let Some(failure) = failures.into_iter().min_by_key(|failure| failure.remedy != Remedy::Later) {
                let (done, left) = progress(&done, plan);
                return Err(Error::Apply { failure: Box::new(failure), done, left });
            }
        }
        Ok(started)
    }

    /// Does one step, again while AWS has yet to notice what an earlier one did, and waits until a rule that it wrote can be seen.
    async fn settle(&self, step: &Step, fresh_until: Instant) -> Result<Option<String>, CloudError> {
        let mut patience = Patience::new(Duration::from_millis(250));
        let started = loop {
            if Instant::now() > fresh_until {
                self.is_as_planned(step).await?;
            }
            match Box::pin(self.cloud.apply(step)).await {
                Ok(started) => break started,
                Err(failure) if failure.remedy != Remedy::Wait || !patience.pause().await => return Err(failure.naming(step.parameter())),
                Err(failure) => tracing::debug!(%failure, "trying again"),
            }
        };
        tracing::info!(action = step.action(), resource = step.resource(), "changed");
        if let Some(location) = step.writes_replication_of() {
            self.see(step, async || Ok(step.shows_in(self.cloud.replication(location).await?.as_ref())), patience).await;
        }
        if let Some(guarded) = step.changes_policy_of() {
            self.see(
                step,
                async || Ok(step.shows_in_policy(self.cloud.policy(guarded).await?.as_deref())),
                Patience::new(Duration::from_millis(250)),
            )
            .await;
        }
        Ok(started)
    }

    /// Looks once more at what a step would replace as a whole, when that was observed some time ago: others may have written since.
    async fn is_as_planned(&self, step: &Step) -> Result<(), CloudError> {
        let Some(location) = step.writes_replication_of() else { return Ok(()) };
        if step.replaces(self.cloud.replication(location).await?.as_ref()) {
            return Ok(());
        }
        Err(CloudError {
            action: step.action(),
            resource: step.resource(),
            code: "Changed".to_owned(),
            message: "another has written it since it was looked at".to_owned(),
            parameter: None,
            remedy: Remedy::Observe,
        })
    }

    /// Reads back until it shows what `step` did. The write has succeeded: that it cannot be seen is no failure.
    async fn see(&self, step: &Step, shows: impl AsyncFn() -> Result<bool, CloudError>, mut patience: Patience) {
        loop {
            match shows().await {
                Ok(true) => return,
                Ok(false) if patience.pause().await => {}
                Ok(false) => return tracing::warn!(resource = step.resource(), "what was written cannot be seen yet"),
                Err(failure) => return tracing::warn!(%failure, "what was written cannot be read back"),
            }
        }
    }
}

/// What was read meanwhile by a request that has its turn.
async fn in_turn<T>(read: impl Future<Output = Result<T, Error>>, has_turn: impl Future<Output = Result<(), Error>>) -> Result<T, Error> {
    let (read, has_turn) = join!(read, has_turn);
    has_turn.and(read)
}

/// Pauses between tries, until AWS has had time enough.
struct Patience {
    since: Instant,
    backoff: Backoff,
    limit: Duration,
}

impl Patience {
    fn new(pause: Duration) -> Self {
        Self { since: Instant::now(), backoff: Backoff::new(pause, Duration::from_secs(10)), limit: SETTLE }
    }

    /// Patience that only a deadline ends.
    fn endless(pause: Duration) -> Self {
        Self { limit: Duration::MAX, ..Self::new(pause) }
    }

    /// Pauses; `false`, at once, when it is over.
    async fn pause(&mut self) -> bool {
        let more = self.since.elapsed() < self.limit;
        if more {
            self.backoff.pause().await;
        }
        more
    }
}

fn outcome(rule: RuleAddress, changed: Status, dry_run: bool, plan: Plan, target: Option<Target>) -> Outcome {
    let status = match (dry_run, plan.is_empty()) {
        (true, _) => Status::Planned,
        (false, true) => Status::Unchanged,
        (false, false) => changed,
    };
    Outcome { rule, status, plan, target }
}

fn out_of_time(done: &[&Step], plan: &Plan) -> Error {
    let (done, left) = progress(done, plan);
    Error::OutOfTime { done, left }
}

/// The steps that were done and those that were not.
fn progress(done: &[&Step], plan: &Plan) -> (Vec<String>, Vec<String>) {
    let named = |step: &Step| format!("{} on {}", step.action(), step.resource());
    let left = plan.steps().filter(|step| !done.contains(step)).map(named).collect();
    (done.iter().copied().map(named).collect(), left)
}
