//! The plan that creates or updates a rule.
//!
//! It owns the order of the stages. It must not know how a stage's actions come about: the other modules of `plan` decide that.

mod object_lock;
mod source_keys;
mod warnings;

use std::collections::BTreeSet;

use self::object_lock::check_object_lock;
use self::source_keys::SourceKeyGrants;
use self::warnings::{encryption_warning, owner_warning, prefix_warnings};
use super::cross_account::{CrossAccount, RequiredStatements};
use super::inline_policy::{InlinePolicy, InlinePolicyChange};
use super::job::JobPlan;
use super::role::ServingRole;
use super::{
    Action, ApplySnapshot, Plan, Refusal, RuleAttributes, StageName, alarm, destination, keys,
    rules,
};
use crate::iam_policy::{self, BucketInRegion, Grants};
use crate::model::{BucketLocation, Region, Versioning};
use crate::spec::{ReplicaOwner, RoleSettings, Spec};

/// Plans the changes after which the rule is as `spec` says.
///
/// # Errors
/// A [`Refusal`] if a precondition is not met that this program may not or cannot meet.
pub fn apply(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    settings: &RoleSettings,
) -> Result<(Plan, RuleAttributes), Refusal> {
    if !snapshot.denied_reads.is_empty() {
        return Err(destination_not_readable(spec, snapshot, settings)?);
    }
    let parts = RuleParts::new(spec, snapshot, settings)?;
    let (kept, warnings, attributes) = (parts.kept(), parts.warnings(), parts.attributes());
    let mut plan = Plan::new(parts.into_stages());
    plan.note_kept_rules(&spec.rule.id);
    plan.kept.extend(kept);
    plan.warnings.extend(warnings);
    Ok((plan, attributes))
}

/// The parts of a rule's setup, each with what has to change of it.
struct RuleParts<'a> {
    spec: &'a Spec,
    snapshot: &'a ApplySnapshot,
    settings: &'a RoleSettings,
    destination: BucketLocation,
    replica_key: String,
    source_keys: SourceKeyGrants,
    role: ServingRole<'a>,
    /// `None` for the role of all buckets, which has its grants already.
    policy: Option<InlinePolicyChange<'a>>,
    statements: CrossAccount,
    rule: rules::Merged,
    alarm: Option<Action>,
    job: JobPlan,
}

impl<'a> RuleParts<'a> {
    /// Checks the preconditions, and decides about each part.
    fn new(
        spec: &'a Spec,
        snapshot: &'a ApplySnapshot,
        settings: &'a RoleSettings,
    ) -> Result<Self, Refusal> {
        let destination = destination::location(spec, snapshot)?;
        check_object_lock(spec, snapshot)?;
        let replica_key = keys::replica_key(spec, snapshot)?;
        let role = ServingRole::choose(spec, snapshot, settings)?;
        let job = JobPlan::new(spec, snapshot, &role)?;
        let policy = InlinePolicy::new(spec, &role);
        let source_keys = SourceKeyGrants::new(spec, snapshot, &policy)?;
        let granted = &source_keys.granted;
        let grants = grants(spec, snapshot, &destination.region, granted, &replica_key);
        let statements = RequiredStatements::new(spec, snapshot, &grants, &destination, &role);
        let statements = CrossAccount::new(&statements, snapshot)?;
        let rule = merge_rule(spec, snapshot, &role, &grants)?;
        // Until a rule has changed, it needs its present grants. Until its obsolete statements are removed, the present grants also
        // record where those statements are.
        let current = snapshot.source.replication.as_ref();
        let changes_rule =
            rule.configuration.is_some() && rules::find(current, &spec.rule.id).is_some();
        let keeps_grants = changes_rule || !statements.withdraw.is_empty();
        let policy = match &role {
            ServingRole::Own { .. } | ServingRole::Foreign(_) => {
                let policy = policy.replaced_by(grants.document(), keeps_grants);
                policy.check_size(job.rights.as_ref())?;
                Some(policy)
            }
            ServingRole::Shared { role, .. } => {
                role.check_replica_key(&spec.rule.id, &replica_key)?;
                None
            }
        };
        let alarm = alarm::action(spec, snapshot)?;
        Ok(Self {
            spec,
            snapshot,
            settings,
            destination,
            replica_key,
            source_keys,
            role,
            policy,
            statements,
            rule,
            alarm,
            job,
        })
    }

    fn into_stages(self) -> [(StageName, Vec<Action>); 8] {
        let Self { spec, snapshot, destination, replica_key, policy, .. } = &self;
        let trust =
            if self.job.needs_trust { iam_policy::trust_with_job() } else { iam_policy::trust() };
        let mut prepare = destination::prepare(spec, snapshot, destination, replica_key);
        prepare.extend(enable_source_versioning(snapshot));
        prepare.extend(self.role.repair(spec, self.settings, trust));

        let mut grant = destination::configure_created(snapshot, destination, replica_key);
        grant.extend(policy.as_ref().and_then(InlinePolicyChange::grant));
        let tighten = policy.as_ref().and_then(InlinePolicyChange::tighten);
        grant.extend(self.statements.keep);
        grant.extend(self.job.rights);

        // After the rule's inline policy, since the policy records that the rule may have an alarm and statements.
        let mut admit = self.statements.put;
        admit.extend(self.alarm);
        admit.extend(self.role.keep_replaced());

        let switch = self.rule.configuration.map(|configuration| Action::PutReplication {
            location: self.snapshot.source.location.clone(),
            before: self.snapshot.source.replication.clone(),
            configuration,
            rule: self.spec.rule.id.clone(),
        });
        [
            (StageName::CancelJob, Vec::from_iter(self.job.cancel)),
            (StageName::Prepare, prepare),
            (StageName::Grant, grant),
            (StageName::Admit, admit),
            (StageName::Switch, Vec::from_iter(switch)),
            (StageName::Withdraw, self.statements.withdraw),
            (StageName::Tighten, Vec::from_iter(tighten)),
            (StageName::StartJob, Vec::from_iter(self.job.start)),
        ]
    }

    /// What the plan deliberately leaves as it is.
    fn kept(&self) -> Vec<String> {
        let earlier_grant = |key| {
            format!(
                "the grant on key `{key}`: objects that an earlier default encryption wrote need it"
            )
        };
        let earlier_grants = self.source_keys.earlier.iter().map(earlier_grant);
        let own_role = self.role.reason_for_own(self.spec, self.snapshot);
        earlier_grants.chain(self.job.kept.clone()).chain(own_role).collect()
    }

    /// What the caller should know.
    fn warnings(&self) -> Vec<String> {
        let Self { spec, snapshot, .. } = self;
        let mut warnings = Vec::new();
        warnings.extend(self.statements.manual.clone());
        warnings.extend(self.job.warnings.iter().cloned());
        warnings.extend(destination::warning(spec, snapshot));
        warnings.extend(self.role.warning(self.settings));
        warnings.extend(self.rule.warnings.iter().cloned());
        warnings.extend(keys::warnings(snapshot));
        warnings.extend(prefix_warnings(&spec.filter.prefix));
        warnings.extend(encryption_warning(spec, &self.source_keys.granted));
        warnings.extend(owner_warning(spec, snapshot));
        warnings
    }

    fn attributes(&self) -> RuleAttributes {
        RuleAttributes {
            role_arn: self.role.arn().to_owned(),
            role_name: self.role.name().clone(),
            source_kms_key_arns: self.source_keys.granted.clone(),
            replica_kms_key_arn: self.replica_key.clone(),
            destination_bucket_arn: self.spec.destination.arn(self.snapshot.identity.partition),
            destination_region: self.destination.region.clone(),
            job_id: self.job.id.clone(),
        }
    }
}

/// Puts the rule among the bucket's other rules.
fn merge_rule(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    role: &ServingRole<'_>,
    grants: &Grants<'_>,
) -> Result<rules::Merged, Refusal> {
    let rule = rules::WantedRule {
        spec,
        destination_arn: &spec.destination.arn(snapshot.identity.partition),
        other_account: spec.other_account(&snapshot.identity.account),
        replica_key: grants.replica_key,
        kms: !grants.source_keys.is_empty(),
    };
    rules::merge(snapshot.source.replication.as_ref(), role.arn(), &rule)
}

/// Plans only the rule's grants in the bucket's own role, so that the role can serve the bucket's rules in place of the role of all buckets.
///
/// # Errors
/// As [`apply`].
pub fn grant(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    settings: &RoleSettings,
) -> Result<Plan, Refusal> {
    // Of a plan that is not applied, nothing is refused that other rules still lack.
    let (mut plan, _) = apply(&Spec { dry_run: true, ..spec.clone() }, snapshot, settings)?;
    let is_before_rule =
        |name| matches!(name, StageName::Prepare | StageName::Grant | StageName::Admit);
    plan.stages.retain(|stage| is_before_rule(stage.name));
    Ok(plan)
}

/// The refusal of a destination that could not be read, with the statements that allow it to be read.
fn destination_not_readable(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    settings: &RoleSettings,
) -> Result<Refusal, Refusal> {
    let role = ServingRole::choose(spec, snapshot, settings)?;
    let keys = keys::source_keys(spec, snapshot)?;
    let grants = grants(spec, snapshot, &spec.destination_region, &keys, spec.replica_key.as_str());
    let location = destination::intended_location(spec, snapshot);
    Ok(RequiredStatements::new(spec, snapshot, &grants, &location, &role).not_readable(snapshot))
}

fn enable_source_versioning(snapshot: &ApplySnapshot) -> Option<Action> {
    let (location, before) = (&snapshot.source.location, snapshot.source.versioning);
    (before != Versioning::Enabled)
        .then(|| Action::EnableVersioning { location: location.clone(), before })
}

fn grants<'a>(
    spec: &'a Spec,
    snapshot: &'a ApplySnapshot,
    destination_region: &'a Region,
    source_keys: &'a BTreeSet<String>,
    replica_key: &'a str,
) -> Grants<'a> {
    let other_account = spec.other_account(&snapshot.identity.account);
    let BucketLocation { region, .. } = &snapshot.source.location;
    Grants {
        partition: snapshot.identity.partition,
        source: BucketInRegion { bucket: &spec.rule.source, region },
        destination: BucketInRegion { bucket: &spec.destination, region: destination_region },
        prefix: &spec.filter.prefix,
        source_keys,
        replica_key,
        destination_account: other_account.unwrap_or(&snapshot.identity.account),
        object_lock: snapshot.source.object_lock,
        owner_override: other_account.is_some() && spec.replica_owner == ReplicaOwner::Destination,
    }
}
