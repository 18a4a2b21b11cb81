//! The plan that creates or updates a rule.
//!
//! It owns the order of the stages. It must not know how a stage's actions come about: the other modules of `plan` decide that.

use std::collections::BTreeSet;

use super::cross_account::{CrossAccount, RequiredStatements};
use super::job::JobPlan;
use super::role::{InlinePolicy, ServingRole};
use super::{
    Action, ApplySnapshot, Plan, Refusal, RuleAttributes, StageName, alarm, destination, keys,
    rules,
};
use crate::iam_policy::{self, BucketInRegion, Grants, RolePolicyDocument};
use crate::model::{BucketLocation, Region, Versioning};
use crate::spec::{ReplicaOwner, RoleSettings, SourceKeys, Spec, grantable_prefix};

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
    let location = destination::location(spec, snapshot)?;
    check_object_lock(spec, snapshot)?;
    let replica_key = keys::replica_key(spec, snapshot)?;
    let role = ServingRole::choose(spec, snapshot, settings)?;
    let job = JobPlan::new(spec, snapshot, &role)?;
    let policy = InlinePolicy::new(spec, &role);
    let SourceKeyGrants { granted, earlier } = source_key_grants(spec, snapshot, &policy)?;
    let grants = grants(spec, snapshot, &location.region, &granted, &replica_key);
    let CrossAccount { keep, put, withdraw, manual } =
        RequiredStatements::new(spec, snapshot, &grants, &location, role.arn()).plan(snapshot)?;

    let destination_arn = spec.destination.arn(snapshot.identity.partition);
    let rule = rules::WantedRule {
        spec,
        destination_arn: &destination_arn,
        other_account: spec.other_account(&snapshot.identity.account),
        replica_key: &replica_key,
        kms: !granted.is_empty(),
    };
    let current = snapshot.source.replication.as_ref();
    let rules::Merged { configuration, warnings: overlaps } =
        rules::merge(current, role.arn(), &rule)?;

    let trust = if job.needs_trust { iam_policy::trust_with_job() } else { iam_policy::trust() };
    let mut prepare = destination::prepare(spec, snapshot, &location, &replica_key);
    prepare.extend(enable_source_versioning(snapshot));
    prepare.extend(role.repair(spec, settings, trust));

    // Until a rule has changed, it needs its present grants. Until its obsolete statements are removed, the present grants also record
    // where those statements are.
    let changes_rule = configuration.is_some() && rules::find(current, &spec.rule.id).is_some();
    let policy = policy.replaced_by(grants.document(), changes_rule || !withdraw.is_empty());
    policy.check_size(job.rights.as_ref())?;
    let mut grant = destination::configure_created(snapshot, &location, &replica_key);
    grant.extend(policy.grant());
    grant.extend(keep);
    grant.extend(job.rights);

    // After the rule's inline policy, since the policy records that the rule may have an alarm and statements.
    let mut admit = put;
    admit.extend(alarm::action(spec, snapshot)?);

    let switch = configuration.map(|configuration| Action::PutReplication {
        location: snapshot.source.location.clone(),
        before: current.cloned(),
        configuration,
        rule: spec.rule.id.clone(),
    });

    let mut plan = Plan::new([
        (StageName::CancelJob, Vec::from_iter(job.cancel)),
        (StageName::Prepare, prepare),
        (StageName::Grant, grant),
        (StageName::Admit, admit),
        (StageName::Switch, Vec::from_iter(switch)),
        (StageName::Withdraw, withdraw),
        (StageName::Tighten, Vec::from_iter(policy.tighten())),
        (StageName::StartJob, Vec::from_iter(job.start)),
    ]);
    plan.note_kept_rules(&spec.rule.id);
    let earlier_grant = |key| {
        format!(
            "the grant on key `{key}`: objects that an earlier default encryption wrote need it"
        )
    };
    plan.kept.extend(earlier.iter().map(earlier_grant));
    plan.kept.extend(job.kept);
    plan.warnings.extend(manual);
    plan.warnings.extend(job.warning);
    plan.warnings.extend(destination::warning(spec, snapshot));
    plan.warnings.extend(role.warning(settings));
    plan.warnings.extend(overlaps);
    plan.warnings.extend(keys::warnings(snapshot));
    plan.warnings.extend(warnings(spec, &granted));
    let attributes = RuleAttributes {
        role_arn: role.arn().to_owned(),
        role_name: role.name().clone(),
        source_kms_key_arns: granted,
        replica_kms_key_arn: replica_key,
        destination_bucket_arn: destination_arn,
        destination_region: location.region,
        job_id: job.id,
    };
    Ok((plan, attributes))
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
    Ok(RequiredStatements::new(spec, snapshot, &grants, &location, role.arn())
        .not_readable(snapshot))
}

/// Refuses a destination without the Object Lock of the source, and a canary that Object Lock may keep from being removed.
fn check_object_lock(spec: &Spec, snapshot: &ApplySnapshot) -> Result<(), Refusal> {
    let source_lock = snapshot.source.object_lock;
    let destination_lock =
        snapshot.destination.as_ref().is_some_and(|destination| destination.object_lock);
    let (source, destination) = (&spec.rule.source, &spec.destination);
    if source_lock && !destination_lock {
        return Err(Refusal::LockedSource {
            source_bucket: source.clone(),
            destination: destination.clone(),
        });
    }
    if spec.verify && (source_lock || destination_lock) {
        return Err(Refusal::LockedCanary {
            bucket: if source_lock { source } else { destination }.clone(),
        });
    }
    Ok(())
}

/// The source keys that a rule's policy grants.
struct SourceKeyGrants {
    /// All keys.
    granted: BTreeSet<String>,
    /// The keys of earlier default encryptions, which existing objects still need.
    earlier: BTreeSet<String>,
}

fn source_key_grants(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    policy: &InlinePolicy<'_>,
) -> Result<SourceKeyGrants, Refusal> {
    let wanted = keys::source_keys(spec, snapshot)?;
    let earlier: BTreeSet<String> = match spec.source_keys {
        SourceKeys::Given(_) => BTreeSet::new(),
        SourceKeys::BucketDefault => {
            let granted = policy.current().map(RolePolicyDocument::source_keys).unwrap_or_default();
            granted.difference(&wanted).cloned().collect()
        }
    };
    Ok(SourceKeyGrants { granted: wanted.union(&earlier).cloned().collect(), earlier })
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

fn warnings(spec: &Spec, source_keys: &BTreeSet<String>) -> Vec<String> {
    let mut warnings = Vec::new();
    let (prefix, grantable) = (&spec.filter.prefix, grantable_prefix(&spec.filter.prefix));
    if grantable != prefix {
        warnings.push(format!(
            "`Prefix` `{prefix}` is not printable ASCII throughout, so the grants are for all keys that begin with `{grantable}`"
        ));
    }
    if let Some(form) = literal_form(prefix) {
        warnings.push(format!(
            "`Prefix` `{prefix}` {form}; S3 takes a prefix literally, so the rule selects only objects whose keys begin with exactly these characters"
        ));
    }
    if source_keys.is_empty() {
        warnings.push(format!(
            "bucket `{}` encrypts with SSE-S3, not KMS: replicas have the same type of encryption, so they are not KMS-encrypted",
            spec.rule.source
        ));
    }
    warnings
}

/// What shows that a prefix was meant as something else than the first characters of object keys; `None` for an ordinary prefix.
fn literal_form(prefix: &str) -> Option<&'static str> {
    if prefix.contains('*') {
        Some("has a `*`, which is no wild card")
    } else if prefix.starts_with('/') {
        Some("begins with `/`, which keys rarely do")
    } else if prefix.starts_with("s3://") || prefix.starts_with("arn:") {
        Some("looks like an address")
    } else {
        None
    }
}
