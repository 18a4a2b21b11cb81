//! What must change: from what was observed and what is asked to a short list of stages. Pure.
//!
//! # Guarantees
//! - A rule is written after all that it needs, and goes before that; only a job is started later, and cancelled earlier. When a rule is
//!   replaced, only the grants that the replaced one needed are taken away after it.
//! - Every plan leaves the rules, roles and policies of others as they were observed.
//! - A plan for a state that is as asked has no step.

mod alarm;
mod cross_account;
mod job;
mod observed;
mod refusal;
mod role;
mod rules;
mod step;
mod text;

use std::collections::BTreeSet;

use aws_sdk_kms::types::KeyState;
use aws_sdk_s3::types::{ReplicationConfiguration, ReplicationRule};

pub use cross_account::statements_left;
use cross_account::{CrossAccount, Needs};
use job::Jobs;
pub use job::{JOB_PARAMETER, NewJob, after_job};
pub use observed::{Created, Destination, Guard, Observed, Remains, Roles, Source};
pub use refusal::Refusal;
use role::{ServingRole, check_policy_size};
pub use step::Step;
pub use text::Change;

use crate::cloud::{Alarm, Encryption, Key, Location, Role, Versioning};
use crate::grants::{self, Grants, Place, PolicyDocument};
use crate::settings::RoleSettings;
use crate::spec::{Access, BucketName, PolicyName, Region, ReplicaOwner, RoleName, RuleAddress, RuleId, SourceKeys, Spec, confinable};

/// Key of the tag that marks a role, and a destination bucket that was created here, as ours; its value is the source bucket's name.
pub const OWNER_TAG: &str = "s3-kms-replication";

/// What an applied rule amounts to, for answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// ARN of the role that serves the rule.
    pub role_arn: String,
    /// Name of that role.
    pub role_name: RoleName,
    /// ARNs of the keys that the role may decrypt source objects with.
    pub source_keys: BTreeSet<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_key: String,
    /// ARN of the destination bucket.
    pub destination_arn: String,
    /// Region of the destination bucket.
    pub destination_region: Region,
    /// Id of the job that replicates the objects that were there already; `None` when there has been none.
    pub job_id: Option<String>,
}

/// Stages of steps: the steps of a stage do not need one another and run at once; a stage starts when the one before has ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The stages, in order; none is empty.
    pub stages: Vec<Vec<Step>>,
    /// What is deliberately left as it is, a sentence each.
    pub kept: Vec<String>,
    /// What the caller should know, a sentence each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Steps that change one policy come one after the other, since each reads and writes the whole.
    fn new(stages: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let mut planned: Vec<Vec<Step>> = Vec::new();
        for stage in stages {
            let first = planned.len();
            for step in stage {
                let policy = step.changes_policy_of();
                let is_free = |part: &&mut Vec<Step>| policy.is_none() || part.iter().all(|other| other.changes_policy_of() != policy);
                match planned.iter_mut().skip(first).find(is_free) {
                    Some(part) => part.push(step),
                    None => planned.push(vec![step]),
                }
            }
        }
        Self { stages: planned, kept: Vec::new(), warnings: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }
}

/// Plans what makes `spec` true.
///
/// # Errors
/// A [`Refusal`] when something is wrong that this program may not or cannot mend.
pub fn apply(spec: &Spec, observed: &Observed, settings: &RoleSettings) -> Result<(Plan, Target), Refusal> {
    let source = &observed.source;
    if !observed.unseen.is_empty() {
        return Err(unseen(spec, observed, settings)?);
    }
    let destination = destination_location(spec, observed)?;
    let destination_lock = observed.destination.as_ref().is_some_and(|destination| destination.object_lock);
    if source.object_lock && !destination_lock {
        return Err(Refusal::LockedSource { source_bucket: spec.rule.source.clone(), destination: spec.destination.clone() });
    }
    if spec.verify && (source.object_lock || destination_lock) {
        let bucket = if source.object_lock { &spec.rule.source } else { &spec.destination };
        return Err(Refusal::LockedCanary { bucket: bucket.clone() });
    }
    let replica_key = replica_key(spec, observed)?;
    let role = ServingRole::choose(spec, observed, settings)?;
    let job = Jobs::new(spec, observed, &role)?;

    let policy_name = role.policy_name(spec);
    let current_policy = role.existing().and_then(|existing| existing.policies.get(policy_name.as_str())).cloned();
    let current_document = current_policy.as_deref().and_then(PolicyDocument::parse);
    let wanted_keys = source_keys(spec, observed)?;
    let earlier_keys: BTreeSet<String> = match spec.source_keys {
        SourceKeys::Given(_) => BTreeSet::new(),
        SourceKeys::BucketDefault => {
            let granted = current_document.as_ref().map(PolicyDocument::source_keys).unwrap_or_default();
            granted.difference(&wanted_keys).cloned().collect()
        }
    };
    let granted_keys: BTreeSet<String> = wanted_keys.union(&earlier_keys).cloned().collect();
    let partition = observed.identity.partition;
    let grants = grants(spec, observed, &destination.region, &granted_keys, &replica_key);
    let document = grants.document();
    let CrossAccount { keep, put, withdraw, by_hand } = Needs::new(spec, observed, &grants, &destination, role.arn()).steps(observed)?;

    let destination_arn = spec.destination.arn(partition);
    let rule = rules::Wanted {
        spec,
        destination_arn: &destination_arn,
        other_account: spec.other_account(&observed.identity.account),
        replica_key: &replica_key,
        kms: !granted_keys.is_empty(),
    };
    let configuration = rules::merged(source.replication.as_ref(), role.arn(), &rule)?;

    let mut prepare = destination_steps(spec, observed, &destination, &replica_key);
    if source.versioning != Versioning::Enabled {
        prepare.push(Step::EnableVersioning { location: source.location.clone(), was: source.versioning });
    }
    prepare.extend(role.steps(spec, settings, if job.trusted { grants::trust_with_job() } else { grants::trust() }));

    let mut grant = Vec::new();
    if observed.destination.is_none() {
        grant.push(Step::EnableVersioning { location: destination.clone(), was: Versioning::Off });
        grant.push(Step::EncryptBucket { location: destination.clone(), was: Encryption::S3, key: replica_key.clone() });
        grant.push(Step::BlockPublicAccess { location: destination.clone() });
    }
    // A rule that is there and changes needs its present grants until it has changed, and the new ones from then on. And as long as it has
    // statements in policies that it no longer needs, these grants tell where.
    let replaces_rule = configuration.is_some() && rules::find(source.replication.as_ref(), &spec.rule.id).is_some();
    let is_needed = replaces_rule || !withdraw.is_empty();
    let earlier = current_document.as_ref().filter(|current| is_needed && !document.covers(current));
    let until_changed = earlier.map_or_else(|| document.clone(), |earlier| document.with_earlier(earlier));
    check_policy_size(&role, &policy_name, &until_changed, job.rights.as_ref())?;
    let put_policy = |was: Option<String>, document: &PolicyDocument| {
        let current = was.as_deref().and_then(PolicyDocument::parse);
        let (role, policy) = (role.name().clone(), policy_name.clone());
        (current.as_ref() != Some(document)).then(|| Step::PutRolePolicy { role, policy, was, document: document.clone() })
    };
    grant.extend(put_policy(current_policy, &until_changed));
    grant.extend(keep);
    grant.extend(job.rights);

    // After the rule's policy, so that where there is an alarm or a statement, there is a trace of its rule.
    let mut admit = put;
    admit.extend(alarm::step(spec, observed)?);
    let switch = configuration.map(|configuration| {
        let (location, was) = (source.location.clone(), source.replication.clone());
        Step::PutReplication { location, was, configuration, rule: spec.rule.id.clone() }
    });
    let tighten = put_policy(Some(until_changed.to_string()), &document);

    let single = |step: Option<Step>| step.into_iter().collect();
    let mut plan = Plan::new([single(job.cancel), prepare, grant, admit, single(switch), withdraw, single(tighten), single(job.start)]);
    plan.keep_others(&spec.rule.id);
    let earlier_grant = |key| format!("the grant on key `{key}`: objects that an earlier default encryption wrote need it");
    plan.kept.extend(earlier_keys.iter().map(earlier_grant));
    plan.kept.extend(job.kept);
    plan.warnings.extend(by_hand);
    plan.warnings.extend(job.warning);
    let (prefix, confined) = (&spec.filter.prefix, confinable(&spec.filter.prefix));
    if confined != prefix {
        plan.warnings.push(format!(
            "rights cannot be confined to `Prefix` `{prefix}`, which has more than printable ASCII: they are for all keys that begin with `{confined}`"
        ));
    }
    if granted_keys.is_empty() {
        plan.warnings.push(format!(
            "bucket `{}` encrypts with SSE-S3, not KMS: replicas keep the type of encryption, so they are not KMS-encrypted",
            spec.rule.source
        ));
    }
    let target = Target {
        role_arn: role.arn().to_owned(),
        role_name: role.name().clone(),
        source_keys: granted_keys,
        replica_key,
        destination_arn,
        destination_region: destination.region,
        job_id: job.id,
    };
    Ok((plan, target))
}

/// Plans what takes back `rule`, and nothing else.
pub fn remove(rule: &RuleAddress, remains: &Remains) -> Plan {
    let current = remains.source.as_ref().and_then(|(location, replication)| Some((location, replication.as_ref()?)));
    let is_other = |other: &&ReplicationRule| other.id() != Some(rule.id.as_str());
    let rules = current.map(|(_, configuration)| configuration.rules()).unwrap_or_default();
    let others: Vec<&ReplicationRule> = rules.iter().filter(is_other).collect();
    let switch_off = current.filter(|_| others.len() < rules.len()).map(|(location, was)| {
        let (location, was) = (location.clone(), was.clone());
        if others.is_empty() {
            return Step::DeleteReplication { location, was, rule: rule.id.clone() };
        }
        let mut configuration = was.clone();
        configuration.rules.retain(|other| is_other(&other));
        Step::PutReplication { location, was: Some(was), configuration, rule: rule.id.clone() }
    });

    let serving_arn = current.map(|(_, configuration)| configuration.role());
    let ours = remains.roles.ours(&rule.source);
    let theirs = serving_arn.and_then(|arn| remains.roles.with_arn(arn)).filter(|role| ours.is_none_or(|ours| ours.arn != role.arn));
    let in_ours = ours.iter().flat_map(|role| [(*role, PolicyName::of_rule(&rule.id)), (*role, PolicyName::of_job(&rule.id))]);
    let in_theirs = theirs.map(|role| (role, PolicyName::in_shared_role(rule)));
    let revoke = in_ours.chain(in_theirs).filter_map(|(role, policy)| {
        let was = role.policies.get(policy.as_str())?.clone();
        Some(Step::DeleteRolePolicy { role: role.name.clone(), policy, was })
    });

    let alarm = remains.alarm.clone().map(|alarm| Step::DeleteAlarm { alarm: Box::new(alarm) });
    // Before the inline policy, which tells where they are.
    let statements = statements_left(rule, &remains.policies);

    let job_id = remains.roles.job_with_rights(rule);
    let cancel = remains.source.as_ref().and_then(|(location, _)| job::cancel(location, job_id, remains.job.as_ref()));
    let mut plan = Plan::new([cancel.into_iter().collect(), switch_off.into_iter().chain(alarm).collect(), statements, revoke.collect()]);
    plan.keep_others(&rule.id);
    if let Some(role) = ours {
        let serves = if serving_arn == Some(&role.arn) { others } else { Vec::new() };
        let own = [PolicyName::of_rule(&rule.id), PolicyName::of_job(&rule.id)];
        let retired = plan.retire_role(role, |policy| own.iter().any(|own| own.as_str() == policy), &serves);
        let of_job: Vec<Step> = job::without_trust(role, &rule.id).into_iter().chain(job::without_note(role, &rule.id)).collect();
        if !retired && !of_job.is_empty() {
            plan.stages.push(of_job);
        }
    }
    plan
}

/// Whether the rule is in the configuration.
pub fn has_rule(rule_id: &RuleId, replication: Option<&ReplicationConfiguration>) -> bool {
    rules::find(replication, rule_id).is_some()
}

/// Plans what takes back the role of a source bucket that is gone, with all its rules, their alarms, and their statements in other accounts.
pub fn retire(source: &BucketName, roles: &Roles, alarms: Vec<Alarm>, statements: Vec<Step>) -> Plan {
    let alarms = alarms.into_iter().map(|alarm| Step::DeleteAlarm { alarm: Box::new(alarm) });
    let Some(role) = roles.ours(source) else { return Plan::new([alarms.collect()]) };
    let policies = role.policies.iter().filter_map(|(name, was)| {
        let policy = PolicyName::recognise(name)?;
        Some(Step::DeleteRolePolicy { role: role.name.clone(), policy, was: was.clone() })
    });
    // The policies tell of which rules there can be alarms, and where there can be statements.
    let mut plan = Plan::new([alarms.collect(), statements, policies.collect()]);
    plan.retire_role(role, |policy| PolicyName::recognise(policy).is_some(), &[]);
    plan
}

impl Plan {
    /// Lists the rules that a configuration to be written has beside ours.
    fn keep_others(&mut self, rule_id: &RuleId) {
        let Some(Step::PutReplication { configuration, .. }) = self.steps().find(|step| matches!(step, Step::PutReplication { .. })) else {
            return;
        };
        let ids = configuration.rules().iter().filter_map(ReplicationRule::id).filter(|id| *id != rule_id.as_str());
        let others = ids.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        if !others.is_empty() {
            self.kept.push(format!("the other rules, unchanged and in order: {others}"));
        }
    }

    /// Adds the role's removal, unless something that this plan does not remove still depends on the role; whether it did.
    fn retire_role(&mut self, role: &Role, removed: impl Fn(&str) -> bool, serves: &[&ReplicationRule]) -> bool {
        let mut dependents: Vec<String> = serves.iter().map(|rule| format!("rule `{}`", rule.id().unwrap_or_default())).collect();
        dependents.extend(role.policies.keys().filter(|name| !removed(name)).map(|name| format!("inline policy `{name}`")));
        dependents.extend(role.attached.iter().map(|arn| format!("attached policy `{arn}`")));
        if dependents.is_empty() {
            self.stages.push(vec![Step::DeleteRole { name: role.name.clone() }]);
        } else {
            self.kept.push(format!("role `{}`: it has or serves {}", role.name, dependents.join(", ")));
        }
        dependents.is_empty()
    }
}

fn destination_location(spec: &Spec, observed: &Observed) -> Result<Location, Refusal> {
    match &observed.destination {
        Some(destination) if destination.location.region != spec.destination_region => Err(Refusal::DestinationInOtherRegion {
            bucket: spec.destination.clone(),
            region: destination.location.region.clone(),
            key: spec.replica_key.to_string(),
        }),
        Some(destination) => {
            cross_account::check_versioning(destination, observed)?;
            Ok(destination.location.clone())
        }
        None if spec.create_destination_bucket => match destination_to_be(spec, observed) {
            Location { owner, access: Access::Own, .. } if owner != observed.identity.account => {
                Err(Refusal::DestinationOutOfReach { bucket: spec.destination.clone(), account: owner })
            }
            location => Ok(location),
        },
        None => Err(Refusal::DestinationMissing { bucket: spec.destination.clone() }),
    }
}

/// Where the destination would be, if there were none.
fn destination_to_be(spec: &Spec, observed: &Observed) -> Location {
    Location {
        bucket: spec.destination.clone(),
        region: spec.destination_region.clone(),
        owner: spec.destination_account.clone().unwrap_or_else(|| observed.identity.account.clone()),
        access: spec.destination_access.clone(),
    }
}

/// The refusal where the destination could not be looked at, with the statements that would change that.
fn unseen(spec: &Spec, observed: &Observed, settings: &RoleSettings) -> Result<Refusal, Refusal> {
    let role = ServingRole::choose(spec, observed, settings)?;
    let keys = source_keys(spec, observed)?;
    let grants = grants(spec, observed, &spec.destination_region, &keys, spec.replica_key.as_str());
    Ok(Needs::new(spec, observed, &grants, &destination_to_be(spec, observed), role.arn()).unseen(observed))
}

fn grants<'a>(
    spec: &'a Spec,
    observed: &'a Observed,
    destination_region: &'a Region,
    source_keys: &'a BTreeSet<String>,
    replica_key: &'a str,
) -> Grants<'a> {
    let other_account = spec.other_account(&observed.identity.account);
    Grants {
        partition: observed.identity.partition,
        source: Place { bucket: &spec.rule.source, region: &observed.source.location.region },
        destination: Place { bucket: &spec.destination, region: destination_region },
        prefix: &spec.filter.prefix,
        source_keys,
        replica_key,
        object_lock: observed.source.object_lock,
        owner_override: other_account.is_some() && spec.replica_owner == ReplicaOwner::Destination,
    }
}

/// What the destination needs that does not have to wait for its creation.
fn destination_steps(spec: &Spec, observed: &Observed, location: &Location, replica_key: &str) -> Vec<Step> {
    let Some(destination) = &observed.destination else {
        return vec![Step::CreateBucket { location: location.clone(), source: spec.rule.source.clone() }];
    };
    let mut steps = Vec::new();
    if destination.versioning != Versioning::Enabled {
        steps.push(Step::EnableVersioning { location: location.clone(), was: destination.versioning });
    }
    if let Some(created) = &destination.created {
        let wanted = Encryption::Kms { key: Some(replica_key.to_owned()), bucket_key: true };
        if created.encryption != wanted {
            let was = created.encryption.clone();
            steps.push(Step::EncryptBucket { location: location.clone(), was, key: replica_key.to_owned() });
        }
        if !created.public_access_blocked {
            steps.push(Step::BlockPublicAccess { location: location.clone() });
        }
    }
    steps
}

fn replica_key(spec: &Spec, observed: &Observed) -> Result<String, Refusal> {
    let property = "`ReplicaKmsKeyArn`";
    let key = usable_key(property, spec.replica_key.as_str(), observed.replica_key.as_ref())?;
    if key.aws_managed {
        return Err(Refusal::KeyManagedByAws { property: property.to_owned(), key: key.arn.clone() });
    }
    Ok(key.arn.clone())
}

fn source_keys(spec: &Spec, observed: &Observed) -> Result<BTreeSet<String>, Refusal> {
    let property = match &spec.source_keys {
        SourceKeys::BucketDefault => format!("default encryption of bucket `{}`", spec.rule.source),
        SourceKeys::Given(keys) => {
            let region = &observed.source.location.region;
            if let Some(key) = keys.iter().find(|key| key.region() != region) {
                let (bucket, region) = (spec.rule.source.clone(), region.clone());
                return Err(Refusal::SourceKeyInOtherRegion { key: key.to_string(), bucket, region });
            }
            "`SourceKmsKeyArns`".to_owned()
        }
    };
    observed.source_keys.iter().map(|(asked, key)| Ok(usable_key(&property, asked, key.as_ref())?.arn.clone())).collect()
}

pub(crate) fn usable_key<'a>(property: &str, asked: &str, key: Option<&'a Key>) -> Result<&'a Key, Refusal> {
    let property = || property.to_owned();
    let key = key.ok_or_else(|| Refusal::KeyMissing { property: property(), key: asked.to_owned() })?;
    if key.state != KeyState::Enabled {
        return Err(Refusal::KeyNotEnabled { property: property(), key: key.arn.clone(), state: key.state.clone() });
    }
    if !key.symmetric {
        return Err(Refusal::KeyNotSymmetric { property: property(), key: key.arn.clone() });
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
