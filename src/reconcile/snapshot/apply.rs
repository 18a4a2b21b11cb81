//! The snapshot for a rule to apply.
//!
//! It must not know what is planned from the snapshot.

use futures_util::future::try_join_all;
use tokio::try_join;

use super::super::Error;
use super::super::converge::{DesiredState, Planned};
use super::super::cross_account::{DeniedReads, DestinationReads, ReadResult, allow_access_denied};
use super::super::destination::SourceState;
use super::{SnapshotReader, has_policy};
use crate::model::{
    Access, ApiError, BucketLocation, Encryption, Identity, Key, KeyReference, Region,
    ReplicationConfiguration, RoleOutline, Versioning,
};
use crate::plan::{self, ApplySnapshot, BucketToServe, Refusal, SharedRole, Source};
use crate::ports::Read;
use crate::spec::{RoleSettings, SourceKeys, Spec};

/// Plans so that AWS's state matches `spec`.
pub(in crate::reconcile) struct ApplyRule<'a, R> {
    pub reader: SnapshotReader<'a, R>,
    pub spec: &'a Spec,
    /// The Region in which the source bucket is looked up first.
    pub expected: &'a Region,
    pub roles: &'a RoleSettings,
    /// The role of all buckets, for a rule of the replication policy in `RoleScope` Policy.
    pub shared: Option<&'a SharedRole>,
    /// Whether only the rule's grants in the bucket's own role are planned.
    pub grants_only: bool,
}

/// The first reads for a rule to apply.
pub(in crate::reconcile) struct ApplyFirstReads {
    identity: Identity,
    source: BucketLocation,
    replication: Option<ReplicationConfiguration>,
    has_rule: bool,
    encryption: Option<Encryption>,
    object_lock: bool,
    own_role: Option<RoleOutline>,
    destination: ReadResult<(BucketLocation, Versioning)>,
    replica_key: ReadResult<Key>,
}

impl ApplyFirstReads {
    /// Whether the source was found at this location.
    pub(in crate::reconcile) fn source_is_at(&self, location: &BucketLocation) -> bool {
        self.source == *location
    }
}

/// The keys of a source bucket.
struct SourceKeyReads {
    /// The keys that encrypt the source's objects, by the ids that they were read by; `None` for a key that does not exist.
    keys: Vec<(String, Option<Key>)>,
    /// Given keys of other accounts whose reads AWS denied.
    unread_keys: Vec<KeyReference>,
}

impl<R: Read> DesiredState for ApplyRule<'_, R> {
    type FirstReads = ApplyFirstReads;

    async fn first_reads(&self) -> Result<ApplyFirstReads, Error> {
        self.reader.prefetch_apply(self.spec, self.expected, self.shared).await
    }

    fn needs_lease(&self, first_reads: &ApplyFirstReads) -> bool {
        !first_reads.has_rule
    }

    async fn read_and_plan(&self, first_reads: ApplyFirstReads) -> Result<Planned, Error> {
        let snapshot = self.reader.apply_snapshot(self.spec, first_reads).await?;
        let snapshot = ApplySnapshot { shared_role: self.shared.cloned(), ..snapshot };
        if self.grants_only {
            return Ok(plan::grant(self.spec, &snapshot, self.roles)?.into());
        }
        let (plan, attributes) = plan::apply(self.spec, &snapshot, self.roles)?;
        Ok(Planned { plan, attributes: Some(attributes), job_id: None })
    }
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Makes the first round of reads for `spec`.
    pub(in crate::reconcile) async fn prefetch_apply(
        &self,
        spec: &Spec,
        expected: &Region,
        shared: Option<&SharedRole>,
    ) -> Result<ApplyFirstReads, Error> {
        let cloud = self.cloud;
        let identity = cloud.identity().await?;
        spec.check_partition(identity.partition)?;
        let key_access = spec.destination_access.for_account(spec.replica_key.account());
        let source = self.read_bucket(&spec.rule.source, expected, async |location| {
            try_join!(
                cloud.replication(location),
                self.default_encryption(spec, location),
                cloud.object_lock(location)
            )
        });
        let destination = BucketLocation {
            bucket: spec.destination.clone(),
            region: spec.destination_region.clone(),
            owner: spec.destination_account.as_ref().unwrap_or(&identity.account).clone(),
            access: spec.destination_access.clone(),
        };
        let destination =
            self.read_expected_at(destination, async |location| cloud.versioning(location).await);
        let replica_key =
            self.key(spec.replica_key.as_str(), spec.replica_key.region(), &key_access);
        let (source, own_role, destination, replica_key) = try_join!(
            async {
                let missing =
                    || Error::from(Refusal::SourceMissing { bucket: spec.rule.source.clone() });
                source.await?.ok_or_else(missing)
            },
            async {
                match shared {
                    None => Ok(self.own_role_outline(&spec.rule.source).await?),
                    Some(_) => Ok(None),
                }
            },
            async { Ok(allow_access_denied(destination).await?) },
            async { Ok(allow_access_denied(replica_key).await?) },
        )?;
        let (source, (replication, encryption, object_lock)) = source;
        let has_rule = plan::has_rule(&spec.rule.id, replication.as_ref());
        let bucket = BucketToServe {
            region: &source.region,
            replication: replication.as_ref(),
            encryption: encryption.as_ref(),
            identity: &identity,
        };
        let may_be_served_by_own =
            shared.is_some_and(|shared| shared.may_need_own_role(spec, bucket));
        let own_role = if may_be_served_by_own {
            self.own_role_outline(&spec.rule.source).await?
        } else {
            own_role
        };
        Ok(ApplyFirstReads {
            identity,
            source,
            replication,
            has_rule,
            encryption,
            object_lock,
            own_role,
            destination,
            replica_key,
        })
    }

    /// Reads the rest of the snapshot for `spec`.
    async fn apply_snapshot(
        &self,
        spec: &Spec,
        first_reads: ApplyFirstReads,
    ) -> Result<ApplySnapshot, Error> {
        let ApplyFirstReads { identity, source: location, replication, has_rule, .. } = first_reads;
        let ApplyFirstReads { encryption, object_lock, own_role, destination, replica_key, .. } =
            first_reads;
        let mut denied = DeniedReads::new(spec, &identity);
        let replica_key = denied.accept(replica_key, spec.replica_key.account())?;
        let owner = spec.destination_account.as_ref().unwrap_or(&identity.account);
        let destination = destination.map_err(|failure| name_account(failure, spec));
        let destination = denied.accept(destination, owner)?;

        let serving = replication.as_ref().and_then(|replication| {
            self.other_role(replication.role(), own_role.as_ref(), &spec.rule.source)
        });
        let has_policy = has_policy(own_role.as_ref(), &spec.rule.id);
        let may_have_alarm =
            spec.alarm_topic.is_some() || serving.is_some() || has_rule || has_policy;
        let region = &location.region;
        let replicates = replication.as_ref();
        let (versioning, source_keys, destination, roles, alarm) = try_join!(
            self.source_versioning(&location, replicates),
            self.source_key_reads(spec, encryption, &location, &identity),
            allow_access_denied(self.destination(
                spec,
                destination,
                &identity,
                SourceState { replication: replicates, object_lock }
            )),
            self.roles(own_role, serving),
            self.alarm(&spec.rule, region, may_have_alarm),
        )?;
        let SourceKeyReads { keys: source_keys, unread_keys } = source_keys;
        let destination = denied.accept(destination, owner)?;
        let destination_reads =
            DestinationReads { bucket: destination.as_ref(), replica_key: replica_key.as_ref() };
        let (resource_policies, job, report_missing, has_no_versions) = try_join!(
            self.cross_account_policies(spec, &identity, &destination_reads, &roles),
            self.job(&spec.rule, region, &identity, &roles),
            self.lacks_report_bucket(spec, &location, &roles),
            self.has_no_versions_for_job(spec, &location, &roles),
        )?;
        let denied_reads = denied.into_accepted();
        let source = Source { location, versioning, object_lock, replication };
        Ok(ApplySnapshot {
            identity,
            source,
            destination,
            replica_key,
            source_keys,
            unread_source_keys: unread_keys,
            roles,
            shared_role: None,
            alarm,
            denied_reads,
            resource_policies,
            job,
            report_missing,
            has_no_versions,
            catch_up_follows: self.catch_up_follows,
        })
    }

    /// Reads the source's versioning. S3 refuses to suspend it while the bucket replicates, so a bucket with a configuration costs no call.
    async fn source_versioning(
        &self,
        location: &BucketLocation,
        replication: Option<&ReplicationConfiguration>,
    ) -> Result<Versioning, ApiError> {
        match replication {
            Some(_) => Ok(Versioning::Enabled),
            None => self.cloud.versioning(location).await,
        }
    }

    /// Reads the keys of the source bucket.
    async fn source_key_reads(
        &self,
        spec: &Spec,
        encryption: Option<Encryption>,
        location: &BucketLocation,
        identity: &Identity,
    ) -> Result<SourceKeyReads, ApiError> {
        // The bucket's default key must be known: S3 may name it by an alias, which grants cannot name.
        let is_given = matches!(spec.source_keys, SourceKeys::Given(_));
        let key_ids = source_keys(spec, encryption);
        let keys = key_ids
            .iter()
            .map(|key| allow_access_denied(self.key(key, &location.region, &Access::Own)));
        let keys = try_join_all(keys).await?;
        let mut reads = SourceKeyReads { keys: Vec::new(), unread_keys: Vec::new() };
        for (id, key) in key_ids.into_iter().zip(keys) {
            match (key, KeyReference::parse(&id)) {
                (Ok(key), _) => reads.keys.push((id, key)),
                (Err(_), Ok(foreign)) if is_given && *foreign.account() != identity.account => {
                    reads.unread_keys.push(foreign);
                }
                (Err(denied), _) => return Err(denied),
            }
        }
        Ok(reads)
    }

    async fn default_encryption(
        &self,
        spec: &Spec,
        location: &BucketLocation,
    ) -> Result<Option<Encryption>, ApiError> {
        match spec.source_keys {
            SourceKeys::BucketDefault => self.cloud.encryption(location).await.map(Some),
            SourceKeys::Given(_) => Ok(None),
        }
    }
}

/// A denied read of a destination that is taken for the caller's own, since the request names no account.
fn name_account(failure: ApiError, spec: &Spec) -> ApiError {
    // Another call is denied in a bucket that HeadBucket has found in this account.
    if spec.destination_account.is_some() || failure.operation != "HeadBucket" {
        return failure;
    }
    let message = format!(
        "{}; if the bucket is another account's, `DestinationAccount` must name that account",
        failure.message
    );
    ApiError { message, ..failure }
}

/// The ids of the keys to read: those of the spec, or the key of the bucket's default encryption.
fn source_keys(spec: &Spec, default_encryption: Option<Encryption>) -> Vec<String> {
    match (&spec.source_keys, default_encryption) {
        (SourceKeys::Given(keys), _) => keys.iter().map(ToString::to_string).collect(),
        (SourceKeys::BucketDefault, Some(Encryption::Kms { key, .. })) => {
            vec![key.unwrap_or_else(|| "alias/aws/s3".to_owned())]
        }
        (SourceKeys::BucketDefault, Some(Encryption::S3) | None) => Vec::new(),
    }
}
