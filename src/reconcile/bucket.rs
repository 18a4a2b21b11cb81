//! Reconcile: applies the replication policy to one bucket.
//!
//! It owns the order in which a bucket's rules are applied and removed. It must not know how a rule is planned or applied, nor
//! how the request arrived.
//!
//! # Expected flow
//! [`decision`] decides whether to skip the bucket, which rules to apply, and which rules to remove since the
//! bucket lost their tags. The rules are applied one after the other. When the bucket is deleted, its role is removed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::time::sleep;
use tokio::{join, try_join};

use super::converge::{DesiredState, Planned, Prefetched, RequestScope};
use super::cross_account::allow_access_denied;
use super::decision::{self, Candidates, RulesOfBucket};
use super::lease::epoch_seconds;
use super::shared_role::EnsuredRole;
use super::snapshot::{
    ApplyFirstReads, DeleteFirstReads, DeleteRule, SnapshotReader, own_location,
};
use super::{Engine, Error, Outcome, Prerequisites, Status};
use crate::config::{Policy, PolicyRule, PolicySource, RoleScope};
use crate::model::{
    Access, Account, ApiError, BucketLocation, BucketName, OWNER_TAG, Region,
    ReplicationConfiguration, Role, RuleAddress, RuleId,
};
use crate::plan::{self, Plan, Refusal, Roles, SharedRole};
use crate::ports::{Cloud, Read};
use crate::spec::Spec;

/// How long after a first answer a second one must confirm that a bucket, or its tags, are gone before anything is removed for it.
pub(super) const ABSENCE_PAUSE: Duration = Duration::from_secs(5);

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
        let account = self.identity().await?.account;
        let candidates = match decision::check_destination(&policy, rules, request.bucket, &account)
        {
            Ok(candidates) => candidates,
            Err(reason) => return self.skip_unless_gone(request, reason).await.map(skip),
        };
        let first = first_spec(&candidates, request, &account);
        let identity = self.identity().await?;
        let shared = self.shared_role(&policy, &identity);
        let first_rule = FirstRule { spec: first.as_ref(), shared: shared.as_ref() };
        let ensured = shared
            .clone()
            .map(|role| Box::pin(self.ensure_shared_role(role, &policy, request.dry_run)));
        let (reads, ensured) =
            join!(self.read_visible_bucket(request, first_rule), OptionFuture::from(ensured));
        let Some(BucketReads { location, tags, prefetched }) = reads? else {
            return self.skip_unless_gone(request, "the bucket does not exist").await.map(skip);
        };
        let shared = ensured.transpose()?;
        let is_created_by_us = match tags.get(OWNER_TAG) {
            Some(source) => {
                let reader = self.reader();
                let read = reader.is_created_destination(&location, source, &identity);
                self.before_deadline(read).await?
            }
            None => false,
        };
        match decision::match_tags(&policy, candidates, &location, &tags, is_created_by_us) {
            Ok(rules) => {
                let first = first.zip(prefetched);
                let (mut outcome, reverse) = self
                    .apply_rules(
                        &location,
                        rules,
                        FirstReads { shared: shared.as_ref(), first },
                        request.dry_run,
                    )
                    .await?;
                if request.remove_replaced_role && shared.is_some() {
                    self.add_removal_of_replaced_role(&location, &policy, request, &mut outcome)
                        .await;
                }
                Ok((request.with_visibility(outcome), reverse))
            }
            Err(reason) => Ok(skip(BucketOutcome::Skipped(reason.to_owned()))),
        }
    }

    /// Returns the replication policy, from the environment or from its SSM parameter.
    pub(super) async fn policy(&self) -> Result<Option<Cow<'_, Policy>>, Error> {
        Ok(match &self.settings.policy {
            None => None,
            Some(PolicySource::Inline(policy)) => Some(Cow::Borrowed(policy)),
            Some(PolicySource::Parameter(name)) => {
                let text = self.before_deadline(self.cloud.parameter(name)).await?;
                let policy = Policy::parse(&text)
                    .and_then(|policy| self.settings.check_policy(&policy).map(|()| policy))
                    .map_err(|invalid| invalid.within("REPLICATION_POLICY_PARAMETER"))?;
                Some(Cow::Owned(policy))
            }
        })
    }

    /// Skips a bucket whose name no rule matches. In a walk, a rule fails that the bucket got when the name matched, if the role of all buckets
    /// serves it: that role has no grants for such a name, and S3 does not tell.
    async fn skip_name(
        &self,
        request: &ReconcileRequest<'_>,
        policy: &Policy,
        reason: &str,
    ) -> Result<BucketOutcome, Error> {
        if !request.remove_replaced_role || self.settings.role_scope == RoleScope::Bucket {
            return self.skip_unless_gone(request, reason).await;
        }
        let ReconcileRequest { bucket, expected, .. } = request;
        let reader = self.reader();
        let read = reader.read_bucket(bucket, expected, async |location| {
            allow_access_denied(self.cloud.replication(location)).await
        });
        let Some((_, replication)) = self.before_deadline(read).await? else {
            return self.skip_unless_gone(request, reason).await;
        };
        let replication = replication.ok().flatten();
        let roles = &self.settings.roles;
        let grants = policy.shared_grants(&self.settings.region, &self.identity().await?);
        let failures: Vec<RuleOutcome> = replication
            .iter()
            .filter(|replication| roles.is_shared_role(replication.role()))
            .flat_map(ReplicationConfiguration::rules)
            .filter_map(|rule| rule.id().and_then(RuleId::parse))
            .filter(|id| grants.iter().any(|grants| grants.rule == *id))
            .map(|id| {
                let rule = RuleAddress { source: (*bucket).clone(), id };
                let refusal = Refusal::NameLeftRule { rule: rule.clone() };
                RuleOutcome::new(rule, Err(refusal.into()))
            })
            .collect();
        Ok(if failures.is_empty() {
            BucketOutcome::Skipped(reason.to_owned())
        } else {
            BucketOutcome::Rules(failures)
        })
    }

    /// Skips the bucket. Removes the bucket's role instead when the bucket is deleted and the request asks for that.
    async fn skip_unless_gone(
        &self,
        request: &ReconcileRequest<'_>,
        reason: &str,
    ) -> Result<BucketOutcome, Error> {
        if request.remove_if_gone {
            let ReconcileRequest { bucket, expected, .. } = request;
            let owner = self.identity().await?.account;
            let region = self.cloud.bucket_region(bucket, expected, &owner, &Access::Own);
            if self.before_deadline(region).await?.is_none() {
                return self.clean_up_deleted_bucket(request).await.map(BucketOutcome::Retired);
            }
        }
        Ok(BucketOutcome::Skipped(reason.to_owned()))
    }

    /// Reads the bucket's Region and tags and, concurrently, makes the first reads for `first`; `None` when there is no such
    /// bucket.
    pub(super) async fn read_tags_and_prefetch(
        &self,
        request: &ReconcileRequest<'_>,
        FirstRule { spec, shared }: FirstRule<'_>,
    ) -> Result<Option<BucketReads>, Error> {
        let Some(spec) = spec else {
            let found = self.before_deadline(self.read_tags(request)).await?;
            return Ok(found.map(|(location, tags)| BucketReads {
                location,
                tags,
                prefetched: None,
            }));
        };
        let time = epoch_seconds(Duration::ZERO);
        let reader = SnapshotReader { remembers_keys: shared.is_some(), ..self.reader() };
        let reads = async {
            let location = own_location(
                request.bucket,
                request.expected.clone(),
                &self.cloud.identity().await?,
            );
            let first_reads = Box::pin(reader.prefetch_apply(spec, request.expected, shared));
            let (tags, first_reads) = join!(self.cloud.bucket_tags(&location), first_reads);
            // The first reads have found the bucket, so the tags are of the bucket at this location.
            let found = match &first_reads {
                Ok(first_reads) if first_reads.source_is_at(&location) => Some((location, tags?)),
                Ok(_) | Err(_) => self.read_tags(request).await?,
            };
            Ok::<_, Error>((found, first_reads))
        };
        let (found, first_reads) = self.before_deadline(reads).await?;
        let prefetched = Some(Prefetched { time, first_reads });
        Ok(found.map(|(location, tags)| BucketReads { location, tags, prefetched }))
    }

    /// Reads the bucket's Region and tags; `None` when there is no such bucket.
    async fn read_tags(
        &self,
        request: &ReconcileRequest<'_>,
    ) -> Result<Option<(BucketLocation, BTreeMap<String, String>)>, ApiError> {
        let reader = self.reader();
        let tags = async |location: &BucketLocation| self.cloud.bucket_tags(location).await;
        reader.read_bucket(request.bucket, request.expected, tags).await
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
                    if rule.is_two_way() && spec.other_account(&location.owner).is_none() {
                        reverse.push(ReverseDirection {
                            rule: rule.address(&spec.destination),
                            region: spec.destination_region.clone(),
                        });
                    }
                    let prefetched = first
                        .take_if(|(first, _)| *first == spec)
                        .map(|(_, prefetched)| prefetched);
                    let spec = Spec { dry_run: spec.dry_run || dry_run, ..spec };
                    let prerequisites =
                        Prerequisites { shared: shared.map(|ensured| &ensured.role), prefetched };
                    let applied = self.apply_policy_rule(&spec, &location.region, prerequisites);
                    applied.await.map(|mut outcome| {
                        outcome.plan.warnings.extend(rule.warnings());
                        if let Some(ensured) = shared.filter(|_| spec.dry_run) {
                            outcome.plan.put_before(ensured.plan.clone());
                        }
                        outcome
                    })
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

    /// Removes the role of a deleted source bucket, unless the bucket exists again.
    async fn clean_up_deleted_bucket(&self, request: &ReconcileRequest<'_>) -> Result<Plan, Error> {
        let policy = self.policy().await?;
        let desired = DeletedBucket { reader: self.reader(), request, policy: policy.as_deref() };
        let scope = RequestScope::new(request.bucket.as_str(), request.dry_run);
        Ok(self.converge(&scope, None, &desired).await?.plan)
    }

    /// Removes a rule from a bucket that has lost the rule's tags, unless the bucket has them again.
    async fn remove_untagged_rule(
        &self,
        rule: &PolicyRule,
        location: &BucketLocation,
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
        let desired = UntaggedRule { delete, rule, location };
        let scope = RequestScope {
            access: &access,
            ..RequestScope::new(location.bucket.as_str(), dry_run)
        };
        let planned = self.converge(&scope, None, &desired).await?;
        Ok(planned.into_outcome(address.clone(), Status::Removed, dry_run))
    }
}

/// The rule whose first reads are made while the bucket is read.
#[derive(Clone, Copy)]
pub(super) struct FirstRule<'a> {
    spec: Option<&'a Spec>,
    /// The role of all buckets, in `RoleScope` Policy.
    shared: Option<&'a SharedRole>,
}

/// What was read and made right before the bucket's rules are applied.
struct FirstReads<'a> {
    shared: Option<&'a EnsuredRole>,
    first: Option<(Spec, Prefetched<ApplyFirstReads>)>,
}

/// What was read of a bucket that exists.
pub(super) struct BucketReads {
    location: BucketLocation,
    tags: BTreeMap<String, String>,
    pub(super) prefetched: Option<Prefetched<ApplyFirstReads>>,
}

/// Returns the spec of the first rule when that rule applies whatever the bucket's tags are. Its first reads can be made while
/// the tags are read.
fn first_spec(
    candidates: &Candidates<'_>,
    request: &ReconcileRequest<'_>,
    account: &Account,
) -> Option<Spec> {
    let rule =
        candidates.rules.first().filter(|rule| !rule.needs_tags() && !candidates.is_destination)?;
    rule.spec(request.bucket, request.expected, account).ok()
}

/// Removes the role of a deleted source bucket.
struct DeletedBucket<'a, R> {
    reader: SnapshotReader<'a, R>,
    request: &'a ReconcileRequest<'a>,
    policy: Option<&'a Policy>,
}

impl<R: Read> DesiredState for DeletedBucket<'_, R> {
    type FirstReads = ();

    async fn first_reads(&self) -> Result<(), Error> {
        Ok(())
    }

    fn needs_lease(&self, (): &()) -> bool {
        false
    }

    async fn read_and_plan(&self, (): ()) -> Result<Planned, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, .. } = self;
        let is_gone = async || {
            let owner = reader.cloud.identity().await?.account;
            let region = reader.cloud.bucket_region(bucket, expected, &owner, &Access::Own).await;
            region.map(|region| region.is_none())
        };
        let (gone, with_own_name) = try_join!(is_gone(), reader.own_role(bucket))?;
        if !gone {
            return Ok(Plan::default().into());
        }
        let plan = self.clean_up(with_own_name).await?;
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
    async fn clean_up(&self, with_own_name: Option<Role>) -> Result<Plan, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, policy } = self;
        let policies = with_own_name.iter().flat_map(|role| role.policies.keys());
        let rules = policies.filter_map(|policy| RuleId::parse(policy));
        let alarms: Vec<String> =
            rules.map(|id| RuleAddress { source: (*bucket).clone(), id }.to_string()).collect();
        let alarms = reader.cloud.alarms(&alarms, expected).await?;
        let roles = Roles { with_own_name, serving: None };
        let mut statements = Vec::new();
        for rule in policy.iter().flat_map(|policy| policy.rules_for_name(bucket)) {
            let (address, access) = (rule.address(bucket), rule.destination_access(bucket));
            let policies =
                reader.policies_with_statements(&address, &access, &roles, expected).await?;
            statements.extend(plan::remove_statements(&address, &policies));
        }
        Ok(plan::clean_up_deleted_bucket(bucket, &roles, alarms, statements))
    }
}

/// Removes a rule from a bucket whose tags it does not match.
struct UntaggedRule<'a, R> {
    delete: DeleteRule<'a, R>,
    rule: &'a PolicyRule,
    location: &'a BucketLocation,
}

impl<R: Read> DesiredState for UntaggedRule<'_, R> {
    type FirstReads = DeleteFirstReads;

    async fn first_reads(&self) -> Result<DeleteFirstReads, Error> {
        self.delete.first_reads().await
    }

    fn needs_lease(&self, first_reads: &DeleteFirstReads) -> bool {
        first_reads.is_present
    }

    async fn read_and_plan(&self, first_reads: DeleteFirstReads) -> Result<Planned, Error> {
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
