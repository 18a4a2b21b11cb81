//! The reads that only a diagnosis needs.
//!
//! It must not know what a reading means for a rule: [`crate::diagnose`] decides that.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_s3::types::{
    ObjectOwnership as SdkOwnership, Payer, ServerSideEncryption, StorageClass,
};
use aws_smithy_types::DateTime;

use super::objects::{object_resource, replication};
use super::s3::on_bucket;
use super::sdk_error::{CallError, malformed_response, none_if};
use super::{Aws, iam};
use crate::model::{
    Access, ApiError, BucketLocation, KeyGrant, ListedObject, ObjectOwnership, Region,
    ReplicationMetrics, SampledObject, SimulatedCall, Simulation,
};
use crate::ports::{Inspect, MeteredRule};

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;
/// The period of the metrics, in seconds.
const PERIOD: i32 = 300;

impl Inspect for Aws {
    async fn object_ownership(
        &self,
        location: &BucketLocation,
    ) -> Result<ObjectOwnership, ApiError> {
        self.in_session(&location.access, async || {
            let request = self.s3_at(location).await?.get_bucket_ownership_controls();
            let request = request
                .bucket(location.bucket.as_str())
                .expected_bucket_owner(location.owner.as_str());
            let response = none_if("OwnershipControlsNotFoundError", request.send().await)
                .map_err(on_bucket("GetBucketOwnershipControls", location))?;
            let rule = response
                .and_then(|response| response.ownership_controls)
                .and_then(|controls| controls.rules.into_iter().next());
            Ok(match rule.map(|rule| rule.object_ownership) {
                Some(SdkOwnership::BucketOwnerEnforced) => ObjectOwnership::BucketOwnerEnforced,
                Some(SdkOwnership::BucketOwnerPreferred) => ObjectOwnership::BucketOwnerPreferred,
                Some(_) | None => ObjectOwnership::ObjectWriter,
            })
        })
        .await
    }

    async fn requester_pays(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.in_session(&location.access, async || {
            let request = self.s3_at(location).await?.get_bucket_request_payment();
            let request = request
                .bucket(location.bucket.as_str())
                .expected_bucket_owner(location.owner.as_str());
            let response = request
                .send()
                .await
                .map_err(CallError::from)
                .map_err(on_bucket("GetBucketRequestPayment", location))?;
            Ok(response.payer() == Some(&Payer::Requester))
        })
        .await
    }

    async fn owner_id(&self, location: &BucketLocation) -> Result<String, ApiError> {
        self.in_session(&location.access, async || {
            let request = self.s3_at(location).await?.get_bucket_acl();
            let request = request
                .bucket(location.bucket.as_str())
                .expected_bucket_owner(location.owner.as_str());
            let response = request
                .send()
                .await
                .map_err(CallError::from)
                .map_err(on_bucket("GetBucketAcl", location))?;
            response.owner.and_then(|owner| owner.id).ok_or_else(|| {
                malformed_response(
                    "GetBucketAcl",
                    format!("bucket `{}`", location.bucket),
                    "the answer has no owner",
                )
            })
        })
        .await
    }

    async fn first_objects(
        &self,
        location: &BucketLocation,
        prefix: &str,
        count: u16,
    ) -> Result<Vec<ListedObject>, ApiError> {
        self.in_session(&location.access, async || {
            let request = self.s3_at(location).await?.list_objects_v2();
            let request = request
                .bucket(location.bucket.as_str())
                .expected_bucket_owner(location.owner.as_str())
                .prefix(prefix)
                .fetch_owner(true)
                .max_keys(i32::from(count));
            let response = request
                .send()
                .await
                .map_err(CallError::from)
                .map_err(on_bucket("ListObjectsV2", location))?;
            let listed = |object: aws_sdk_s3::types::Object| {
                let owner = object.owner.and_then(|owner| owner.id);
                Some(ListedObject { key: object.key?, owner })
            };
            Ok(response.contents.unwrap_or_default().into_iter().filter_map(listed).collect())
        })
        .await
    }

    async fn object(
        &self,
        location: &BucketLocation,
        key: &str,
    ) -> Result<Option<SampledObject>, ApiError> {
        self.in_session(&location.access, async || {
            let request = self.s3_at(location).await?.head_object();
            let request = request
                .bucket(location.bucket.as_str())
                .expected_bucket_owner(location.owner.as_str())
                .key(key);
            let response = match request.send().await.map_err(CallError::from) {
                Ok(response) => response,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => {
                    return Err(error.into_error("HeadObject", object_resource(location, key)));
                }
            };
            let is_kms = matches!(
                response.server_side_encryption(),
                Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse)
            );
            let dual_layer =
                matches!(response.server_side_encryption(), Some(ServerSideEncryption::AwsKmsDsse));
            let written = response.last_modified.map(|written| written.secs());
            Ok(Some(SampledObject {
                key: key.to_owned(),
                replication: replication(response.replication_status(), || {
                    object_resource(location, key)
                })?,
                bucket_key: response.bucket_key_enabled().unwrap_or(false),
                dual_layer,
                storage_class: response
                    .storage_class
                    .unwrap_or(StorageClass::Standard)
                    .as_str()
                    .to_owned(),
                last_modified: written.and_then(|secs| u64::try_from(secs).ok()).unwrap_or(0),
                kms_key: response.ssekms_key_id.filter(|_| is_kms),
            }))
        })
        .await
    }

    async fn managed_policy(&self, arn: &str) -> Result<Option<String>, ApiError> {
        Box::pin(iam::managed_policy(&self.iam, arn)).await
    }

    async fn simulate(&self, role_arn: &str, call: &SimulatedCall) -> Result<Simulation, ApiError> {
        Box::pin(iam::simulate(&self.iam, role_arn, call)).await
    }

    async fn grants(
        &self,
        arn: &str,
        region: &Region,
        access: &Access,
    ) -> Result<Vec<KeyGrant>, ApiError> {
        self.in_session(access, async || {
            let pages = self.kms(region, access).await?.list_grants().key_id(arn);
            let grants: Vec<aws_sdk_kms::types::GrantListEntry> =
                pages.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(
                    |error| CallError::from(error).into_error("ListGrants", format!("key `{arn}`")),
                )?;
            Ok(grants.into_iter().filter_map(key_grant).collect())
        })
        .await
    }

    async fn replication_metrics(
        &self,
        rule: &MeteredRule,
        now: u64,
    ) -> Result<ReplicationMetrics, ApiError> {
        let queries = [
            ("failed", "OperationsFailedReplication", "Sum"),
            ("pending", "OperationsPendingReplication", "Maximum"),
            ("latency", "ReplicationLatency", "Maximum"),
        ]
        .map(|(id, name, statistic)| query(id, name, statistic, rule));
        let time = |secs: u64| DateTime::from_secs(i64::try_from(secs).unwrap_or_default());
        let request = self
            .cloudwatch(&rule.region)
            .get_metric_data()
            .set_metric_data_queries(Some(queries.into()))
            .start_time(time(now.saturating_sub(DAY)))
            .end_time(time(now));
        let response = Box::pin(request.send()).await.map_err(|error| {
            let resource = format!("the metrics of rule `{}`", rule.rule);
            CallError::from(error).into_error("GetMetricData", resource)
        })?;
        let results = response.metric_data_results.unwrap_or_default();
        // The newest value comes first.
        let values = |id: &str| {
            let found = results.iter().find(|result| result.id() == Some(id));
            found.map(|result| result.values()).unwrap_or_default()
        };
        let newest = |id: &str| values(id).first().copied().unwrap_or_default();
        Ok(ReplicationMetrics {
            failed: values("failed").iter().sum(),
            pending: newest("pending"),
            latency: newest("latency"),
        })
    }
}

fn query(id: &str, name: &str, statistic: &str, rule: &MeteredRule) -> MetricDataQuery {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace("AWS/S3")
        .metric_name(name)
        .dimensions(dimension("SourceBucket", rule.source.as_str()))
        .dimensions(dimension("DestinationBucket", rule.destination.as_str()))
        .dimensions(dimension("RuleId", &rule.rule))
        .build();
    let statistic = MetricStat::builder().metric(metric).period(PERIOD).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(statistic).build()
}

/// A grant to a principal; `None` for a grant that names none.
fn key_grant(grant: aws_sdk_kms::types::GrantListEntry) -> Option<KeyGrant> {
    let sorted = |pairs: Option<HashMap<String, String>>| -> BTreeMap<String, String> {
        pairs.unwrap_or_default().into_iter().collect()
    };
    let constraints = grant.constraints;
    let operations = grant.operations.unwrap_or_default();
    Some(KeyGrant {
        id: grant.grant_id.unwrap_or_default(),
        grantee: grant.grantee_principal?,
        operations: operations.iter().map(|operation| operation.as_str().to_owned()).collect(),
        context_subset: sorted(
            constraints.as_ref().and_then(|found| found.encryption_context_subset.clone()),
        ),
        context_equals: sorted(
            constraints.and_then(|constraints| constraints.encryption_context_equals),
        ),
    })
}
