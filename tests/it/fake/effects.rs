//! What AWS makes of an action, and of what is written into a bucket.

use super::*;

/// The role that a job of ours works with.
pub(super) fn role_of_job(job: &Job) -> String {
    let (bucket, _) = job.description.split_once('/').unwrap();
    RoleName::for_source(&BucketName::parse(bucket).unwrap()).to_string()
}

/// Starts a job, or finds the one with its token: S3 would fail one whose role is not ready, or whose rule is not there.
pub(super) fn start(state: &mut State, new: &NewJob) -> Result<String, ApiError> {
    let role = role(state, &new.role)?.clone();
    let has_rule = rules_of(bucket(state, &new.location)?)
        .iter()
        .any(|rule| rule.id() == Some(new.rule.id.as_str()));
    let has_rights = role.policies.values().any(|policy| policy.contains("s3:InitiateReplication"));
    if !(has_rule && has_rights && role.trust.contains("batchoperations.s3.amazonaws.com")) {
        return Err(error("InvalidRequest", Retry::Never));
    }
    let token = new.token(&role.arn);
    if let Some((id, _)) = state.jobs.iter().find(|(_, (other, _))| *other == token) {
        return Ok(id.clone());
    }
    let id = format!("job-{}", state.jobs.len() + 1);
    state.jobs.insert(
        id.clone(),
        (token, Job { description: new.description(), status: JobStatus::Active }),
    );
    Ok(id)
}

pub(super) fn rules_of(bucket: &Bucket) -> Vec<ReplicationRule> {
    bucket.replication.as_ref().map(|configuration| configuration.rules.clone()).unwrap_or_default()
}

/// Replicates what is pending in a bucket, as far as it is told to.
pub(super) fn replicate(
    state: &mut State,
    location: &Location,
    replicator: &mut Replicator,
) -> Result<(), ApiError> {
    let source = bucket(state, location)?;
    let rules = rules_of(source);
    let pending = |object: &&mut Object| {
        object.seen.as_ref().and_then(|seen| seen.replication) == Some(Replication::Pending)
    };
    let mut replicas = Vec::new();
    for object in source.objects.iter_mut().filter(pending) {
        if replicator.pending > 0 {
            replicator.pending -= 1;
            continue;
        }
        let Some(seen) = &mut object.seen else {
            continue;
        };
        seen.replication =
            Some(if replicator.fails { Replication::Failed } else { Replication::Completed });
        let canary = Canary { key: object.key.clone(), tags: object.tags.clone(), kms_key: None };
        for rule in rules.iter().filter(|rule| !replicator.fails && selects(rule, &canary)) {
            let destination = rule.destination().unwrap();
            let replica_key = destination
                .encryption_configuration()
                .and_then(|encryption| encryption.replica_kms_key_id());
            let kms_key = if replicator.keeps_key {
                object.seen.as_ref().and_then(|seen| seen.kms_key.clone())
            } else {
                None
            };
            let kms_key = kms_key.or_else(|| replica_key.map(str::to_owned));
            let seen = Some(ObjectVersion { replication: Some(Replication::Replica), kms_key });
            replicas.push((destination.bucket().to_owned(), Object { seen, ..object.clone() }));
        }
    }
    for (arn, replica) in replicas {
        state.buckets.get_mut(arn.rsplit(':').next().unwrap()).unwrap().objects.push(replica);
    }
    Ok(())
}

/// S3 returns an empty filter for an empty prefix.
pub(super) fn as_s3_returns(
    mut configuration: ReplicationConfiguration,
) -> ReplicationConfiguration {
    for rule in &mut configuration.rules {
        if rule.filter().is_some_and(|filter| filter.prefix() == Some("")) {
            rule.filter = Some(ReplicationRuleFilter::builder().build());
        }
    }
    configuration
}

pub(super) fn perform(state: &mut State, action: &Action) -> Result<(), ApiError> {
    match action {
        Action::CreateBucket { location, source } => {
            let region =
                if location.region.as_str() == "us-west-2" { "us-west-2" } else { "us-east-1" };
            let tags = BTreeMap::from([(OWNER_TAG.to_owned(), source.to_string())]);
            let owner = location.access.account().map_or(ACCOUNT, Account::as_str).to_owned();
            let bucket =
                Bucket { tags, public_access_blocked: false, owner, ..Bucket::new(region) };
            if state.buckets.contains_key(location.bucket.as_str()) {
                return Err(error("BucketAlreadyOwnedByYou", Retry::Replan));
            }
            state.buckets.insert(location.bucket.to_string(), bucket);
        }
        Action::EnableVersioning { location, .. } => {
            bucket(state, location)?.versioning = Versioning::Enabled
        }
        Action::EncryptBucket { location, key, .. } => {
            bucket(state, location)?.encryption =
                Encryption::Kms { key: Some(key.clone()), bucket_key: true };
        }
        Action::BlockPublicAccess { location } => {
            bucket(state, location)?.public_access_blocked = true
        }
        Action::CreateRole { name, path, trust, boundary, source } => {
            if state.roles.contains_key(name.as_str()) {
                return Err(error("EntityAlreadyExists", Retry::Replan));
            }
            let arn = format!("arn:aws:iam::{ACCOUNT}:role{path}{name}");
            let tags = BTreeMap::from([(OWNER_TAG.to_owned(), source.to_string())]);
            let (trust, boundary, policies) =
                (trust.to_string(), boundary.clone(), BTreeMap::new());
            state.roles.insert(
                name.to_string(),
                Role {
                    name: name.clone(),
                    arn,
                    trust,
                    boundary,
                    tags,
                    policies,
                    attached: Vec::new(),
                },
            );
        }
        Action::UpdateAssumeRolePolicy { name, trust, .. } => {
            role(state, name)?.trust = trust.to_string()
        }
        Action::PutRolePermissionsBoundary { name, boundary, .. } => {
            role(state, name)?.boundary = Some(boundary.clone())
        }
        Action::PutRolePolicy { role: name, policy, document, .. } => {
            role(state, name)?.policies.insert(policy.to_string(), document.to_string());
        }
        Action::DeleteRolePolicy { role: name, policy, .. } => {
            let removed = role(state, name)?.policies.remove(policy.as_str());
            removed.ok_or_else(|| error("NoSuchEntity", Retry::Replan))?;
        }
        Action::DeleteRole { name } => {
            if role(state, name)?.policies.is_empty() && role(state, name)?.attached.is_empty() {
                state.roles.remove(name.as_str());
                // Another role of this name has another id, and so no token again; and a job that is not known, since its start was not answered,
                // fails for want of its role.
                for (token, job) in
                    state.jobs.values_mut().filter(|(_, job)| role_of_job(job) == name.as_str())
                {
                    token.clear();
                    if !job.has_ended() {
                        job.status = JobStatus::Failed;
                    }
                }
            } else {
                return Err(error("DeleteConflict", Retry::Replan));
            }
        }
        Action::PutReplication { location, configuration, .. } => {
            let destinations = configuration.rules().iter().filter_map(|rule| rule.destination());
            if destinations.map(|destination| destination.bucket()).any(|arn| !enabled(state, arn))
                || !enabled(state, location.bucket.as_str())
            {
                return Err(error("InvalidRequest", Retry::Never));
            }
            bucket(state, location)?.replication = Some(as_s3_returns(configuration.clone()));
        }
        Action::StartJob { .. } => unreachable!("it is more than one call"),
        Action::CancelJob { id, .. } => match state.jobs.get_mut(id) {
            Some((_, job)) if job.can_be_cancelled() => job.status = JobStatus::Cancelled,
            _ => return Err(error("JobStatusException", Retry::Replan)),
        },
        Action::UntagRole { role: name, tag, .. } => {
            role(state, name)?.tags.remove(tag.as_str());
        }
        Action::PutStatement { target, statement, .. } => {
            let policy =
                ResourcePolicy::parse(state.policies.get(&target.to_string()).map(String::as_str))
                    .unwrap();
            state.policies.insert(target.to_string(), policy.with(statement).to_string());
        }
        Action::RemoveStatement { target, sid, .. } => {
            let policy =
                ResourcePolicy::parse(state.policies.get(&target.to_string()).map(String::as_str))
                    .unwrap()
                    .without(sid);
            if policy.is_empty() {
                state.policies.remove(&target.to_string());
            } else {
                state.policies.insert(target.to_string(), policy.to_string());
            }
        }
        Action::PutAlarm { alarm, .. } => {
            state.alarms.insert(alarm.name.clone(), (**alarm).clone());
        }
        Action::DeleteAlarm { alarm } => {
            state.alarms.remove(&alarm.name);
        }
        Action::DeleteReplication { location, .. } => bucket(state, location)?.replication = None,
    }
    Ok(())
}
