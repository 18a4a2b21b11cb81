//! Diagnose: reads everything that decides whether a bucket's rules replicate.
//!
//! It owns what is read, in which order, and how often. It must not know what a reading means: [`crate::diagnose`] does.
//!
//! # Guarantees
//! - Everything here is generic over [`Inspect`], which cannot write.
//! - A read that fails is evidence, and stops no other read. Only a source bucket that does not exist, and a caller that AWS does not know,
//!   are errors.
//! - Nothing is read twice with one [`DiagnosisReads`].

mod destination;
mod reads;
mod sample;

use std::collections::BTreeSet;

use futures_util::future::OptionFuture;
use futures_util::stream::{self, StreamExt};
use tokio::join;

pub use reads::DiagnosisReads;
use reads::{Reader, of_objects};

use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::diagnose::{
    self, Diagnosis, Evidence, KeyEvidence, RoleEvidence, RuleEvidence, Seen, SourceEvidence,
};
use crate::model::{
    Access, BucketLocation, BucketName, Encryption, Identity, Region, ReplicationConfiguration,
    ReplicationRule, SimulatedCall, Simulation,
};
use crate::plan::Refusal;
use crate::ports::{Inspect, MeteredRule};
use crate::spec::Invalid;

/// The rules of one bucket, and the objects of one sample, that are read concurrently.
const CONCURRENCY: usize = 8;

/// A bucket to diagnose.
#[derive(Debug, Clone, Copy)]
pub struct DiagnosisRequest<'a> {
    /// The bucket.
    pub source: &'a BucketName,
    /// Its Region, or the Region in which it is looked up first.
    pub region: &'a Region,
    /// Whether the Region is known to be the bucket's.
    pub region_is_known: bool,
    /// The id of the only rule to diagnose; `None` for all rules.
    pub rule: Option<&'a str>,
    /// The number of objects to sample for each rule.
    pub sample: u16,
    /// Whether IAM's simulator is asked about the role's calls.
    pub ask_iam: bool,
    /// The credentials for the destination's account.
    pub access: &'a Access,
}

/// Collects the evidence about one bucket.
struct Collector<'a, C> {
    reader: Reader<'a, C>,
    request: DiagnosisRequest<'a>,
    identity: Identity,
    now: u64,
}

impl<C: Inspect> Engine<'_, C> {
    /// Reads a role with all its policies.
    pub(super) async fn role_evidence(
        &self,
        arn: &str,
        identity: &Identity,
        reads: &DiagnosisReads,
    ) -> Seen<Option<RoleEvidence>> {
        let reader = Reader { cloud: self.cloud, deadline: self.deadline, reads };
        reader.role(arn, identity).await
    }

    /// Diagnoses the rules of a bucket, and changes nothing.
    ///
    /// # Errors
    /// When the caller's identity cannot be read, there is no such bucket, or the bucket has no such rule.
    pub async fn diagnose(
        &self,
        request: &DiagnosisRequest<'_>,
        reads: &DiagnosisReads,
    ) -> Result<Diagnosis, Error> {
        let reader = Reader { cloud: self.cloud, deadline: self.deadline, reads };
        let identity = reader.identity().await?;
        let collector = Collector {
            reader,
            request: *request,
            identity,
            now: epoch_seconds(std::time::Duration::ZERO),
        };
        let source = request.source.to_string();
        let location = collector.source_location().await?;
        match collector.reader.seen(self.cloud.replication(&location)).await {
            Err(unread) => Ok(Diagnosis::unread(source, unread)),
            Ok(None) => collector.no_rules(source),
            Ok(Some(replication)) => {
                let evidence = collector.evidence(location, replication).await?;
                Ok(diagnose::diagnose(&evidence))
            }
        }
    }
}

impl<C: Inspect> Collector<'_, C> {
    fn no_rules(&self, source: String) -> Result<Diagnosis, Error> {
        match self.request.rule {
            None => Ok(Diagnosis::new(source, Vec::new(), &diagnose::NOT_EXAMINED)),
            Some(rule) => Err(no_such_rule(rule, &[])),
        }
    }

    async fn source_location(&self) -> Result<BucketLocation, Error> {
        let DiagnosisRequest { source, region, region_is_known, .. } = self.request;
        let location = |region: &Region| BucketLocation {
            bucket: source.clone(),
            region: region.clone(),
            owner: self.identity.account.clone(),
            access: Access::Own,
        };
        if region_is_known {
            return Ok(location(region));
        }
        let owner = &self.identity.account;
        let found = self.reader.cloud.bucket_region(source, region, owner, &Access::Own);
        match self.reader.seen(found).await {
            Ok(Some(region)) => Ok(location(&region)),
            Ok(None) => Err(Refusal::SourceMissing { bucket: source.clone() }.into()),
            // The right to read the configuration does not include the right to look the bucket up.
            Err(_) => Ok(location(region)),
        }
    }

    async fn evidence(
        &self,
        location: BucketLocation,
        replication: ReplicationConfiguration,
    ) -> Result<Evidence, Error> {
        let rules = self.rules(&replication)?;
        let role_arn = replication.role().to_owned();
        let source = self.source(location, replication);
        let (source, role) = join!(source, self.reader.role(&role_arn, &self.identity));
        let default_key = match &source.encryption {
            Ok(Encryption::Kms { key, .. }) => Some(key.as_deref().unwrap_or("alias/aws/s3")),
            Ok(Encryption::S3) | Err(_) => None,
        };
        let default_key = default_key.map(|id| self.key(id, &source.location.region));
        let rules = stream::iter(rules).map(|rule| self.rule(rule, &source));
        let (default_key, rules) =
            join!(OptionFuture::from(default_key), rules.buffered(CONCURRENCY).collect());
        let mut evidence = Evidence {
            identity: self.identity.clone(),
            source,
            role_arn,
            role,
            default_key,
            rules,
            now: self.now,
        };
        self.add_grants(&mut evidence).await;
        if self.request.ask_iam {
            self.add_simulations(&mut evidence).await;
        }
        Ok(evidence)
    }

    /// The rules that are to be diagnosed.
    fn rules(&self, replication: &ReplicationConfiguration) -> Result<Vec<ReplicationRule>, Error> {
        let is_wanted =
            |rule: &&ReplicationRule| self.request.rule.is_none_or(|id| rule.id() == Some(id));
        let rules: Vec<ReplicationRule> = replication.rules().filter(is_wanted).cloned().collect();
        match self.request.rule.filter(|_| rules.is_empty()) {
            None => Ok(rules),
            Some(id) => {
                let ids: Vec<&str> = replication.rules().filter_map(ReplicationRule::id).collect();
                Err(no_such_rule(id, &ids))
            }
        }
    }

    async fn source(
        &self,
        location: BucketLocation,
        replication: ReplicationConfiguration,
    ) -> SourceEvidence {
        let (reader, cloud) = (&self.reader, self.reader.cloud);
        let (versioning, encryption, object_lock, policy, ownership) = join!(
            reader.seen(cloud.versioning(&location)),
            reader.seen(cloud.encryption(&location)),
            reader.seen(cloud.object_lock(&location)),
            reader.bucket_policy(&location),
            reader.seen(cloud.object_ownership(&location)),
        );
        SourceEvidence {
            location,
            replication,
            versioning,
            encryption,
            object_lock,
            policy,
            ownership,
        }
    }

    /// Reads the grants of those keys whose policies do not decide without them.
    async fn add_grants(&self, evidence: &mut Evidence) {
        let wanted: BTreeSet<String> = diagnose::keys_decided_by_grants(evidence);
        let sampled = evidence.rules.iter_mut().flat_map(|rule| {
            let sample = rule.sample.as_mut().and_then(|sample| sample.as_mut().ok());
            let sampled = sample.into_iter().flat_map(|sample| sample.keys.values_mut());
            sampled.chain(&mut rule.replica_key)
        });
        for key in sampled.chain(&mut evidence.default_key) {
            let Some(arn) = key.arn().filter(|arn| wanted.contains(*arn)).map(str::to_owned) else {
                continue;
            };
            key.grants = Some(self.reader.grants(&arn, self.request.access).await);
        }
    }

    /// Asks IAM's simulator about the calls of each rule, one after the other: IAM answers few at once.
    async fn add_simulations(&self, evidence: &mut Evidence) {
        for number in 0..evidence.rules.len() {
            let Some(rule) = evidence.rules.get(number) else { continue };
            let calls = diagnose::simulated_calls(evidence, rule);
            let simulations = self.simulations(&evidence.role_arn, calls).await;
            if let Some(rule) = evidence.rules.get_mut(number) {
                rule.simulations = Some(of_objects(simulations));
            }
        }
    }

    async fn simulations(
        &self,
        role_arn: &str,
        calls: Vec<SimulatedCall>,
    ) -> Seen<Vec<(SimulatedCall, Simulation)>> {
        let mut simulations = Vec::new();
        for call in calls {
            let simulation = self.reader.seen(self.reader.cloud.simulate(role_arn, &call)).await?;
            simulations.push((call, simulation));
        }
        Ok(simulations)
    }

    async fn key(&self, id: &str, region: &Region) -> KeyEvidence {
        self.reader.key(id, region, self.request.access).await
    }

    async fn rule(&self, rule: ReplicationRule, source: &SourceEvidence) -> RuleEvidence {
        let metrics = self.metrics(&rule, &source.location);
        let objects = self.objects(&rule, source);
        let destination = async {
            let destination = self.destination(&rule, source).await;
            let region = match &destination.location {
                Ok(Some(location)) => location.region.clone(),
                Ok(None) | Err(_) => source.location.region.clone(),
            };
            let key = rule.replica_kms_key_id().map(|id| self.key(id, &region));
            (destination, OptionFuture::from(key).await)
        };
        let ((destination, replica_key), (prefix_use, sample), metrics) =
            join!(destination, objects, metrics);
        RuleEvidence {
            destination,
            replica_key,
            prefix_use,
            sample,
            metrics,
            rule,
            simulations: None,
        }
    }

    /// Reads the metrics of a rule that has them.
    async fn metrics(
        &self,
        rule: &ReplicationRule,
        source: &BucketLocation,
    ) -> Option<Seen<crate::model::ReplicationMetrics>> {
        let is_on = |element| rule.text(&["Destination", element, "Status"]) == Some("Enabled");
        let destination = BucketName::parse_name_or_arn(rule.destination_bucket()?).ok()?;
        let metered = MeteredRule {
            source: source.bucket.clone(),
            destination,
            rule: rule.id()?.to_owned(),
            region: source.region.clone(),
        };
        if !is_on("Metrics") {
            return None;
        }
        let read = self.reader.cloud.replication_metrics(&metered, self.now);
        Some(of_objects(self.reader.seen(read).await))
    }
}

fn no_such_rule(id: &str, ids: &[&str]) -> Error {
    let known = if ids.is_empty() {
        "the bucket has no rule".to_owned()
    } else {
        format!("the bucket's rules are `{}`", ids.join("`, `"))
    };
    Invalid::new("RuleId", format!("is `{id}`; {known}")).into()
}
