//! Reads that only a diagnosis makes.

use s3_kms_replication::model::{
    Access, ApiError, BucketLocation, KeyGrant, ListedObject, ObjectOwnership, Region,
    ReplicationMetrics, SampledObject, SimulatedCall, Simulation,
};
use s3_kms_replication::ports::{Inspect, MeteredRule};

use super::{Fake, bucket, check_key_reach};
use crate::support::Call;

impl Inspect for Fake {
    async fn object_ownership(
        &self,
        location: &BucketLocation,
    ) -> Result<ObjectOwnership, ApiError> {
        self.of_bucket("GetBucketOwnershipControls", location, |bucket| bucket.ownership).await
    }

    async fn requester_pays(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.of_bucket("GetBucketRequestPayment", location, |bucket| bucket.requester_pays).await
    }

    async fn owner_id(&self, location: &BucketLocation) -> Result<String, ApiError> {
        self.of_bucket("GetBucketAcl", location, |bucket| bucket.owner.clone()).await
    }

    async fn first_objects(
        &self,
        location: &BucketLocation,
        prefix: &str,
        count: u16,
    ) -> Result<Vec<ListedObject>, ApiError> {
        self.of_bucket("ListObjectsV2", location, |bucket| {
            let selected =
                bucket.samples.iter().filter(|(_, object)| object.key.starts_with(prefix));
            let listed = selected.map(|(owner, object)| ListedObject {
                key: object.key.clone(),
                owner: Some(owner.clone()),
            });
            listed.take(usize::from(count)).collect()
        })
        .await
    }

    async fn object(
        &self,
        location: &BucketLocation,
        key: &str,
    ) -> Result<Option<SampledObject>, ApiError> {
        let resource = format!("object `{key}` of bucket `{}`", location.bucket);
        self.call(Call::read("HeadObject", resource), |state| {
            let mut samples = bucket(state, location)?.samples.iter();
            Ok(samples.find(|(_, object)| object.key == key).map(|(_, object)| object.clone()))
        })
        .await
    }

    async fn managed_policy(&self, arn: &str) -> Result<Option<String>, ApiError> {
        let resource = format!("managed policy `{arn}`");
        self.call(Call::read("GetPolicy", resource.clone()), |_| Ok(())).await?;
        self.call(Call::read("GetPolicyVersion", resource), |state| {
            Ok(state.managed_policies.get(arn).cloned())
        })
        .await
    }

    async fn simulate(&self, role_arn: &str, call: &SimulatedCall) -> Result<Simulation, ApiError> {
        let resource = format!("role `{role_arn}`");
        self.call(Call::read("SimulatePrincipalPolicy", resource), |state| {
            Ok(Simulation {
                is_explicitly_denied: state.denied_by_scps.contains(&call.action),
                is_allowed_by_organization: Some(!state.denied_by_scps.contains(&call.action)),
            })
        })
        .await
    }

    async fn grants(
        &self,
        arn: &str,
        _region: &Region,
        access: &Access,
    ) -> Result<Vec<KeyGrant>, ApiError> {
        self.call(Call::read("ListGrants", format!("key `{arn}`")), |state| {
            check_key_reach(state, arn, access)?;
            Ok(state.grants.get(arn).cloned().unwrap_or_default())
        })
        .await
    }

    async fn replication_metrics(
        &self,
        rule: &MeteredRule,
        _now: u64,
    ) -> Result<ReplicationMetrics, ApiError> {
        self.call(Call::read("GetMetricData", format!("rule `{}`", rule.rule)), |state| {
            Ok(state.metrics.get(&rule.rule).copied().unwrap_or_default())
        })
        .await
    }
}
