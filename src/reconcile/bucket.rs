//! Reconcile: applies the replication policy to one bucket.
//!
//! It owns the order in which a bucket's rules are applied and removed. It must not know how a rule is planned or applied, nor
//! how the request arrived.
//!
//! # Expected flow
//! [`decision`] decides whether to skip the bucket, which rules to apply, and which rules to remove since the
//! bucket lost their tags. The rules are applied one after the other.

use futures_util::future::OptionFuture;
use tokio::join;

use super::bucket_reads::{BucketReads, FirstRule, first_spec};
use super::converge::Prefetched;
use super::decision::{self, RulesOfBucket};
use super::shared_role::EnsuredRole;
use super::snapshot::ApplyFirstReads;
use super::{Engine, Error, Outcome, Prerequisites};
use crate::config::PolicyRule;
use crate::model::{BucketLocation, BucketName, Identity, OWNER_TAG, Region, RuleAddress, RuleId};
use crate::plan::Plan;
use crate::ports::Cloud;
use crate::spec::Spec;

/// The outcome of reconciling a bucket.
#[derive(Debug)]
pub enum BucketOutcome {
    /// Nothing had to be done, for this reason.
    Skipped(String),
    /// The result of each rule. A rule is applied even when another one fails.
    Rules(Vec<RuleOutcome>),
    /// The bucket is deleted; the plan that removes its role.
    Retired(Plan),
}

impl BucketOutcome {
    /// The failures of the bucket's rules.
    pub fn failures(&self) -> impl Iterator<Item = &Error> {
        let rules = match self {
            Self::Rules(rules) => rules.as_slice(),
            Self::Skipped(_) | Self::Retired(_) => &[],
        };
        rules.iter().filter_map(|rule| rule.result.as_ref().err())
    }
}

/// The outcome of one rule.
#[derive(Debug)]
pub struct RuleOutcome {
    /// The name of the rule's source bucket: another bucket when the rule is the other direction of a two-way rule.
    pub source: String,
    /// The rule's id.
    pub rule_id: RuleId,
    /// What was done, or why it failed.
    pub result: Result<Outcome, Error>,
}

impl RuleOutcome {
    pub(super) fn new(rule: RuleAddress, result: Result<Outcome, Error>) -> Self {
        let RuleAddress { source, id } = rule;
        Self { source: source.to_string(), rule_id: id, result }
    }
}

/// What to reconcile.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileRequest<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The Region in which the bucket is looked up first.
    pub expected: &'a Region,
    /// Whether the bucket's role is removed when the bucket is deleted.
    pub remove_if_gone: bool,
    /// Whether the bucket's own role is removed when the role of all buckets has replaced it long enough ago.
    pub remove_replaced_role: bool,
    /// Whether the bucket may exist although S3 denies it: an event has told of it a short time ago.
    pub may_be_invisible: bool,
    /// Whether to plan only.
    pub dry_run: bool,
}

/// The other direction of a two-way rule: the rule whose source is the destination.
struct ReverseDirection {
    rule: RuleAddress,
    region: Region,
}

impl ReverseDirection {
    /// The other direction of a two-way rule within one account.
    fn of(rule: &PolicyRule, spec: &Spec, source: &BucketLocation) -> Option<Self> {
        let is_reversed = rule.is_two_way() && spec.other_account(&source.owner).is_none();
        is_reversed.then(|| Self {
            rule: rule.address(&spec.destination),
            region: spec.destination_region.clone(),
        })
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Applies every rule of the policy that matches the bucket. Removes every rule that matches the bucket's name but no longer
    /// its tags.
    ///
    /// # Errors
    /// When the policy or the bucket cannot be read. The rules' own errors are in [`BucketOutcome::Rules`].
    pub async fn reconcile_bucket(
        &self,
        request: &ReconcileRequest<'_>,
    ) -> Result<BucketOutcome, Error> {
        let (mut outcome, reverse) = Box::pin(self.reconcile_one_direction(request)).await?;
        // Events of this function's own writes are ignored, so no event would reconcile the other direction.
        for ReverseDirection { rule, region } in reverse {
            let reverse_request = ReconcileRequest {
                bucket: &rule.source,
                expected: &region,
                remove_if_gone: false,
                remove_replaced_role: request.remove_replaced_role,
                may_be_invisible: false,
                dry_run: request.dry_run,
            };
            let reverse_outcome = Box::pin(self.reconcile_one_direction(&reverse_request)).await;
            let reverse_rules = match reverse_outcome {
                Ok((BucketOutcome::Rules(rules), _)) => rules,
                Ok((BucketOutcome::Skipped(_) | BucketOutcome::Retired(_), _)) => Vec::new(),
                Err(error) => vec![RuleOutcome::new(rule, Err(error))],
            };
            if let BucketOutcome::Rules(rules) = &mut outcome {
                rules.extend(reverse_rules);
            }
        }
        Ok(outcome)
    }

    /// Reconciles the bucket as a source. Also returns the destinations of its two-way rules.
    async fn reconcile_one_direction(
        &self,
        request: &ReconcileRequest<'_>,
    ) -> Result<(BucketOutcome, Vec<ReverseDirection>), Error> {
        let skip = |outcome| (outcome, Vec::new());
        let Some(policy) = self.policy().await? else {
            return self
                .skip_unless_gone(request, "no replication policy is configured")
                .await
                .map(skip);
        };
        let rules = match decision::match_name(&policy, request.bucket) {
            Ok(rules) => rules,
            Err(reason) => return self.skip_name(request, &policy, &reason).await.map(skip),
        };
        let identity = self.identity().await?;
        let account = &identity.account;
        let candidates = match decision::check_destination(&policy, rules, request.bucket, account)
        {
            Ok(candidates) => candidates,
            Err(reason) => return self.skip_unless_gone(request, reason).await.map(skip),
        };
        let first = first_spec(&candidates, request, account);
        let shared = self.shared_role(&policy, &identity);
        let first_rule = FirstRule { spec: first.as_ref(), shared: shared.as_ref() };
        let ensured = shared
            .clone()
            .map(|role| Box::pin(self.ensure_shared_role(role, &policy, request.dry_run)));
        let (reads, ensured) =
            join!(self.read_visible_bucket(request, first_rule), OptionFuture::from(ensured));
        let Some(reads) = reads? else {
            return self.skip_unless_gone(request, "the bucket does not exist").await.map(skip);
        };
        let shared = ensured.transpose()?;
        let is_created_by_us = self.is_created_by_us(&reads, &identity).await?;
        let BucketReads { location, tags, prefetched } = reads;
        let rules = decision::match_tags(&policy, candidates, &location, &tags, is_created_by_us);
        let rules = match rules {
            Ok(rules) => rules,
            Err(reason) => return Ok(skip(BucketOutcome::Skipped(reason.to_owned()))),
        };
        let first_reads = FirstReads { shared: shared.as_ref(), first: first.zip(prefetched) };
        let (mut outcome, reverse) =
            self.apply_rules(&location, rules, first_reads, request.dry_run).await?;
        if request.remove_replaced_role && shared.is_some() {
            self.add_removal_of_replaced_role(&location, &policy, request, &mut outcome).await;
        }
        Ok((request.with_visibility(outcome), reverse))
    }

    /// Applies the matching rules, then removes the untagged ones. In this order, a role that both need is never deleted and
    /// created again.
    async fn apply_rules(
        &self,
        location: &BucketLocation,
        rules: RulesOfBucket<'_>,
        FirstReads { shared, mut first }: FirstReads<'_>,
        dry_run: bool,
    ) -> Result<(BucketOutcome, Vec<ReverseDirection>), Error> {
        let RulesOfBucket { refused, matching, untagged } = rules;
        let refused = refused.into_iter().map(|(id, refusal)| RuleOutcome {
            source: location.bucket.to_string(),
            rule_id: id,
            result: Err(refusal.into()),
        });
        let mut results: Vec<RuleOutcome> = refused.collect();
        let mut reverse = Vec::new();
        for rule in matching {
            let result = match rule.spec(&location.bucket, &location.region, &location.owner) {
                Ok(spec) => {
                    reverse.extend(ReverseDirection::of(rule, &spec, location));
                    let prefetched = first
                        .take_if(|(first, _)| *first == spec)
                        .map(|(_, prefetched)| prefetched);
                    let spec = Spec { dry_run: spec.dry_run || dry_run, ..spec };
                    let mut applied =
                        self.apply_matching_rule(&spec, location, shared, prefetched).await;
                    if let Ok(outcome) = &mut applied {
                        outcome.plan.warnings.extend(rule.warnings());
                    }
                    applied
                }
                Err(invalid) => Err(invalid.into()),
            };
            results.push(RuleOutcome::new(rule.address(&location.bucket), result));
        }
        for rule in untagged {
            let result = self.remove_untagged_rule(rule, location, dry_run).await;
            if result.as_ref().map_or(true, |outcome| !outcome.plan.is_empty()) {
                results.push(RuleOutcome::new(rule.address(&location.bucket), result));
            }
        }
        let outcome = if results.is_empty() {
            BucketOutcome::Skipped(decision::NO_TAGS_MATCH.to_owned())
        } else {
            BucketOutcome::Rules(results)
        };
        Ok((outcome, reverse))
    }

    /// Applies a rule of the policy. The plan of a dry run begins with that of the role of all buckets.
    async fn apply_matching_rule(
        &self,
        spec: &Spec,
        location: &BucketLocation,
        shared: Option<&EnsuredRole>,
        prefetched: Option<Prefetched<ApplyFirstReads>>,
    ) -> Result<Outcome, Error> {
        let prerequisites =
            Prerequisites { shared: shared.map(|ensured| &ensured.role), prefetched };
        let mut outcome = self.apply_policy_rule(spec, &location.region, prerequisites).await?;
        if let Some(ensured) = shared.filter(|_| spec.dry_run) {
            outcome.plan.put_before(ensured.plan.clone());
        }
        Ok(outcome)
    }

    /// Whether the bucket is a destination that we have created.
    async fn is_created_by_us(
        &self,
        BucketReads { location, tags, .. }: &BucketReads,
        identity: &Identity,
    ) -> Result<bool, Error> {
        let Some(source) = tags.get(OWNER_TAG) else { return Ok(false) };
        let reader = self.reader();
        let read = reader.is_created_destination(location, source, identity);
        self.before_deadline(read).await
    }
}

/// What was read and made right before the bucket's rules are applied.
struct FirstReads<'a> {
    shared: Option<&'a EnsuredRole>,
    first: Option<(Spec, Prefetched<ApplyFirstReads>)>,
}
