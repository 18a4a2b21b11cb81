//! Reconcile: the replication policy held against one bucket.
//!
//! # Expected flow
//! [`decision`](super::decision) says what the policy means for the bucket: skip it, apply rules, or remove what rules made that no
//! longer match. A bucket that is gone has its role removed. The rules are carried out one after the other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::time::sleep;
use tokio::{join, try_join};

use super::converge::{Planned, Planner, Prefetched, RequestScope};
use super::decision::{self, Candidates, RulesOfBucket};
use super::lease::epoch_seconds;
use super::snapshot::{ApplyFirstReads, DeleteFirstReads, DeleteRule, SnapshotReader};
use super::{Engine, Error, Outcome, Status};
use crate::config::{Policy, PolicyRule, PolicySource};
use crate::model::{
    Access, Account, BucketName, Location, Region, Role, RoleName, RuleAddress, RuleId,
};
use crate::plan::{self, Plan, Roles};
use crate::ports::{Cloud, Read};
use crate::spec::Spec;

/// How long after a first answer a second one must confirm that a bucket, or its tags, are gone before anything is removed for it.
const ABSENCE_PAUSE: Duration = Duration::from_secs(5);

/// What reconciling a bucket came to.
#[derive(Debug)]
pub enum BucketOutcome {
    /// Nothing was to be done, for this reason.
    Skipped(String),
    /// These rules were carried out, each with its own result: a failure of one keeps no other from being applied.
    Rules(Vec<(RuleId, Result<Outcome, Error>)>),
    /// The bucket is gone; this plan removed its role.
    Retired(Plan),
}

/// What to reconcile.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileRequest<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The Region in which it is looked up first.
    pub expected: &'a Region,
    /// Whether its role is removed when the bucket is gone.
    pub remove_if_gone: bool,
    /// Plan only.
    pub dry_run: bool,
}

/// The other bucket of a rule of two directions.
struct ReverseDirection {
    bucket: BucketName,
    region: Region,
}

impl<C: Cloud> Engine<'_, C> {
    /// Applies every rule of the policy that matches the bucket, and removes what those made whose names match and whose tags no
    /// longer do.
    ///
    /// # Errors
    /// When it could not be found out what the policy means for the bucket. The rules' own errors are in [`BucketOutcome::Rules`].
    pub async fn reconcile_bucket(
        &self,
        request: &ReconcileRequest<'_>,
    ) -> Result<BucketOutcome, Error> {
        let (mut outcome, reverse) = Box::pin(self.reconcile_one_direction(request)).await?;
        // This function's own writes to its buckets raise no event that it handles, so the other direction is reconciled here.
        for ReverseDirection { bucket, region } in reverse {
            let other = ReconcileRequest {
                bucket: &bucket,
                expected: &region,
                remove_if_gone: false,
                dry_run: request.dry_run,
            };
            let (back, _) = Box::pin(self.reconcile_one_direction(&other)).await?;
            if let (BucketOutcome::Rules(rules), BucketOutcome::Rules(back)) = (&mut outcome, back)
            {
                rules.extend(back);
            }
        }
        Ok(outcome)
    }

    /// As [`Engine::reconcile_bucket`]; gives the destinations of rules of two directions, too.
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
        let rules = match decision::by_name(&policy, request.bucket) {
            Ok(rules) => rules,
            Err(reason) => return self.skip_unless_gone(request, reason).await.map(skip),
        };
        let account = self.identity().await?.account;
        let candidates = match decision::by_destination(&policy, rules, request.bucket, &account) {
            Ok(candidates) => candidates,
            Err(reason) => return self.skip_unless_gone(request, reason).await.map(skip),
        };
        let first = first_spec(&candidates, request, &account);
        let Some(BucketReads { location, tags, prefetched }) =
            self.read_tags(request, first.as_ref()).await?
        else {
            return self
                .skip_unless_gone(request, "the bucket does not exist (any more)")
                .await
                .map(skip);
        };
        match decision::by_tags(&policy, candidates, &location, &tags) {
            Ok(rules) => {
                self.apply_rules(&location, rules, first.zip(prefetched), request.dry_run).await
            }
            Err(reason) => Ok(skip(BucketOutcome::Skipped(reason.to_owned()))),
        }
    }

    /// The replication policy in force.
    async fn policy(&self) -> Result<Option<Cow<'_, Policy>>, Error> {
        Ok(match &self.settings.policy {
            None => None,
            Some(PolicySource::Inline(policy)) => Some(Cow::Borrowed(policy)),
            Some(PolicySource::Parameter(name)) => {
                let text = self.before_deadline(self.cloud.parameter(name)).await?;
                let policy = Policy::parse(&text)
                    .map_err(|invalid| invalid.within("REPLICATION_POLICY_PARAMETER"))?;
                Some(Cow::Owned(policy))
            }
        })
    }

    /// Skips a bucket; one that is gone has its role removed, when the request asks for that.
    async fn skip_unless_gone(
        &self,
        request: &ReconcileRequest<'_>,
        reason: &str,
    ) -> Result<BucketOutcome, Error> {
        if request.remove_if_gone {
            let region = self.cloud.bucket_region(request.bucket, request.expected, &Access::Own);
            if self.before_deadline(region).await?.is_none() {
                return self.clean_up_deleted_bucket(request).await.map(BucketOutcome::Retired);
            }
        }
        Ok(BucketOutcome::Skipped(reason.to_owned()))
    }

    /// Reads the bucket's Region and tags and, at the same time, what the plan for `first` begins with; `None` when there is no such
    /// bucket.
    async fn read_tags(
        &self,
        request: &ReconcileRequest<'_>,
        first: Option<&Spec>,
    ) -> Result<Option<BucketReads>, Error> {
        let (time, reader) = (epoch_seconds(Duration::ZERO), self.reader());
        let reads = async {
            let tags = reader.read_bucket(request.bucket, request.expected, async |location| {
                self.cloud.bucket_tags(location).await
            });
            let first_reads =
                first.map(|spec| Box::pin(reader.prefetch_apply(spec, request.expected)));
            let (found, first_reads) = join!(tags, OptionFuture::from(first_reads));
            found.map(|found| (found, first_reads))
        };
        let (found, first_reads) = self.before_deadline(reads).await?;
        let prefetched = first_reads.map(|first_reads| Prefetched { time, first_reads });
        Ok(found.map(|(location, tags)| BucketReads { location, tags, prefetched }))
    }

    /// Applies the matching rules, then removes what the untagged ones made: a role that one rule leaves and another needs stays
    /// the same role.
    async fn apply_rules(
        &self,
        location: &Location,
        rules: RulesOfBucket<'_>,
        mut first: Option<(Spec, Prefetched<ApplyFirstReads>)>,
        dry_run: bool,
    ) -> Result<(BucketOutcome, Vec<ReverseDirection>), Error> {
        let RulesOfBucket { refused, matching, untagged } = rules;
        let refused = refused.into_iter().map(|(rule, refusal)| (rule, Err(refusal.into())));
        let mut results: Vec<(RuleId, Result<Outcome, Error>)> = refused.collect();
        let mut reverse = Vec::new();
        for rule in matching {
            let result = match rule.spec(&location.bucket, &location.region, &location.owner) {
                Ok(mut spec) => {
                    let prefetched = first
                        .take_if(|(first, _)| *first == spec)
                        .map(|(_, prefetched)| prefetched);
                    spec.dry_run |= dry_run;
                    let result = self.apply_policy_rule(&spec, &location.region, prefetched).await;
                    if rule.is_two_way() && spec.other_account(&location.owner).is_none() {
                        reverse.push(ReverseDirection {
                            bucket: spec.destination,
                            region: spec.destination_region,
                        });
                    }
                    result
                }
                Err(invalid) => Err(invalid.into()),
            };
            results.push((rule.rule_id().clone(), result));
        }
        for rule in untagged {
            let result = self.remove_untagged_rule(rule, location, dry_run).await;
            if result.as_ref().map_or(true, |outcome| !outcome.plan.is_empty()) {
                results.push((rule.rule_id().clone(), result));
            }
        }
        let outcome = if results.is_empty() {
            BucketOutcome::Skipped(decision::NO_TAGS_MATCH.to_owned())
        } else {
            BucketOutcome::Rules(results)
        };
        Ok((outcome, reverse))
    }

    /// Removes the role of a source bucket that is gone, unless the bucket exists again.
    async fn clean_up_deleted_bucket(&self, request: &ReconcileRequest<'_>) -> Result<Plan, Error> {
        let policy = self.policy().await?;
        let planner = DeletedBucket { reader: self.reader(), request, policy: policy.as_deref() };
        let scope =
            RequestScope { source: request.bucket, dry_run: request.dry_run, generation: None };
        Ok(self.converge(&scope, None, &planner).await?.plan)
    }

    /// Removes what a rule made for a bucket that has lost its tags, unless it has them again.
    async fn remove_untagged_rule(
        &self,
        rule: &PolicyRule,
        location: &Location,
        dry_run: bool,
    ) -> Result<Outcome, Error> {
        let (address, access) =
            (rule.address(&location.bucket), rule.destination_access(&location.bucket));
        let delete = DeleteRule {
            reader: self.reader(),
            rule: &address,
            access: &access,
            expected: &location.region,
        };
        let planner = UntaggedRule { delete, rule, location };
        let scope = RequestScope { source: &location.bucket, dry_run, generation: None };
        let planned = self.converge(&scope, None, &planner).await?;
        Ok(planned.into_outcome(address.clone(), Status::Removed, dry_run))
    }
}

/// What was read of a bucket that exists.
struct BucketReads {
    location: Location,
    tags: BTreeMap<String, String>,
    prefetched: Option<Prefetched<ApplyFirstReads>>,
}

/// The spec of the first rule, whose reads can begin before the bucket's tags are known: the rule matches whatever they are.
fn first_spec(
    candidates: &Candidates<'_>,
    request: &ReconcileRequest<'_>,
    account: &Account,
) -> Option<Spec> {
    let rule = candidates
        .rules
        .first()
        .filter(|rule| !rule.asks_for_tags() && !candidates.is_destination)?;
    rule.spec(request.bucket, request.expected, account).ok()
}

/// Removes the role of a source bucket that is gone.
struct DeletedBucket<'a, R> {
    reader: SnapshotReader<'a, R>,
    request: &'a ReconcileRequest<'a>,
    policy: Option<&'a Policy>,
}

impl<R: Read> Planner for DeletedBucket<'_, R> {
    type FirstReads = ();

    async fn first_reads(&self) -> Result<(), Error> {
        Ok(())
    }

    fn needs_lease(&self, (): &()) -> bool {
        false
    }

    async fn plan(&self, (): ()) -> Result<Planned, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, .. } = self;
        let is_gone = async || {
            let region = reader.cloud.bucket_region(bucket, expected, &Access::Own).await;
            region.map(|region| region.is_none())
        };
        let role_name = RoleName::of_source(bucket);
        let (gone, named_ours) = try_join!(is_gone(), reader.cloud.role(&role_name))?;
        if !gone {
            return Ok(Plan::default().into());
        }
        let plan = self.clean_up(named_ours).await?;
        // One answer is no proof: S3 may deny for a moment that a bucket exists.
        if !plan.is_empty() {
            sleep(ABSENCE_PAUSE).await;
            if !is_gone().await? {
                return Ok(Plan::default().into());
            }
        }
        Ok(plan.into())
    }
}

impl<R: Read> DeletedBucket<'_, R> {
    async fn clean_up(&self, named_ours: Option<Role>) -> Result<Plan, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, policy } = self;
        let policies = named_ours.iter().flat_map(|role| role.policies.keys());
        let rules = policies.filter_map(|policy| RuleId::recognise(policy));
        let alarms: Vec<String> =
            rules.map(|id| RuleAddress { source: (*bucket).clone(), id }.to_string()).collect();
        let alarms = reader.cloud.alarms(&alarms, expected).await?;
        let roles = Roles { named_ours, serving: None };
        let mut statements = Vec::new();
        for rule in policy.iter().flat_map(|policy| policy.named(bucket)) {
            let (address, access) = (rule.address(bucket), rule.destination_access(bucket));
            let policies =
                reader.policies_with_statements(&address, &access, &roles, expected).await?;
            statements.extend(plan::remove_statements(&address, &policies));
        }
        Ok(plan::clean_up_deleted_bucket(bucket, &roles, alarms, statements))
    }
}

/// Removes what a rule made for a bucket whose tags the rule does not match.
struct UntaggedRule<'a, R> {
    delete: DeleteRule<'a, R>,
    rule: &'a PolicyRule,
    location: &'a Location,
}

impl<R: Read> Planner for UntaggedRule<'_, R> {
    type FirstReads = DeleteFirstReads;

    async fn first_reads(&self) -> Result<DeleteFirstReads, Error> {
        self.delete.first_reads().await
    }

    fn needs_lease(&self, first_reads: &DeleteFirstReads) -> bool {
        first_reads.is_present
    }

    async fn plan(&self, first_reads: DeleteFirstReads) -> Result<Planned, Error> {
        let reader = self.delete.reader;
        let snapshot = reader.delete_snapshot(&self.delete, first_reads, false).await?;
        let plan = plan::delete(self.delete.rule, &snapshot);
        // One answer is no proof: S3 may answer for a moment that a bucket has no tags.
        if !plan.is_empty() {
            sleep(ABSENCE_PAUSE).await;
            let tags = reader.cloud.bucket_tags(self.location).await?;
            if self.rule.matches_tags(&tags) {
                return Ok(Plan::default().into());
            }
        }
        Ok(plan.into())
    }
}
