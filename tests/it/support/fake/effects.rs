//! What an action changes, and what AWS refuses.

use std::collections::BTreeMap;

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::model::{
    Account, ApiError, Encryption, Job, KEEP_TAG, OWNER_TAG, ReplicationConfiguration, Retry, Role,
    Versioning,
};
use s3_kms_replication::plan::{Action, KEEP_TIME, NewJob, Replaces};
use serde_json::{Value, json};

use super::replicator::rules_of;
use super::{StartedJob, bucket, error, role};
use crate::support::statements::statements;
use crate::support::{ACCOUNT, Bucket, State, now, parse_configuration};

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
    // The token is a part of the request, and depends on the role's id.
    let token = new.token(&role.arn);
    if let Some((id, _)) = state.jobs.iter().find(|(_, other)| other.token == token) {
        return Ok(id.clone());
    }
    let id = format!("job-{}", state.jobs.len() + 1);
    let job = Job { description: new.description(), status: JobStatus::Active };
    let (role, region) = (role.name.to_string(), new.location.region.to_string());
    state.jobs.insert(id.clone(), StartedJob { token, role, region, job });
    Ok(id)
}

fn is_versioned(state: &State, name: &str) -> bool {
    state.buckets.get(name).is_some_and(|bucket| bucket.versioning == Versioning::Enabled)
}

/// S3 checks the destinations of all rules, also of foreign ones, and its message names none.
fn check_destination(state: &State, arn: &str) -> Result<(), ApiError> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    if is_versioned(state, name) {
        Ok(())
    } else if state.buckets.contains_key(name) {
        Err(invalid_request("Destination bucket must have versioning enabled.", Retry::Soon))
    } else {
        Err(invalid_request("Destination bucket must exist.", Retry::Replan))
    }
}

fn invalid_request(message: &str, retry: Retry) -> ApiError {
    ApiError { message: message.to_owned(), ..error("InvalidRequest", retry) }
}

/// S3 returns an empty filter for an empty prefix.
fn as_s3_returns(configuration: &ReplicationConfiguration) -> ReplicationConfiguration {
    let xml = configuration.to_xml().replace("<Filter><Prefix></Prefix></Filter>", "<Filter/>");
    parse_configuration(&xml.replace("<Filter><Prefix/></Filter>", "<Filter/>"))
}

/// Replaces a resource policy by the text that the program sends, which may differ in its one statement only.
fn write_policy(state: &mut State, action: &Action, sid: &str, statement: Option<Value>) {
    let Replaces::ResourcePolicy(write) = action.replaces() else { unreachable!() };
    let target = write.target.to_string();
    let before = state.policies.remove(&target);
    let after = write.replace(before.as_deref()).unwrap();
    let text = after.to_string();
    let (ours, others): (Vec<Value>, Vec<Value>) =
        statements(&text).into_iter().partition(|statement| statement["Sid"] == sid);
    let mut expected = before.as_deref().map(statements).unwrap_or_default();
    expected.retain(|statement| statement["Sid"] != sid);
    assert_eq!(others, expected, "the other statements stay, in order");
    assert_eq!(ours, Vec::from_iter(statement), "statement `{sid}` is as the action says");
    assert_eq!(after.is_empty(), ours.is_empty() && others.is_empty());
    if !after.is_empty() {
        state.policies.insert(target, text);
    }
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
            bucket(state, location)?.encryption = Encryption::with_bucket_key(key);
        }
        Action::BlockPublicAccess { location } => {
            bucket(state, location)?.public_access_blocked = true
        }
        Action::CreateRole { name, path, trust, boundary, owner } => {
            if state.roles.contains_key(name.as_str()) {
                return Err(error("EntityAlreadyExists", Retry::Replan));
            }
            let arn = format!("arn:{}:iam::{ACCOUNT}:role{path}{name}", state.partition);
            let tags = BTreeMap::from([(OWNER_TAG.to_owned(), owner.to_string())]);
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
        Action::KeepForNow { role: name, .. } => {
            let until = now() + KEEP_TIME.as_secs();
            role(state, name)?.tags.insert(KEEP_TAG.to_owned(), until.to_string());
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
        Action::DeleteRole { name, .. } => {
            if role(state, name)?.policies.is_empty() && role(state, name)?.attached.is_empty() {
                state.roles.remove(name.as_str());
                // Another role of this name has another id, and so no token again; and a job that is not known, since its start was not answered,
                // fails for want of its role.
                for started in state.jobs.values_mut().filter(|job| job.role == name.as_str()) {
                    started.token.clear();
                    if !started.has_ended() {
                        started.job.status = JobStatus::Failed;
                    }
                }
            } else {
                return Err(error("DeleteConflict", Retry::Replan));
            }
        }
        Action::PutReplication { location, configuration, .. } => {
            if !is_versioned(state, location.bucket.as_str()) {
                let message = "Versioning must be 'Enabled' on the bucket";
                return Err(invalid_request(message, Retry::Soon));
            }
            for arn in configuration.rules().filter_map(|rule| rule.destination_bucket()) {
                check_destination(state, arn)?;
            }
            bucket(state, location)?.replication = Some(as_s3_returns(configuration));
        }
        Action::StartJob { .. } => unreachable!("`execute` makes its two calls"),
        Action::CancelJob { id, .. } => match state.jobs.get_mut(id) {
            Some(started) if started.can_be_cancelled() => {
                started.job.status = JobStatus::Cancelled;
            }
            Some(_) | None => return Err(error("JobStatusException", Retry::Replan)),
        },
        Action::TagRole { role: name, tag, value, .. } => {
            role(state, name)?.tags.insert(tag.to_string(), value.clone());
        }
        Action::UntagRole { role: name, tag, .. } => {
            role(state, name)?.tags.remove(tag.as_str());
        }
        Action::PutStatement { statement, .. } => {
            write_policy(state, action, statement.sid(), Some(json!(statement)));
        }
        Action::RemoveStatement { sid, .. } => write_policy(state, action, sid, None),
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
