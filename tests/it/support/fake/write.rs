//! Actions, leases, generations, canaries and answers.

use std::time::Duration;

use s3_kms_replication::model::{
    Acquired, ApiError, BucketLocation, Canary, Encryption, GenerationRecord, Lease, ObjectVersion,
    OutcomeChange, RecordedRequest, Recording, ReplicationStatus, RequestOutcome, ResponseUrl,
    Versions,
};
use s3_kms_replication::plan::{Action, Replaces, ReplicationWrite};
use s3_kms_replication::ports::{Callback, Execute, Executed, Leases, Objects, Queue};

use super::effects::{perform, start};
use super::replicator::{replicate, rules_of, selects};
use super::{Fake, bucket, error, role};
use crate::support::{Call, Object, State, now};

/// How many versions S3 lists in one answer.
const PAGE: usize = 1_000;

fn object(location: &BucketLocation, key: &str) -> String {
    format!("object `{key}` of bucket `{}`", location.bucket)
}

impl Execute for Fake {
    async fn execute(&self, action: &Action) -> Result<Executed, ApiError> {
        if let Action::StartJob { job } = action {
            let id = self
                .call(Call::write("CreateJob", action.resource()), |state| start(state, job))
                .await?;
            let (key, value) = job.tag(&id);
            let tag =
                |state: &mut State| Ok(role(state, &job.role)?.tags.insert(key.to_string(), value));
            self.call(Call::write("TagRole", format!("role `{}`", job.role)), tag).await?;
            return Ok(Executed::JobStarted(id));
        }
        if let Replaces::Replication(ReplicationWrite { location, .. }) = action.replaces() {
            *self.earlier_replication.borrow_mut() =
                self.state.borrow().buckets[location.bucket.as_str()].replication.clone();
        }
        // A policy of others is read, and written back as a whole when the call has got there.
        let read = action.resource_policy().map(|target| {
            (target.to_string(), self.state.borrow().policies.get(&target.to_string()).cloned())
        });
        let effect = |state: &mut State| {
            if let Some((target, policy)) = read {
                state.policies.retain(|name, _| *name != target);
                state.policies.extend(policy.map(|policy| (target, policy)));
            }
            perform(state, action)
        };
        self.call(Call::write(action.operation(), action.resource()), effect)
            .await
            .map(|()| Executed::Done)
    }
}

impl Leases for Fake {
    async fn acquire(&self, lease: &Lease, now: u64) -> Result<Option<Acquired>, ApiError> {
        assert!(lease.expires_at <= now + 300 + 60, "no lease outlives the longest invocation");
        let acquire = |state: &mut State| {
            let held = state.leases.get(&lease.resource).cloned();
            if held
                .as_ref()
                .is_some_and(|(holder, expires_at)| *holder != lease.holder && *expires_at > now)
            {
                return Ok(None);
            }
            let released = self.released.borrow().get(&lease.resource).copied();
            let previous_expiry = held.map(|(_, expires_at)| expires_at).max(released);
            state.leases.insert(lease.resource.clone(), (lease.holder.clone(), lease.expires_at));
            Ok(Some(Acquired { previous_expiry }))
        };
        self.call(Call::lease("AcquireLease", format!("lease of `{}`", lease.resource)), acquire)
            .await
    }

    async fn release(&self, lease: &Lease, expires_at: u64) -> Result<(), ApiError> {
        let now = now();
        let release = |state: &mut State| {
            let is_held = state
                .leases
                .get(&lease.resource)
                .is_some_and(|(holder, _)| *holder == lease.holder);
            if is_held && expires_at <= now {
                self.released.borrow_mut().insert(lease.resource.clone(), expires_at);
                state.leases.remove(&lease.resource);
            } else if is_held {
                state.leases.insert(lease.resource.clone(), (lease.holder.clone(), expires_at));
            }
            Ok(())
        };
        self.call(Call::lease("ReleaseLease", format!("lease of `{}`", lease.resource)), release)
            .await
    }

    async fn record_generation(&self, record: &GenerationRecord) -> Result<Recording, ApiError> {
        let write = |_: &mut State| {
            let mut generations = self.generations.borrow_mut();
            let before = generations.get(&record.id).copied();
            let is_refused = |before: RecordedRequest| {
                before.generation > record.number
                    || (record.is_unique && before.generation == record.number)
            };
            if before.is_some_and(is_refused) {
                return Ok(Recording::Superseded);
            }
            let outcome = before.and_then(|before| before.outcome);
            let outcome = match record.change {
                OutcomeChange::Keep => outcome,
                OutcomeChange::OpenUnlessRemembered => outcome.or(Some(RequestOutcome::Open)),
                OutcomeChange::Set(outcome) => Some(outcome),
                OutcomeChange::Forget => None,
            };
            let recorded = RecordedRequest { generation: record.number, outcome };
            generations.insert(record.id.clone(), recorded);
            Ok(Recording::Recorded(before))
        };
        let resource = format!("generation of `{}`", record.id);
        self.call(Call::lease("RecordGeneration", resource), write).await
    }

    async fn latest_generation(
        &self,
        _table: &str,
        id: &str,
    ) -> Result<Option<RecordedRequest>, ApiError> {
        self.call(Call::lease("LatestGeneration", format!("generation of `{id}`")), |_| {
            Ok(self.generations.borrow().get(id).copied())
        })
        .await
    }
}

impl Objects for Fake {
    async fn put_canary(
        &self,
        location: &BucketLocation,
        canary: &Canary,
    ) -> Result<String, ApiError> {
        let version = format!("version-{}", self.calls.borrow().len());
        let put = |state: &mut State| {
            let mut replicator = self.replicator.borrow_mut();
            let source = bucket(state, location)?;
            let default = match &source.encryption {
                Encryption::Kms { key, .. } => key.clone(),
                Encryption::S3 => None,
            };
            let selected = replicator.unnoticed == 0
                && rules_of(source).iter().any(|rule| selects(rule, &canary.key, &canary.tags));
            replicator.unnoticed = replicator.unnoticed.saturating_sub(1);
            let (replication, kms_key) = (
                selected.then_some(ReplicationStatus::Pending),
                canary.kms_key.clone().or(default),
            );
            let content = Some(ObjectVersion { replication, kms_key, last_modified: Some(now()) });
            source.objects.push(Object {
                key: canary.key.clone(),
                version: version.clone(),
                tags: canary.tags.clone(),
                content,
            });
            Ok(version.clone())
        };
        self.call(Call::write("PutObject", object(location, &canary.key)), put).await
    }

    async fn object_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> Result<Option<ObjectVersion>, ApiError> {
        let head = |state: &mut State| {
            replicate(state, location, &mut self.replicator.borrow_mut())?;
            let objects = &bucket(state, location)?.objects;
            Ok(objects
                .iter()
                .find(|object| (object.key.as_str(), object.version.as_str()) == (key, version))
                .and_then(|o| o.content.clone()))
        };
        self.call(Call::read("HeadObject", object(location, key)), head).await
    }

    async fn versions(&self, location: &BucketLocation, key: &str) -> Result<Versions, ApiError> {
        let list = |state: &mut State| {
            let all: Vec<&Object> = bucket(state, location)?
                .objects
                .iter()
                .rev()
                .filter(|object| object.key == key)
                .collect();
            let more = all.len() > PAGE;
            let objects = all.into_iter().take(PAGE);
            let (objects, markers): (Vec<&Object>, Vec<&Object>) =
                objects.partition(|object| object.content.is_some());
            let ids = |objects: Vec<&Object>| {
                objects.into_iter().map(|object| object.version.clone()).collect()
            };
            Ok(Versions { objects: ids(objects), delete_markers: ids(markers), more })
        };
        self.call(Call::read("ListObjectVersions", object(location, key)), list).await
    }

    async fn delete_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> Result<(), ApiError> {
        let delete = |state: &mut State| {
            bucket(state, location)?
                .objects
                .retain(|object| (object.key.as_str(), object.version.as_str()) != (key, version));
            Ok(())
        };
        self.call(Call::write("DeleteObject", object(location, key)), delete).await
    }
}

impl Queue for Fake {
    async fn send(&self, _queue_url: &str, body: String, delay: Duration) -> Result<(), ApiError> {
        self.call(Call::lease("SendMessage", "the function's queue"), |_| {
            self.messages.borrow_mut().push((body, delay));
            Ok(())
        })
        .await
    }
}

impl Callback for Fake {
    async fn answer(&self, _url: &ResponseUrl, body: String) -> Result<(), ApiError> {
        if let Some(retry) = self.answer_failures.borrow_mut().pop() {
            return Err(error("HTTP 500", retry));
        }
        self.send(&Call::callback()).await;
        self.answers.borrow_mut().push(body);
        Ok(())
    }
}
