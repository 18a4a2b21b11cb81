//! The replication policy held against one bucket.

use std::borrow::Cow;

use futures_util::future::OptionFuture;
use tokio::{join, try_join};

use super::{Began, Early, Engine, Outcome, Status, outcome};
use crate::cloud::{Cloud, Location};
use crate::error::Error;
use crate::plan::{self, OWNER_TAG, Plan, Refusal, Roles};
use crate::settings::{Policy, PolicyRule, PolicySource};
use crate::spec::{Access, BucketName, Region, RoleName, RuleAddress, RuleId};

/// What the policy meant for a bucket.
#[derive(Debug)]
pub enum Coverage {
    /// Nothing, for this reason.
    Skipped(String),
    /// These rules, each with its own end: what is wrong with one keeps no other from being applied.
    Rules(Vec<(RuleId, Result<Outcome, Error>)>),
    /// The bucket is gone; this took back its role.
    Retired(Plan),
}

impl<C: Cloud> Engine<'_, C> {
    /// Applies every rule of the policy that matches `bucket`, and takes back those whose names match but whose tags no longer do.
    /// When the bucket is not found, its role goes, too, with `retire`.
    ///
    /// # Errors
    /// When it could not be found out what the policy means for the bucket. The rules' own errors are in [`Coverage::Rules`].
    pub async fn cover(&self, bucket: &BucketName, expected: &Region, retire: bool, dry_run: bool) -> Result<Coverage, Error> {
        let (mut coverage, others) = Box::pin(self.cover_alone(bucket, expected, retire, dry_run)).await?;
        // The other direction of two: what this function does to its buckets raises no event that it follows.
        for (other, region) in others {
            if let (Coverage::Rules(rules), Coverage::Rules(back)) =
                (&mut coverage, Box::pin(self.cover_alone(&other, &region, false, dry_run)).await?.0)
            {
                rules.extend(back);
            }
        }
        Ok(coverage)
    }

    /// As [`Engine::cover`], and the destinations of rules of two directions.
    async fn cover_alone(
        &self,
        bucket: &BucketName,
        expected: &Region,
        retire: bool,
        dry_run: bool,
    ) -> Result<(Coverage, Vec<(BucketName, Region)>), Error> {
        let skipped = |reason: &str| Ok((Coverage::Skipped(reason.to_owned()), Vec::new()));
        let skipped_unless_retired = async |reason: &str| {
            if retire && self.in_time(self.cloud.bucket_region(bucket, expected, &Access::Own)).await?.is_none() {
                return self.retire(bucket, expected, dry_run).await.map(|plan| (Coverage::Retired(plan), Vec::new()));
            }
            skipped(reason)
        };
        let Some(policy) = self.policy().await? else { return skipped_unless_retired("no replication policy is configured").await };
        let mut candidates: Vec<&PolicyRule> = policy.named(bucket).collect();
        if candidates.is_empty() {
            return skipped_unless_retired("no rule of the replication policy matches the bucket's name").await;
        }
        let identity = self.identity().await?;
        let is_destination = policy.has_destination(bucket, &identity.account);
        let of_a_rule = "the bucket is the destination of a rule of the replication policy";
        if is_destination && !candidates.iter().any(|rule| rule.is_two_way()) {
            return skipped_unless_retired(of_a_rule).await;
        }
        // The first rule's reads begin at once, unless it may turn out that it does not match.
        let first = candidates.first().filter(|rule| !rule.asks_for_tags() && !is_destination);
        let first = first.and_then(|rule| rule.spec(bucket, expected, &identity.account).ok());
        let began = Began::now();
        let (found, glance) = self
            .in_time(async {
                let tags = self.look(bucket, expected, async |location| self.cloud.bucket_tags(location).await);
                let glance = OptionFuture::from(first.as_ref().map(|spec| Box::pin(self.glance(spec, expected))));
                let (found, glance) = join!(tags, glance);
                found.map(|found| (found, glance))
            })
            .await?;
        let mut early = glance.map(|glance| Early { began, glance });
        let Some((location, tags)) = found else { return skipped_unless_retired("the bucket does not exist (any more)").await };
        let is_created = tags.contains_key(OWNER_TAG);
        let mut rules = Vec::new();
        if is_destination || is_created {
            let all = candidates;
            candidates =
                all.iter().filter(|rule| policy.replicates_back(rule, bucket, &location.region, &identity.account)).copied().collect();
            if candidates.is_empty() {
                return skipped(if is_created { "the bucket was created as a destination by this function" } else { of_a_rule });
            }
            let one_way = all.into_iter().filter(|rule| !candidates.iter().any(|other| other.rule_id() == rule.rule_id()));
            rules.extend(one_way.map(|rule| (rule.rule_id().clone(), Err(Refusal::DestinationOfRule { bucket: bucket.clone() }.into()))));
        }
        let (matching, withdrawn): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|rule| rule.matches_tags(&tags));

        let mut back = Vec::new();
        for rule in matching {
            let applied = match rule.spec(bucket, &location.region, &identity.account) {
                Ok(mut spec) => {
                    let early = if first.as_ref() == Some(&spec) { early.take() } else { None };
                    spec.dry_run |= dry_run;
                    let held = self.apply_policy_rule(&spec, &location.region, early).await;
                    if rule.is_two_way() && spec.other_account(&identity.account).is_none() {
                        back.push((spec.destination, spec.destination_region));
                    }
                    held
                }
                Err(invalid) => Err(invalid.into()),
            };
            rules.push((rule.rule_id().clone(), applied));
        }
        // Only now, so that a role that one rule leaves and another needs stays the same role.
        for rule in withdrawn {
            let removed = self.withdraw(rule, &location, dry_run).await;
            if removed.as_ref().map_or(true, |outcome| !outcome.plan.is_empty()) {
                rules.push((rule.rule_id().clone(), removed));
            }
        }
        if rules.is_empty() {
            return skipped("no rule of the replication policy matches the bucket's tags");
        }
        Ok((Coverage::Rules(rules), back))
    }

    /// The replication policy in force.
    async fn policy(&self) -> Result<Option<Cow<'_, Policy>>, Error> {
        Ok(match &self.settings.policy {
            None => None,
            Some(PolicySource::Inline(policy)) => Some(Cow::Borrowed(policy)),
            Some(PolicySource::Parameter(name)) => {
                let text = self.in_time(self.cloud.parameter(name)).await?;
                Some(Cow::Owned(Policy::parse(&text).map_err(|invalid| invalid.within("REPLICATION_POLICY_PARAMETER"))?))
            }
        })
    }

    /// Takes back the role of a source bucket that is gone, unless the bucket is there again.
    async fn retire(&self, source: &BucketName, expected: &Region, dry_run: bool) -> Result<Plan, Error> {
        let plan = async |()| {
            let name = RoleName::of_source(source);
            let (region, named_ours) = try_join!(self.cloud.bucket_region(source, expected, &Access::Own), self.cloud.role(&name))?;
            if region.is_some() {
                return Ok((Plan::default(), None));
            }
            let policies = named_ours.iter().flat_map(|role| role.policies.keys());
            let rules = policies.filter_map(|policy| RuleId::recognise(policy));
            let names: Vec<String> = rules.map(|id| RuleAddress { source: source.clone(), id }.to_string()).collect();
            let alarms = self.cloud.alarms(&names, expected).await?;
            let roles = Roles { named_ours, serving: None };
            let mut statements = Vec::new();
            for rule in self.policy().await?.iter().flat_map(|policy| policy.named(source)) {
                let address = rule.address(source);
                let left = self.policies_left(&address, &rule.destination_access(source), &roles, expected).await?;
                statements.extend(plan::statements_left(&address, &left));
            }
            Ok((plan::retire(source, &roles, alarms, statements), None))
        };
        let (plan, _) = self.converge(source, dry_run, None, async || Ok(()), plan, None).await?;
        Ok(plan)
    }

    /// Takes back what a rule made of a bucket that has lost its tags, unless it has them again.
    async fn withdraw(&self, rule: &PolicyRule, location: &Location, dry_run: bool) -> Result<Outcome, Error> {
        let Location { bucket: source, region, .. } = location;
        let address = rule.address(source);
        let look = async || self.glance_at_remains(&address, region, false).await;
        let plan = async |glance| {
            let remains = self.observe_remains(&address, &rule.destination_access(source), region, glance).await?;
            let tags = self.cloud.bucket_tags(location).await?;
            Ok((if rule.matches_tags(&tags) { Plan::default() } else { plan::remove(&address, &remains) }, None))
        };
        let (plan, _) = self.converge(source, dry_run, None, look, plan, None).await?;
        Ok(outcome(address.clone(), Status::Removed, dry_run, plan, None))
    }
}
