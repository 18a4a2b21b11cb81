//! A cloud that holds state: what was applied is what is observed next. It refuses what S3 and IAM refuse, can be told to fail, and
//! keeps a list of all calls.

mod effects;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::types::{ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter};
use aws_sdk_s3control::types::JobStatus;
use futures_util::future::try_join_all;
use s3_kms_replication::iam_policy::ResourcePolicy;
use s3_kms_replication::model::{
    Access, Account, Acquired, Alarm, ApiError, BucketName, Canary, Encryption, Identity, Job, Key,
    KeyReference, Lease, ListedBucket, Location, OWNER_TAG, ObjectVersion, Partition, PolicyTarget,
    Region, Replication, ResponseUrl, Retry, Role, RoleName, RoleOutline, Versioning, Versions,
};
use s3_kms_replication::plan::{Action, NewJob, Replaces, ReplicationWrite};
use s3_kms_replication::ports::{Callback, Execute, Executed, Leases, Objects, Read};
use s3_kms_replication::verify::selects;
use tokio::time::{Instant, sleep};

use effects::{perform, replicate, rules_of, start};

pub const ACCOUNT: &str = "111122223333";

/// How long a request takes in tests that look at which requests wait for which.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// All that AWS holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub buckets: BTreeMap<String, Bucket>,
    pub roles: BTreeMap<String, Role>,
    pub alarms: BTreeMap<String, Alarm>,
    /// Jobs by their ids, with the tokens of the requests that started them.
    pub jobs: BTreeMap<String, (String, Job)>,
    /// Keys by every name that they go by.
    pub keys: BTreeMap<String, Key>,
    /// The policies of buckets and keys, by what they target_policy.
    pub policies: BTreeMap<String, String>,
    /// The buckets and keys of other accounts that this one may look at.
    pub shown: BTreeSet<String>,
    /// The holder of each lease, and when it ends.
    pub leases: BTreeMap<String, (String, u64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub region: &'static str,
    pub owner: String,
    pub versioning: Versioning,
    pub encryption: Encryption,
    pub object_lock: bool,
    pub replication: Option<ReplicationConfiguration>,
    pub tags: BTreeMap<String, String>,
    pub public_access_blocked: bool,
    pub objects: Vec<Object>,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub key: String,
    pub version: String,
    pub tags: BTreeMap<String, String>,
    /// `None` for a delete marker.
    pub seen: Option<ObjectVersion>,
}

/// What S3 makes of the objects that it is to replicate.
#[derive(Debug, Clone, Default)]
pub struct Replicator {
    /// Looks at an object that still find it pending.
    pub pending: usize,
    /// Objects that no rule selects, since S3 has not noticed the rule yet.
    pub unnoticed: usize,
    /// Whether it fails to replicate.
    pub fails: bool,
    /// Whether it leaves replicas with the source's key, as MiniStack does.
    pub keeps_key: bool,
}

impl Bucket {
    pub fn new(region: &'static str) -> Self {
        Self {
            region,
            owner: ACCOUNT.to_owned(),
            versioning: Versioning::Off,
            encryption: Encryption::S3,
            object_lock: false,
            replication: None,
            tags: BTreeMap::new(),
            public_access_blocked: true,
            objects: Vec::new(),
        }
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// AWS refuses the call, with this code.
    Refused(&'static str, Retry),
    /// The call takes effect, and its answer is lost.
    AnswerLost,
    /// The call takes effect, its answer is lost, and the SDK's second try is refused because of the first, with this code.
    DoneAlready(&'static str),
    /// The code panics.
    Panic,
    /// The call takes effect after three seconds.
    Slow,
    /// The call never ends.
    Hangs,
}

#[derive(Debug, Default)]
pub struct Fake {
    pub state: RefCell<State>,
    pub calls: RefCell<Vec<String>>,
    pub answers: RefCell<Vec<String>>,
    /// The number of the call that goes wrong, counted from 0, and how.
    pub fault: Cell<Option<(usize, Fault)>>,
    /// Calls of this action are refused this many times, with this code.
    pub refusals: Cell<Option<(&'static str, usize, &'static str, Retry)>>,
    /// Reads of a replication configuration that still answer with the one before the last write.
    pub stale_reads: Cell<usize>,
    /// How the next answers to CloudFormation fail, the last one first.
    pub answer_failures: RefCell<Vec<Retry>>,
    /// When each lease ended that was given back.
    pub released: RefCell<BTreeMap<String, u64>>,
    /// The latest turn about each custom resource.
    pub generations: RefCell<BTreeMap<String, u64>>,
    /// SSM's parameters.
    pub parameters: RefCell<BTreeMap<String, String>>,
    pub replicator: RefCell<Replicator>,
    /// The requests and when each was sent, in tests that look at that; each takes a [`ROUND_TRIP`] then.
    pub sent: RefCell<Option<Vec<(Instant, String)>>>,
    earlier_replication: RefCell<Option<ReplicationConfiguration>>,
}

impl Fake {
    pub fn of(state: State) -> Self {
        Self { state: RefCell::new(state), ..Self::default() }
    }

    /// The calls that changed something, or tried to.
    pub fn writes(&self) -> Vec<String> {
        self.calls
            .borrow()
            .iter()
            .filter(|call| call.starts_with("! "))
            .map(|call| call[2..].to_owned())
            .collect()
    }

    /// The requests of each round, when they are looked at: a round's are on their way together, and the next one waits for an answer to them.
    pub fn rounds(&self) -> String {
        let mut rounds: BTreeMap<Instant, Vec<String>> = BTreeMap::new();
        for (at, request) in self.sent.take().unwrap() {
            rounds.entry(at).or_default().push(request);
        }
        let numbered = rounds.into_values().zip(1..).map(|(mut requests, number)| {
            requests.sort();
            format!("{number:>2}. {}", requests.join("\n    "))
        });
        numbered.collect::<Vec<_>>().join("\n")
    }

    async fn send(&self, request: &str) {
        let takes = match &mut *self.sent.borrow_mut() {
            None => Duration::ZERO,
            // ResourceOperation once in a function's life.
            Some(sent)
                if request == "GetCallerIdentity"
                    && sent.iter().any(|(_, earlier)| earlier == request) =>
            {
                Duration::ZERO
            }
            Some(sent) => {
                sent.push((Instant::now(), request.to_owned()));
                ROUND_TRIP
            }
        };
        if takes.is_zero() {
            // Gives the calls of one stage their chance to overlap.
            tokio::task::yield_now().await;
        } else {
            sleep(takes).await;
        }
    }

    async fn call<T>(
        &self,
        name: String,
        effect: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let index = self.calls.borrow().len();
        self.calls.borrow_mut().push(name.clone());
        self.send(&name).await;
        if let Some((action, times, code, retry)) =
            self.refusals.get().filter(|(action, times, ..)| *times > 0 && named(&name, action))
        {
            self.refusals.set(Some((action, times - 1, code, retry)));
            return Err(error(code, retry));
        }
        let fault = self.fault.get().filter(|(at, _)| *at == index).map(|(_, fault)| fault);
        match fault {
            None => effect(&mut self.state.borrow_mut()),
            Some(Fault::Refused(code, retry)) => Err(error(code, retry)),
            Some(Fault::AnswerLost) => effect(&mut self.state.borrow_mut())
                .and(Err(error("TimedOut", Retry::NextInvocation))),
            Some(Fault::DoneAlready(code)) => {
                effect(&mut self.state.borrow_mut()).and(Err(error(code, Retry::Replan)))
            }
            Some(Fault::Panic) => panic!("call {index} panics"),
            Some(Fault::Slow) => {
                sleep(Duration::from_secs(3)).await;
                effect(&mut self.state.borrow_mut())
            }
            Some(Fault::Hangs) => std::future::pending().await,
        }
    }

    async fn of_bucket<T>(
        &self,
        action: &str,
        location: &Location,
        read: impl FnOnce(&Bucket) -> T,
    ) -> Result<T, ApiError> {
        self.call(format!("{action} {}", location.bucket), |state| {
            bucket(state, location).map(|bucket| read(bucket))
        })
        .await
    }
}

/// Whether a call in the list is one of `action`.
fn named(call: &str, action: &str) -> bool {
    call.trim_start_matches("! ").split(' ').next() == Some(action)
}

pub fn error(code: &'static str, retry: Retry) -> ApiError {
    let (resource, code, message) = ("anything".to_owned(), code.to_owned(), "as told".to_owned());
    ApiError { operation: "AnyAction", resource, code, message, parameter: None, retry }
}

fn bucket<'a>(state: &'a mut State, location: &Location) -> Result<&'a mut Bucket, ApiError> {
    within_reach(state, &location.bucket, &location.access)?;
    let found = state
        .buckets
        .get_mut(location.bucket.as_str())
        .filter(|bucket| bucket.region == location.region.as_str());
    let bucket = found.ok_or_else(|| error("NoSuchBucket", Retry::Never))?;
    assert_eq!(bucket.owner, location.owner.as_str(), "the expected owner is the owner");
    Ok(bucket)
}

/// Refuses what belongs to another account than the one that is accessed.
fn within_reach(state: &State, bucket: &BucketName, access: &Access) -> Result<(), ApiError> {
    let reached = access.account().map_or(ACCOUNT, Account::as_str);
    let is_out_of_reach =
        state.buckets.get(bucket.as_str()).is_some_and(|bucket| bucket.owner != reached);
    if is_out_of_reach && !state.shown.contains(bucket.as_str()) {
        Err(error("HTTP 403", Retry::Never))
    } else {
        Ok(())
    }
}

fn role<'a>(state: &'a mut State, name: &RoleName) -> Result<&'a mut Role, ApiError> {
    state.roles.get_mut(name.as_str()).ok_or_else(|| error("NoSuchEntity", Retry::Replan))
}

fn enabled(state: &State, arn: &str) -> bool {
    let name = arn.rsplit(':').next().unwrap_or_default();
    state.buckets.get(name).is_some_and(|bucket| bucket.versioning == Versioning::Enabled)
}

impl Read for Fake {
    async fn identity(&self) -> Result<Identity, ApiError> {
        let identity =
            Identity { account: Account::parse(ACCOUNT).unwrap(), partition: Partition::Aws };
        if self.sent.borrow().is_some() {
            // As with `EXECUTION_ROLE_ARN`.
            return Ok(identity);
        }
        self.call("GetCallerIdentity".to_owned(), |_| {
            Ok(Identity { account: Account::parse(ACCOUNT).unwrap(), partition: Partition::Aws })
        })
        .await
    }

    async fn buckets(&self) -> Result<Vec<ListedBucket>, ApiError> {
        let listed = |(name, bucket): (&String, &Bucket)| ListedBucket {
            name: name.clone(),
            region: Some(Region::parse(bucket.region).unwrap()),
        };
        self.call("ListBuckets".to_owned(), |state| Ok(state.buckets.iter().map(listed).collect()))
            .await
    }

    async fn bucket_region(
        &self,
        bucket: &BucketName,
        _expected: &Region,
        access: &Access,
    ) -> Result<Option<Region>, ApiError> {
        let region = |state: &mut State| {
            within_reach(state, bucket, access)?;
            Ok(state
                .buckets
                .get(bucket.as_str())
                .map(|bucket| Region::parse(bucket.region).unwrap()))
        };
        self.call(format!("HeadBucket {bucket}"), region).await
    }

    async fn versioning(&self, location: &Location) -> Result<Versioning, ApiError> {
        self.of_bucket("GetBucketVersioning", location, |bucket| bucket.versioning).await
    }

    async fn encryption(&self, location: &Location) -> Result<Encryption, ApiError> {
        self.of_bucket("GetBucketEncryption", location, |bucket| bucket.encryption.clone()).await
    }

    async fn replication(
        &self,
        location: &Location,
    ) -> Result<Option<ReplicationConfiguration>, ApiError> {
        let current = self
            .of_bucket("GetBucketReplication", location, |bucket| bucket.replication.clone())
            .await?;
        let stale = self.stale_reads.get();
        self.stale_reads.set(stale.saturating_sub(1));
        Ok(if stale > 0 { self.earlier_replication.borrow().clone() } else { current })
    }

    async fn object_lock(&self, location: &Location) -> Result<bool, ApiError> {
        self.of_bucket("GetObjectLockConfiguration", location, |bucket| bucket.object_lock).await
    }

    async fn bucket_tags(&self, location: &Location) -> Result<BTreeMap<String, String>, ApiError> {
        self.of_bucket("GetBucketTagging", location, |bucket| bucket.tags.clone()).await
    }

    async fn public_access_blocked(&self, location: &Location) -> Result<bool, ApiError> {
        self.of_bucket("GetPublicAccessBlock", location, |bucket| bucket.public_access_blocked)
            .await
    }

    async fn key(
        &self,
        id: &str,
        _region: &Region,
        access: &Access,
    ) -> Result<Option<Key>, ApiError> {
        let reached = access.account().map_or(ACCOUNT, Account::as_str);
        let describe = |state: &mut State| {
            let is_out_of_reach =
                KeyReference::parse(id).is_ok_and(|key| key.account().as_str() != reached);
            if is_out_of_reach && !state.shown.contains(id) {
                return Err(error("AccessDeniedException", Retry::Never));
            }
            Ok(state.keys.get(id).cloned())
        };
        self.call(format!("DescribeKey {id}"), describe).await
    }

    async fn policy(&self, target: &PolicyTarget) -> Result<Option<String>, ApiError> {
        assert_ne!(
            *target.access(),
            Access::Own,
            "policies of other accounts are no business of this account's credentials"
        );
        self.call(format!("GetPolicy of {target}"), |state| {
            Ok(state.policies.get(&target.to_string()).cloned())
        })
        .await
    }

    async fn role_outline(&self, name: &RoleName) -> Result<Option<RoleOutline>, ApiError> {
        let outline = |role: &Role| RoleOutline {
            role: Role { policies: BTreeMap::new(), ..role.clone() },
            policies: role.policies.keys().cloned().collect(),
        };
        self.call(format!("GetRole {name}"), |state| {
            Ok(state.roles.get(name.as_str()).map(outline))
        })
        .await
    }

    async fn with_policies(
        &self,
        RoleOutline { role, policies }: RoleOutline,
    ) -> Result<Role, ApiError> {
        let text = async |policy: String| {
            let read = |state: &mut State| {
                Ok(state
                    .roles
                    .get(role.name.as_str())
                    .and_then(|role| role.policies.get(&policy).cloned()))
            };
            Ok(self
                .call(format!("GetRolePolicy {} {policy}", role.name), read)
                .await?
                .map(|text| (policy, text)))
        };
        let policies = try_join_all(policies.into_iter().map(text)).await?;
        Ok(Role { policies: policies.into_iter().flatten().collect(), ..role })
    }

    async fn alarms(&self, names: &[String], region: &Region) -> Result<Vec<Alarm>, ApiError> {
        let found = |state: &mut State| {
            let alarms = state
                .alarms
                .values()
                .filter(|alarm| names.contains(&alarm.name) && alarm.region == *region);
            Ok(alarms.cloned().collect())
        };
        self.call(format!("DescribeAlarms {}", names.join(" ")), found).await
    }

    async fn parameter(&self, name: &str) -> Result<String, ApiError> {
        let value = self
            .parameters
            .borrow()
            .get(name)
            .cloned()
            .ok_or_else(|| error("ParameterNotFound", Retry::Never));
        self.call(format!("GetParameter {name}"), |_| value).await
    }

    async fn job(
        &self,
        id: &str,
        _region: &Region,
        _account: &Account,
    ) -> Result<Option<Job>, ApiError> {
        self.call(format!("DescribeJob {id}"), |state| {
            Ok(state.jobs.get(id).map(|(_, job)| job.clone()))
        })
        .await
    }
}

impl Execute for Fake {
    async fn execute(&self, action: &Action) -> Result<Executed, ApiError> {
        if let Action::StartJob { job } = action {
            let id = self
                .call(format!("! CreateJob on {}", action.resource()), |state| start(state, job))
                .await?;
            let (key, value) = job.tag(&id);
            let tag =
                |state: &mut State| Ok(role(state, &job.role)?.tags.insert(key.to_string(), value));
            self.call(format!("! TagRole on role `{}`", job.role), tag).await?;
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
        self.call(format!("! {} on {}", action.operation(), action.resource()), effect)
            .await
            .map(|()| Executed::Done)
    }
}

impl Leases for Fake {
    async fn acquire(&self, lease: &Lease, now: u64) -> Result<Option<Acquired>, ApiError> {
        assert!(lease.expires_at <= now + 300, "no lease outlives the longest invocation");
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
        self.call(format!("Acquire {}", lease.resource), acquire).await
    }

    async fn release(&self, lease: &Lease, expires_at: u64) -> Result<(), ApiError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
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
        self.call(format!("Release {}", lease.resource), release).await
    }

    async fn record_generation(
        &self,
        _table: &str,
        id: &str,
        generation: u64,
        _forget_at: u64,
    ) -> Result<bool, ApiError> {
        let record = |_: &mut State| {
            let mut generations = self.generations.borrow_mut();
            let latest = generations.entry(id.to_owned()).or_default();
            *latest = generation.max(*latest);
            Ok(*latest == generation)
        };
        self.call(format!("RecordGeneration {id}"), record).await
    }

    async fn latest_generation(&self, _table: &str, id: &str) -> Result<Option<u64>, ApiError> {
        self.call(format!("LatestGeneration {id}"), |_| {
            Ok(self.generations.borrow().get(id).copied())
        })
        .await
    }
}

impl Objects for Fake {
    async fn put_canary(&self, location: &Location, canary: &Canary) -> Result<String, ApiError> {
        let version = format!("version-{}", self.calls.borrow().len());
        let put = |state: &mut State| {
            let mut replicator = self.replicator.borrow_mut();
            let source = bucket(state, location)?;
            let default = match &source.encryption {
                Encryption::Kms { key, .. } => key.clone(),
                Encryption::S3 => None,
            };
            let selected = replicator.unnoticed == 0
                && rules_of(source).iter().any(|rule| selects(rule, canary));
            replicator.unnoticed = replicator.unnoticed.saturating_sub(1);
            let (replication, kms_key) =
                (selected.then_some(Replication::Pending), canary.kms_key.clone().or(default));
            let seen = Some(ObjectVersion { replication, kms_key });
            source.objects.push(Object {
                key: canary.key.clone(),
                version: version.clone(),
                tags: canary.tags.clone(),
                seen,
            });
            Ok(version.clone())
        };
        self.call(format!("! PutObject {}/{}", location.bucket, canary.key), put).await
    }

    async fn object_version(
        &self,
        location: &Location,
        key: &str,
        version: &str,
    ) -> Result<Option<ObjectVersion>, ApiError> {
        let look = |state: &mut State| {
            replicate(state, location, &mut self.replicator.borrow_mut())?;
            let objects = &bucket(state, location)?.objects;
            Ok(objects
                .iter()
                .find(|object| (object.key.as_str(), object.version.as_str()) == (key, version))
                .and_then(|o| o.seen.clone()))
        };
        self.call(format!("HeadObject {}/{key}", location.bucket), look).await
    }

    async fn versions(&self, location: &Location, key: &str) -> Result<Versions, ApiError> {
        let list = |state: &mut State| {
            let objects =
                bucket(state, location)?.objects.iter().rev().filter(|object| object.key == key);
            let (objects, markers): (Vec<&Object>, Vec<&Object>) =
                objects.partition(|object| object.seen.is_some());
            let ids = |objects: Vec<&Object>| {
                objects.into_iter().map(|object| object.version.clone()).collect()
            };
            Ok(Versions { objects: ids(objects), delete_markers: ids(markers) })
        };
        self.call(format!("ListObjectVersions {}/{key}", location.bucket), list).await
    }

    async fn delete_version(
        &self,
        location: &Location,
        key: &str,
        version: &str,
    ) -> Result<(), ApiError> {
        let delete = |state: &mut State| {
            bucket(state, location)?
                .objects
                .retain(|object| (object.key.as_str(), object.version.as_str()) != (key, version));
            Ok(())
        };
        self.call(format!("! DeleteObject {}/{key}", location.bucket), delete).await
    }
}

impl Callback for Fake {
    async fn answer(&self, _url: &ResponseUrl, body: String) -> Result<(), ApiError> {
        if let Some(retry) = self.answer_failures.borrow_mut().pop() {
            return Err(error("HTTP 500", retry));
        }
        self.send("! PUT to the ResponseURL").await;
        self.answers.borrow_mut().push(body);
        Ok(())
    }
}
