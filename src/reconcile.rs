//! Observe, plan, apply: within a deadline, and as often as the state turns out to be another than was observed.

mod abroad;
mod coverage;
mod lease;
mod turn;
mod verify;

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};
use tokio::{join, try_join};

use abroad::{of_destination, unless_denied};
pub use coverage::Coverage;
use lease::epoch_seconds;
pub use turn::Does;
pub use verify::Trial;

use crate::cloud::{Alarm, Cloud, CloudError, Encryption, Identity, Location, Remedy, Role};
use crate::error::Error;
use crate::plan::{self, Created, Destination, OWNER_TAG, Observed, Plan, Refusal, Remains, Roles, Source, Step, Target};
use crate::settings::Settings;
use crate::spec::{Access, BucketName, Region, RoleName, RuleId, SourceKeys, Spec};

/// How long a change that was made a moment ago may take to be visible, as Terraform's AWS provider waits.
const SETTLE: Duration = Duration::from_secs(120);

/// A list of steps without any, as text.
const NOTHING: &str = "nothing";

/// How a request about one rule ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The rule's source bucket.
    pub source: BucketName,
    /// The rule.
    pub rule_id: RuleId,
    /// What became of the plan.
    pub status: Status,
    /// What was, or would be, done.
    pub plan: Plan,
    /// What the rule amounts to; `None` when it was removed.
    pub target: Option<Target>,
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
    /// When CloudFormation signed its request; `None` for whoever else asks.
    pub signed_at: Option<u64>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Makes `spec` true. `expected` is the Region in which the source bucket is looked for first.
    ///
    /// # Errors
    /// As [`Error`] says; a failure on the way names what was done and what was not.
    pub async fn apply(&self, spec: &Spec, expected: &Region) -> Result<Outcome, Error> {
        let plan = async || {
            let observed = self.observe(spec, expected).await?;
            let (plan, target) = plan::apply(spec, &observed, &self.settings.roles)?;
            Ok((plan, Some(target)))
        };
        let turn = Cell::new(!spec.dry_run);
        let has_turn = async || match turn.take() {
            true => self.take_turn(&spec.source, &spec.rule_id, Does::Apply).await,
            false => self.still_has_turn(&spec.source, &spec.rule_id, Does::Apply).await,
        };
        let converged = self.converge(&spec.source, spec.dry_run, plan, has_turn).await;
        if converged.is_err() && spec.verify && !spec.dry_run {
            self.sweep(spec, expected).await;
        }
        let (plan, target) = converged?;
        Ok(outcome(spec.source.clone(), spec.rule_id.clone(), Status::Configured, spec.dry_run, plan, target))
    }

    /// Takes back the rule `rule_id` of `source`, and nothing else; in the destination's account with `access`. A rule or a bucket that is gone
    /// is success.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn remove(
        &self,
        source: &BucketName,
        rule_id: &RuleId,
        access: &Access,
        expected: &Region,
        dry_run: bool,
    ) -> Result<Outcome, Error> {
        let plan = async || {
            let remains = self.observe_remains(source, rule_id, access, expected, true).await?;
            Ok((plan::remove(source, rule_id, &remains), None))
        };
        let has_turn = async || self.still_has_turn(source, rule_id, Does::Remove).await;
        let (plan, _) = self.converge(source, dry_run, plan, has_turn).await?;
        Ok(outcome(source.clone(), rule_id.clone(), Status::Removed, dry_run, plan, None))
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

    /// Plans and applies, unless the request has lost its turn, and starts over while the state turns out to be another than was observed.
    async fn converge(
        &self,
        source: &BucketName,
        dry_run: bool,
        plan: impl AsyncFn() -> Result<Planned, Error>,
        has_turn: impl AsyncFn() -> Result<(), Error>,
    ) -> Result<Planned, Error> {
        let mut patience = Patience::new(Duration::from_secs(1));
        let mut done_before = Vec::new();
        loop {
            // Boxed: the future of one attempt holds those of all calls, nested deeper than the compiler follows.
            let error = match Box::pin(self.attempt(source, dry_run, &plan, &has_turn)).await {
                Ok(planned) => return Ok(planned),
                Err(error) => error,
            };
            let again = error.remedy() == Some(Remedy::Observe) && timeout_at(self.deadline, patience.pause()).await.unwrap_or(false);
            if !again {
                let done = done_before.join(", ");
                return Err(if done.is_empty() { error } else { Error::Interrupted { error: Box::new(error), done } });
            }
            tracing::info!(%error, "the state is not as observed; observing again");
            done_before.extend(match error {
                Error::Apply { done, .. } if done != NOTHING => Some(done),
                _ => None,
            });
        }
    }

    /// Plans, and when there is something to write, takes the lease on `source`, plans anew under it if another may have written, and applies.
    async fn attempt(
        &self,
        source: &BucketName,
        dry_run: bool,
        plan: &impl AsyncFn() -> Result<Planned, Error>,
        has_turn: &impl AsyncFn() -> Result<(), Error>,
    ) -> Result<Planned, Error> {
        let observed = epoch_seconds(Duration::ZERO);
        let planned = self.in_time(in_turn(plan(), has_turn())).await?;
        if dry_run || planned.0.is_empty() {
            return Ok(planned);
        }
        self.with_lease(source.as_str(), async |held| {
            // A later request that had nothing to write has held no lease.
            let planned = match held.may_be_written_since(observed) {
                true => self.in_time(in_turn(plan(), has_turn())).await?,
                false => self.in_time(has_turn()).await.map(|()| planned)?,
            };
            match planned.0.changes_policies_of() {
                // With a slash, so that it is no bucket's name.
                Some(account) => self.with_lease(&format!("policies/{account}"), async |_| self.execute(&planned.0).await).await?,
                None => self.execute(&planned.0).await?,
            }
            Ok(planned)
        })
        .await
    }

    async fn execute(&self, plan: &Plan) -> Result<(), Error> {
        let mut done: Vec<&Step> = Vec::new();
        for stage in &plan.stages {
            let steps = join_all(stage.iter().map(|step| self.settle(step)));
            let results = timeout_at(self.deadline, steps).await.map_err(|_| out_of_time(&done, plan))?;
            let mut failures = Vec::new();
            for (step, result) in stage.iter().zip(results) {
                match result {
                    Ok(()) => done.push(step),
                    Err(failure) => failures.push(failure),
                }
            }
            if let Some(failure) = failures.into_iter().next() {
                let (done, left) = progress(&done, plan);
                return Err(Error::Apply { failure: Box::new(failure), done, left });
            }
        }
        Ok(())
    }

    /// Does one step, again while AWS has yet to notice what an earlier one did, and waits until a rule that it wrote can be seen.
    async fn settle(&self, step: &Step) -> Result<(), CloudError> {
        let mut patience = Patience::new(Duration::from_millis(250));
        while let Err(failure) = self.cloud.apply(step).await {
            if failure.remedy != Remedy::Wait || !patience.pause().await {
                return Err(failure.naming(step.parameter()));
            }
            tracing::debug!(%failure, "trying again");
        }
        tracing::info!(action = step.action(), resource = step.resource(), "changed");
        if let Some(location) = step.writes_replication_of() {
            self.see(step, location, patience).await;
        }
        Ok(())
    }

    /// Reads the configuration back until it shows what `step` did. The write has succeeded: that it cannot be seen is no failure.
    async fn see(&self, step: &Step, location: &Location, mut patience: Patience) {
        loop {
            match self.cloud.replication(location).await {
                Ok(current) if step.shows_in(current.as_ref()) => return,
                Ok(_) if patience.pause().await => {}
                Ok(_) => return tracing::warn!(resource = step.resource(), "the configuration that was written cannot be seen yet"),
                Err(failure) => return tracing::warn!(%failure, "the configuration that was written cannot be read back"),
            }
        }
    }

    /// Observes all that a plan for `spec` depends on, in three rounds of independent reads.
    async fn observe(&self, spec: &Spec, expected: &Region) -> Result<Observed, Error> {
        let cloud = self.cloud;
        let key_access = spec.destination_access.to(spec.replica_key.account());
        let (identity, region, destination_region, replica_key, named_ours) = try_join!(
            cloud.identity(),
            cloud.bucket_region(&spec.source, expected, &Access::Own),
            unless_denied(cloud.bucket_region(&spec.destination, &spec.destination_region, &spec.destination_access)),
            unless_denied(cloud.key(spec.replica_key.as_str(), spec.replica_key.region(), &key_access)),
            async { cloud.role(&RoleName::of_source(&spec.source)).await },
        )?;
        let region = region.ok_or_else(|| Refusal::SourceMissing { bucket: spec.source.clone() })?;
        let location = located(&spec.source, region, &identity);
        let mut unseen = Vec::new();
        let replica_key = of_destination(replica_key, spec.replica_key.account(), spec, &identity, &mut unseen)?;
        let owner = spec.destination_account.clone().unwrap_or_else(|| identity.account.clone());
        let destination = of_destination(destination_region, &owner, spec, &identity, &mut unseen)?.map(|region| Location {
            bucket: spec.destination.clone(),
            region,
            owner: owner.clone(),
            access: spec.destination_access.clone(),
        });

        let (versioning, object_lock, replication, encryption, destination) = try_join!(
            cloud.versioning(&location),
            cloud.object_lock(&location),
            cloud.replication(&location),
            self.default_encryption(spec, &location),
            unless_denied(self.observe_destination(spec, destination, &identity)),
        )?;
        let destination = of_destination(destination, &owner, spec, &identity, &mut unseen)?;

        let asked = source_keys(spec, encryption);
        let keys = join_all(asked.iter().map(|key| cloud.key(key, &location.region, &Access::Own)));
        let serving_name = replication.as_ref().map(|configuration| configuration.role());
        let alarmed = spec.alarm_topic.is_some() || plan::has_traces(&spec.rule_id, replication.as_ref(), named_ours.as_ref());
        let alarm = self.alarm(&spec.source, &spec.rule_id, &location.region, alarmed);
        let (keys, serving, alarm) = join!(keys, self.serving_role(serving_name, named_ours.as_ref()), alarm);
        let keys = keys.into_iter().collect::<Result<Vec<_>, _>>()?;
        let roles = Roles { named_ours, serving: serving? };
        let policies = self.policies_abroad(spec, &identity, destination.as_ref(), replica_key.as_ref(), &roles).await?;
        Ok(Observed {
            identity,
            source: Source { location, versioning, object_lock, replication },
            destination,
            replica_key,
            source_keys: asked.into_iter().zip(keys).collect(),
            roles,
            alarm: alarm?,
            unseen,
            policies,
        })
    }

    async fn default_encryption(&self, spec: &Spec, location: &Location) -> Result<Option<Encryption>, CloudError> {
        match spec.source_keys {
            SourceKeys::BucketDefault => self.cloud.encryption(location).await.map(Some),
            SourceKeys::Given(_) => Ok(None),
        }
    }

    async fn observe_destination(
        &self,
        spec: &Spec,
        location: Option<Location>,
        identity: &Identity,
    ) -> Result<Option<Destination>, CloudError> {
        let Some(location) = location else { return Ok(None) };
        let is_out_of_reach = location.owner != identity.account && location.access == Access::Own;
        let created = async {
            if !spec.create_destination_bucket || is_out_of_reach {
                return Ok(None);
            }
            let (tags, encryption, public_access_blocked) = try_join!(
                self.cloud.bucket_tags(&location),
                self.cloud.encryption(&location),
                self.cloud.public_access_blocked(&location),
            )?;
            Ok(tags.contains_key(OWNER_TAG).then_some(Created { encryption, public_access_blocked }))
        };
        let (versioning, object_lock, created) = try_join!(self.cloud.versioning(&location), self.cloud.object_lock(&location), created)?;
        Ok(Some(Destination { location, versioning, object_lock, created }))
    }

    /// The role that the configuration names, when it is not the one that was observed already.
    async fn serving_role(&self, serving: Option<&str>, named_ours: Option<&Role>) -> Result<Option<Role>, CloudError> {
        let other = serving.filter(|arn| named_ours.is_none_or(|role| role.arn != *arn));
        match other.and_then(RoleName::of_arn) {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        }
    }

    /// The rule's alarm, looked for only where there can be one: CloudWatch answers no more than a few of these calls a second.
    async fn alarm(&self, source: &BucketName, rule_id: &RuleId, region: &Region, possible: bool) -> Result<Option<Alarm>, CloudError> {
        if !possible {
            return Ok(None);
        }
        let name = rule_id.among_all(source);
        let found = self.cloud.alarms(std::slice::from_ref(&name), region).await?;
        Ok(found.into_iter().find(|alarm| alarm.name == name))
    }

    /// Observes all that a plan to remove a rule depends on; its alarm `always`, or only where the rule has left something.
    async fn observe_remains(
        &self,
        source: &BucketName,
        rule_id: &RuleId,
        access: &Access,
        expected: &Region,
        always: bool,
    ) -> Result<Remains, Error> {
        let role_name = RoleName::of_source(source);
        let (identity, region, named_ours) =
            try_join!(self.cloud.identity(), self.cloud.bucket_region(source, expected, &Access::Own), self.cloud.role(&role_name))?;
        let Some(region) = region else {
            let alarm = self.alarm(source, rule_id, expected, always || plan::has_traces(rule_id, None, named_ours.as_ref())).await?;
            let roles = Roles { named_ours, serving: None };
            let policies = self.policies_left(source, rule_id, access, &roles, expected).await?;
            return Ok(Remains { source: None, roles, alarm, policies });
        };
        let location = located(source, region, &identity);
        let replication = self.cloud.replication(&location).await?;
        let serving_name = replication.as_ref().map(|configuration| configuration.role());
        let alarmed = always || plan::has_traces(rule_id, replication.as_ref(), named_ours.as_ref());
        let (serving, alarm) =
            try_join!(self.serving_role(serving_name, named_ours.as_ref()), self.alarm(source, rule_id, &location.region, alarmed),)?;
        let roles = Roles { named_ours, serving };
        let policies = self.policies_left(source, rule_id, access, &roles, &location.region).await?;
        Ok(Remains { source: Some((location, replication)), roles, alarm, policies })
    }
}

/// What was planned meanwhile by a request that has its turn.
async fn in_turn(
    plan: impl Future<Output = Result<Planned, Error>>,
    has_turn: impl Future<Output = Result<(), Error>>,
) -> Result<Planned, Error> {
    let (planned, has_turn) = join!(plan, has_turn);
    has_turn.and(planned)
}

/// Pauses between tries, which grow and are jittered, until AWS has had time enough.
struct Patience {
    since: Instant,
    pause: Duration,
    limit: Duration,
}

impl Patience {
    fn new(pause: Duration) -> Self {
        Self { since: Instant::now(), pause, limit: SETTLE }
    }

    /// Patience that only a deadline ends.
    fn endless(pause: Duration) -> Self {
        Self { limit: Duration::MAX, ..Self::new(pause) }
    }

    /// Pauses; `false`, at once, when it is over.
    async fn pause(&mut self) -> bool {
        let more = self.since.elapsed() < self.limit;
        if more {
            sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
            self.pause = (self.pause * 2).min(Duration::from_secs(10));
        }
        more
    }
}

fn located(bucket: &BucketName, region: Region, identity: &Identity) -> Location {
    Location { bucket: bucket.clone(), region, owner: identity.account.clone(), access: Access::Own }
}

/// The keys to look up: those that were given, or the one of the bucket's default encryption.
fn source_keys(spec: &Spec, default_encryption: Option<Encryption>) -> Vec<String> {
    match (&spec.source_keys, default_encryption) {
        (SourceKeys::Given(keys), _) => keys.iter().map(ToString::to_string).collect(),
        (SourceKeys::BucketDefault, Some(Encryption::Kms { key, .. })) => vec![key.unwrap_or_else(|| "alias/aws/s3".to_owned())],
        (SourceKeys::BucketDefault, Some(Encryption::S3) | None) => Vec::new(),
    }
}

fn outcome(source: BucketName, rule_id: RuleId, changed: Status, dry_run: bool, plan: Plan, target: Option<Target>) -> Outcome {
    let status = match (dry_run, plan.is_empty()) {
        (true, _) => Status::Planned,
        (false, true) => Status::Unchanged,
        (false, false) => changed,
    };
    Outcome { source, rule_id, status, plan, target }
}

fn out_of_time(done: &[&Step], plan: &Plan) -> Error {
    let (done, left) = progress(done, plan);
    Error::OutOfTime { done, left }
}

/// The steps that were done and those that were not, as text.
fn progress(done: &[&Step], plan: &Plan) -> (String, String) {
    let listed = |steps: Vec<&Step>| match steps.as_slice() {
        [] => NOTHING.to_owned(),
        steps => steps.iter().map(|step| format!("{} on {}", step.action(), step.resource())).collect::<Vec<_>>().join(", "),
    };
    let left = plan.steps().filter(|step| !done.contains(step)).collect();
    (listed(done.to_vec()), listed(left))
}
