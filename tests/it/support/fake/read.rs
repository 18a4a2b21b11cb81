//! Reads of the state.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use s3_kms_replication::model::{
    Access, Account, Alarm, ApiError, BucketLocation, BucketName, Encryption, Identity, Job, Key,
    ListedBucket, ListedVersion, Region, ReplicationConfiguration, ResourcePolicyTarget, Retry,
    Role, RoleName, RoleOutline, RoleQuota, VersionMarker, Versioning, VersionsPage,
};
use s3_kms_replication::ports::{Memory, Read};
use tokio::time::Instant;

use super::{Fake, bucket, check_key_reach, check_reach, error};
use crate::support::{ACCOUNT, Bucket, Call, Object, State};

impl Read for Fake {
    async fn identity(&self) -> Result<Identity, ApiError> {
        let identity = Identity {
            account: Account::parse(ACCOUNT).unwrap(),
            partition: self.state.borrow().partition,
        };
        if self.sent.borrow().is_some() {
            // As with `EXECUTION_ROLE_ARN`.
            return Ok(identity);
        }
        self.call(Call::read("GetCallerIdentity", "the caller"), |_| Ok(identity)).await
    }

    async fn buckets(&self) -> Result<Vec<ListedBucket>, ApiError> {
        let listed = |(name, bucket): (&String, &Bucket)| ListedBucket {
            name: name.clone(),
            region: Some(Region::parse(bucket.region).unwrap()),
        };
        self.call(Call::read("ListBuckets", "all buckets"), |state| {
            let own = state.buckets.iter().filter(|(_, bucket)| bucket.owner == ACCOUNT);
            Ok(own.map(listed).collect())
        })
        .await
    }

    async fn bucket_region(
        &self,
        bucket: &BucketName,
        _expected: &Region,
        owner: &Account,
        access: &Access,
    ) -> Result<Option<Region>, ApiError> {
        let lost = self.lost_role.borrow().clone().filter(|_| *access != Access::Own);
        let region = |state: &mut State| {
            lost.map_or(Ok(()), Err)?;
            check_reach(state, bucket, access)?;
            let Some(bucket) = state.buckets.get(bucket.as_str()) else { return Ok(None) };
            if bucket.owner != owner.as_str() {
                return Err(error("HTTP 403", Retry::Never));
            }
            Ok(Some(Region::parse(bucket.region).unwrap()))
        };
        self.call(Call::read("HeadBucket", format!("bucket `{bucket}`")), region).await
    }

    async fn versioning(&self, location: &BucketLocation) -> Result<Versioning, ApiError> {
        self.of_bucket("GetBucketVersioning", location, |bucket| bucket.versioning).await
    }

    async fn encryption(&self, location: &BucketLocation) -> Result<Encryption, ApiError> {
        self.of_bucket("GetBucketEncryption", location, |bucket| bucket.encryption.clone()).await
    }

    async fn replication(
        &self,
        location: &BucketLocation,
    ) -> Result<Option<ReplicationConfiguration>, ApiError> {
        let current = self
            .of_bucket("GetBucketReplication", location, |bucket| bucket.replication.clone())
            .await?;
        let stale = self.stale_reads.get();
        self.stale_reads.set(stale.saturating_sub(1));
        Ok(if stale > 0 { self.earlier_replication.borrow().clone() } else { current })
    }

    async fn object_lock(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.of_bucket("GetObjectLockConfiguration", location, |bucket| bucket.object_lock).await
    }

    async fn bucket_tags(
        &self,
        location: &BucketLocation,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        self.of_bucket("GetBucketTagging", location, |bucket| bucket.tags.clone()).await
    }

    async fn is_empty(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.of_bucket("ListObjectsV2", location, |bucket| bucket.objects.is_empty()).await
    }

    async fn versions_page(
        &self,
        location: &BucketLocation,
        prefix: &str,
        after: Option<&VersionMarker>,
        limit: u16,
    ) -> Result<VersionsPage, ApiError> {
        self.of_bucket("ListObjectVersions", location, |bucket| {
            let mut objects: Vec<&Object> =
                bucket.objects.iter().filter(|object| object.key.starts_with(prefix)).collect();
            objects.sort_by_key(|object| (&object.key, std::cmp::Reverse(&object.version)));
            let is_marker = |object: &&Object| {
                after.is_some_and(|after| {
                    after.key == object.key && after.version.as_ref() == Some(&object.version)
                })
            };
            let begin = objects.iter().position(is_marker).map_or(0, |last| last + 1);
            let rest = &objects[begin..];
            let page = &rest[..rest.len().min(usize::from(limit))];
            let listed = page.iter().filter_map(|object| {
                Some(ListedVersion {
                    key: object.key.clone(),
                    version: object.version.clone(),
                    last_modified: object.content.as_ref()?.last_modified?,
                })
            });
            let next = page.last().filter(|_| rest.len() > page.len());
            VersionsPage {
                versions: listed.collect(),
                delete_markers: page.iter().filter(|object| object.content.is_none()).count(),
                next: next.map(|last| VersionMarker {
                    key: last.key.clone(),
                    version: Some(last.version.clone()),
                }),
            }
        })
        .await
    }

    async fn public_access_blocked(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.of_bucket("GetPublicAccessBlock", location, |bucket| bucket.public_access_blocked)
            .await
    }

    async fn key(
        &self,
        id: &str,
        _region: &Region,
        access: &Access,
    ) -> Result<Option<Key>, ApiError> {
        let describe = |state: &mut State| {
            check_key_reach(state, id, access)?;
            Ok(state.keys.get(id).cloned())
        };
        self.call(Call::read("DescribeKey", format!("key `{id}`")), describe).await
    }

    async fn resource_policy(
        &self,
        target: &ResourcePolicyTarget,
    ) -> Result<Option<String>, ApiError> {
        let operation = match target {
            ResourcePolicyTarget::Bucket(_) => "GetBucketPolicy",
            ResourcePolicyTarget::Key { .. } => "GetKeyPolicy",
        };
        self.call(Call::read(operation, target.to_string()), |state| {
            let policy = state.policies.get(&target.to_string()).cloned();
            match target {
                ResourcePolicyTarget::Bucket(location) => bucket(state, location).map(|_| policy),
                ResourcePolicyTarget::Key { arn, access, .. } => {
                    check_key_reach(state, arn, access)?;
                    Ok(policy
                        .or_else(|| state.keys.get(arn).map(|key| default_key_policy(&key.arn))))
                }
            }
        })
        .await
    }

    async fn role_exists(&self, name: &RoleName) -> Result<bool, ApiError> {
        self.call(Call::read("GetRole", format!("the existence of role `{name}`")), |state| {
            Ok(state.roles.contains_key(name.as_str()))
        })
        .await
    }

    async fn role_outline(&self, name: &RoleName) -> Result<Option<RoleOutline>, ApiError> {
        let outline = |role: &Role| RoleOutline {
            role: Role { policies: BTreeMap::new(), ..role.clone() },
            policies: role.policies.keys().cloned().collect(),
        };
        self.call(Call::read("GetRole", format!("role `{name}`")), |state| {
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
            let resource = format!("inline policy `{policy}` of role `{}`", role.name);
            Ok(self
                .call(Call::read("GetRolePolicy", resource), read)
                .await?
                .map(|text| (policy, text)))
        };
        let policies = try_join_all(policies.into_iter().map(text)).await?;
        Ok(Role { policies: policies.into_iter().flatten().collect(), ..role })
    }

    async fn role_quota(&self) -> Result<RoleQuota, ApiError> {
        self.call(Call::read("GetAccountSummary", "the account"), |state| {
            Ok(RoleQuota { in_use: u32::try_from(state.roles.len()).unwrap(), quota: 1_000 })
        })
        .await
    }

    async fn alarms(&self, names: &[String], region: &Region) -> Result<Vec<Alarm>, ApiError> {
        let found = |state: &mut State| {
            let alarms = state
                .alarms
                .values()
                .filter(|alarm| names.contains(&alarm.name) && alarm.region == *region);
            Ok(alarms.cloned().collect())
        };
        self.call(Call::read("DescribeAlarms", format!("alarms {names:?}")), found).await
    }

    async fn parameter(&self, name: &str) -> Result<String, ApiError> {
        let value = self
            .parameters
            .borrow()
            .get(name)
            .cloned()
            .ok_or_else(|| error("ParameterNotFound", Retry::Never));
        self.call(Call::read("GetParameter", format!("parameter `{name}`")), |_| value).await
    }

    async fn job(
        &self,
        id: &str,
        region: &Region,
        _account: &Account,
    ) -> Result<Option<Job>, ApiError> {
        self.call(Call::read("DescribeJob", format!("job `{id}`")), |state| {
            let found = state.jobs.get(id).filter(|started| started.region == region.as_str());
            Ok(found.map(|started| started.job.clone()))
        })
        .await
    }
}

/// The policy that KMS gives a key that is made without one.
fn default_key_policy(arn: &str) -> String {
    let account = arn.split(':').nth(4).unwrap();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":"kms:*","Resource":"*"}}]}}"#
    )
}

impl Memory for Fake {
    fn remembered(&self, subject: &str, max_age: Duration) -> Option<String> {
        let remembered = self.remembered.borrow();
        let fresh = remembered.get(subject).filter(|(since, _)| since.elapsed() < max_age);
        fresh.map(|(_, text)| text.clone())
    }

    fn remember(&self, subject: &str, text: String) {
        self.remembered.borrow_mut().insert(subject.to_owned(), (Instant::now(), text));
    }
}
