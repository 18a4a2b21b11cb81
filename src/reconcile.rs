//! Observe, plan, apply: within a deadline, and as often as the state turns out to be another than was observed.

mod coverage;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};
use tokio::{join, try_join};

pub use coverage::Coverage;

use crate::cloud::{Cloud, CloudError, Encryption, Identity, Location, Remedy, Role};
use crate::error::Error;
use crate::plan::{self, Created, Destination, OWNER_TAG, Observed, Plan, Refusal, Remains, Roles, Source, Step, Target};
use crate::settings::Settings;
use crate::spec::{BucketName, Region, RoleName, RuleId, SourceKeys, Spec};

/// How often state that is not as observed is observed again.
const ROUNDS: u32 = 3;

/// How long a change that was made a moment ago may take to be visible, as Terraform's AWS provider waits.
const SETTLE: Duration = Duration::from_secs(120);

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
}

impl<C: Cloud> Engine<'_, C> {
    /// Makes `spec` true. `expected` is the Region in which the source bucket is looked for first.
    ///
    /// # Errors
    /// As [`Error`] says; a failure on the way names what was done and what was not.
    pub async fn apply(&self, spec: &Spec, expected: &Region) -> Result<Outcome, Error> {
        let (plan, target) = self
            .converge(spec.dry_run, async || {
                let observed = self.observe(spec, expected).await?;
                let (plan, target) = plan::apply(spec, &observed, &self.settings.roles)?;
                Ok((plan, Some(target)))
            })
            .await?;
        Ok(outcome(spec.source.clone(), spec.rule_id.clone(), Status::Configured, spec.dry_run, plan, target))
    }

    /// Takes back the rule `rule_id` of `source`, and nothing else. A rule or a bucket that is gone is success.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn remove(&self, source: &BucketName, rule_id: &RuleId, expected: &Region, dry_run: bool) -> Result<Outcome, Error> {
        let (plan, _) = self
            .converge(dry_run, async || {
                let remains = self.observe_remains(source, expected).await?;
                Ok((plan::remove(source, rule_id, &remains), None))
            })
            .await?;
        Ok(outcome(source.clone(), rule_id.clone(), Status::Removed, dry_run, plan, None))
    }

    /// Takes back the role of a source bucket that is gone.
    async fn retire(&self, source: &BucketName, dry_run: bool) -> Result<Plan, Error> {
        let (plan, _) = self
            .converge(dry_run, async || {
                let named_ours = self.cloud.role(&RoleName::of_source(source)).await?;
                Ok((plan::retire(source, &Roles { named_ours, serving: None }), None))
            })
            .await?;
        Ok(plan)
    }

    /// Whose credentials are in use.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn identity(&self) -> Result<Identity, Error> {
        self.in_time(self.cloud.identity()).await
    }

    /// Awaits a read, but not past the deadline.
    async fn in_time<T>(&self, read: impl Future<Output = Result<T, CloudError>>) -> Result<T, Error> {
        Ok(timeout_at(self.deadline, read).await.map_err(|_| self.out_of_time(&[], &Plan::default()))??)
    }

    /// Plans and applies, and plans anew while the state turns out to be another than was observed.
    async fn converge(
        &self,
        dry_run: bool,
        observe_and_plan: impl AsyncFn() -> Result<(Plan, Option<Target>), Error>,
    ) -> Result<(Plan, Option<Target>), Error> {
        let mut round = 1;
        loop {
            let planned = timeout_at(self.deadline, observe_and_plan()).await;
            let (plan, target) = planned.map_err(|_| self.out_of_time(&[], &Plan::default()))??;
            if dry_run {
                return Ok((plan, target));
            }
            match self.execute(&plan).await {
                Ok(()) => return Ok((plan, target)),
                Err(Error::Apply { failure, .. }) if failure.remedy == Remedy::Observe && round < ROUNDS => {
                    tracing::info!(%failure, "the state is not as observed; observing again");
                    round += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn execute(&self, plan: &Plan) -> Result<(), Error> {
        let mut done: Vec<&Step> = Vec::new();
        for stage in &plan.stages {
            let steps = join_all(stage.iter().map(|step| self.settle(step, plan)));
            let results = timeout_at(self.deadline, steps).await.map_err(|_| self.out_of_time(&done, plan))?;
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

    /// Does one step, and does it again while AWS has yet to notice what an earlier one did.
    async fn settle(&self, step: &Step, plan: &Plan) -> Result<(), CloudError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(250);
        loop {
            let Err(failure) = self.cloud.apply(step).await else {
                tracing::info!(action = step.action(), resource = step.resource(), "done");
                return Ok(());
            };
            let just_created = failure.code == "NoSuchBucket" && plan.steps().any(|step| matches!(step, Step::CreateBucket { .. }));
            if !(failure.remedy == Remedy::Wait || just_created) || started.elapsed() > SETTLE {
                return Err(failure);
            }
            tracing::debug!(%failure, "waiting");
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    fn out_of_time(&self, done: &[&Step], plan: &Plan) -> Error {
        let (done, left) = progress(done, plan);
        Error::OutOfTime { done, left }
    }

    /// Observes all that a plan for `spec` depends on, in three rounds of independent reads.
    async fn observe(&self, spec: &Spec, expected: &Region) -> Result<Observed, Error> {
        let cloud = self.cloud;
        let (identity, region, destination_region, replica_key, named_ours) = try_join!(
            cloud.identity(),
            cloud.bucket_region(&spec.source, expected),
            cloud.bucket_region(&spec.destination, &spec.destination_region),
            cloud.key(spec.replica_key.as_str(), spec.replica_key.region()),
            async { cloud.role(&RoleName::of_source(&spec.source)).await },
        )?;
        let region = region.ok_or_else(|| Refusal::SourceMissing { bucket: spec.source.clone() })?;
        let location = located(&spec.source, region, &identity);
        let destination = destination_region.map(|region| located(&spec.destination, region, &identity));

        let (versioning, object_lock, replication, encryption, destination) = try_join!(
            cloud.versioning(&location),
            cloud.object_lock(&location),
            cloud.replication(&location),
            self.default_encryption(spec, &location),
            self.observe_destination(spec, destination),
        )?;

        let asked = source_keys(spec, encryption);
        let keys = join_all(asked.iter().map(|key| cloud.key(key, &location.region)));
        let serving_name = replication.as_ref().map(|configuration| configuration.role());
        let (keys, serving) = join!(keys, self.serving_role(serving_name, named_ours.as_ref()));
        let keys = keys.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Observed {
            identity,
            source: Source { location, versioning, object_lock, replication },
            destination,
            replica_key,
            source_keys: asked.into_iter().zip(keys).collect(),
            roles: Roles { named_ours, serving: serving? },
        })
    }

    async fn default_encryption(&self, spec: &Spec, location: &Location) -> Result<Option<Encryption>, CloudError> {
        match spec.source_keys {
            SourceKeys::BucketDefault => self.cloud.encryption(location).await.map(Some),
            SourceKeys::Given(_) => Ok(None),
        }
    }

    async fn observe_destination(&self, spec: &Spec, location: Option<Location>) -> Result<Option<Destination>, CloudError> {
        let Some(location) = location else { return Ok(None) };
        let created = async {
            if !spec.create_destination_bucket {
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

    async fn observe_remains(&self, source: &BucketName, expected: &Region) -> Result<Remains, Error> {
        let role_name = RoleName::of_source(source);
        let (identity, region, named_ours) =
            try_join!(self.cloud.identity(), self.cloud.bucket_region(source, expected), self.cloud.role(&role_name))?;
        let Some(region) = region else {
            return Ok(Remains { source: None, roles: Roles { named_ours, serving: None } });
        };
        let location = located(source, region, &identity);
        let replication = self.cloud.replication(&location).await?;
        let serving = self.serving_role(replication.as_ref().map(|configuration| configuration.role()), named_ours.as_ref()).await?;
        Ok(Remains { source: Some((location, replication)), roles: Roles { named_ours, serving } })
    }
}

fn located(bucket: &BucketName, region: Region, identity: &Identity) -> Location {
    Location { bucket: bucket.clone(), region, owner: identity.account.clone() }
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

/// The steps that were done and those that were not, as text.
fn progress(done: &[&Step], plan: &Plan) -> (String, String) {
    let listed = |steps: Vec<&Step>| match steps.as_slice() {
        [] => "nothing".to_owned(),
        steps => steps.iter().map(|step| format!("{} on {}", step.action(), step.resource())).collect::<Vec<_>>().join(", "),
    };
    let left = plan.steps().filter(|step| !done.contains(step)).collect();
    (listed(done.to_vec()), listed(left))
}
