//! Events of S3's management API and of S3 Batch Operations, as CloudTrail puts them on EventBridge's default bus.
//!
//! This module owns the choice of relevant events. It must not know what is done about them. Only the fields that are needed are read, and all
//! but the names of the event and the bucket may be absent, since CloudTrail's records differ by client and by action. See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html> and, for jobs,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-event-bridge-cloud-trail.html>

use aws_sdk_s3control::types::JobStatus;
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use crate::model::{Account, BucketName, Region, is_final};

/// The events that can change a bucket's replication, or something that replication depends on.
const RELEVANT: [&str; 11] = [
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketEncryption",
    "DeleteBucketReplication",
    "DeleteBucketTagging",
    "PutBucketEncryption",
    "PutBucketReplication",
    "PutBucketTagging",
    "PutBucketVersioning",
    "TagResource",
    "UntagResource",
];

/// A relevant event, or the reason why an event is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A bucket may need to be reconciled.
    Bucket(BucketEvent),
    /// A job has ended.
    Job(JobEvent),
    /// The event is not relevant.
    Ignored {
        /// The bucket, as the event names it.
        bucket: String,
        /// Why the event is ignored.
        reason: String,
    },
}

/// A change of a bucket, after which the bucket may need to be reconciled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEvent {
    /// The bucket.
    pub bucket: BucketName,
    /// The Region of the event, which is probably the bucket's.
    pub region: Option<Region>,
    /// The account of the event.
    pub account: Option<Account>,
    /// Whether the bucket was deleted.
    pub deleted: bool,
}

/// The end of a job. The event does not name the job's rule, which has to be read from S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// The job's id.
    pub id: String,
    /// The job's Region.
    pub region: Option<Region>,
    /// The job's account.
    pub account: Option<Account>,
}

#[derive(Deserialize)]
struct Envelope {
    account: Option<String>,
    region: Option<String>,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_name: String,
    event_source: Option<String>,
    aws_region: Option<String>,
    recipient_account_id: Option<String>,
    error_code: Option<String>,
    user_identity: Option<UserIdentity>,
    request_parameters: Option<RequestParameters>,
    service_event_details: Option<ServiceEventDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceEventDetails {
    job_id: Option<String>,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity {
    session_context: Option<SessionContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext {
    session_issuer: Option<SessionIssuer>,
}

#[derive(Deserialize)]
struct SessionIssuer {
    arn: Option<String>,
}

#[derive(Deserialize)]
struct RequestParameters {
    #[serde(rename = "bucketName")]
    bucket_name: Option<String>,
    #[serde(rename = "resourceArn", alias = "ResourceArn")]
    resource_arn: Option<String>,
}

const S3: &str = "s3.amazonaws.com";
const API_CALL: &str = "AWS API Call via CloudTrail";
const SERVICE_EVENT: &str = "AWS Service Event via CloudTrail";

/// Reads an EventBridge event. `execution_role` is the ARN of the function's role.
pub(super) fn read(payload: &Value, execution_role: Option<&str>) -> Result<Event, Error> {
    let detail_type = payload.get("detail-type").and_then(Value::as_str).unwrap_or_default();
    if ![API_CALL, SERVICE_EVENT].contains(&detail_type) {
        let problem = format!(
            "is an event of the type `{detail_type}`; known are `{API_CALL}` and `{SERVICE_EVENT}`"
        );
        return Err(Error::UnknownPayload(problem));
    }
    let event = Envelope::deserialize(payload)
        .map_err(|error| Error::UnknownPayload(format!("is no CloudTrail event: {error}")))?;
    let bucket = event.detail.bucket();
    let read = event.read(&bucket, execution_role);
    Ok(read.unwrap_or_else(|reason| Event::Ignored { bucket, reason }))
}

/// Why an event is ignored.
type IgnoreReason = String;

impl Envelope {
    /// Reads the event about `bucket`.
    fn read(self, bucket: &str, execution_role: Option<&str>) -> Result<Event, IgnoreReason> {
        let detail = self.detail;
        if let Some(source) = detail.event_source.as_deref().filter(|source| *source != S3) {
            return Err(format!("the event is of `{source}`, not of a general purpose bucket"));
        }
        let region = detail.aws_region.as_deref().or(self.region.as_deref());
        let region = region.and_then(|region| Region::parse(region).ok());
        let account = detail.recipient_account_id.as_deref().or(self.account.as_deref());
        let account = account.and_then(|account| Account::parse(account).ok());
        if detail.event_name == "JobStatusChanged" {
            let id = detail.ended_job()?;
            return Ok(Event::Job(JobEvent { id, region, account }));
        }
        detail.check_relevant(execution_role)?;
        let bucket = BucketName::parse_name_or_arn(bucket)
            .map_err(|problem| format!("the bucket's name {problem}"))?;
        let deleted = detail.event_name == "DeleteBucket";
        Ok(Event::Bucket(BucketEvent { bucket, region, account, deleted }))
    }
}

impl Detail {
    /// The bucket's name or ARN; empty if the event has none.
    fn bucket(&self) -> String {
        let parameters = self.request_parameters.as_ref();
        let bucket = parameters.and_then(|parameters| {
            parameters.bucket_name.as_ref().or(parameters.resource_arn.as_ref())
        });
        bucket.cloned().unwrap_or_default()
    }

    /// The id of the job that has ended.
    fn ended_job(self) -> Result<String, IgnoreReason> {
        let job = self.service_event_details;
        let (id, status) =
            job.map(|job| (job.job_id, job.status.unwrap_or_default())).unwrap_or_default();
        id.filter(|_| is_final(&JobStatus::from(status.as_str())))
            .ok_or_else(|| format!("a job that is `{status}` has not ended"))
    }

    /// Checks that the call may have changed the replication of a bucket, and was not made by this function.
    fn check_relevant(&self, execution_role: Option<&str>) -> Result<(), IgnoreReason> {
        let name = &self.event_name;
        if !RELEVANT.contains(&name.as_str()) {
            return Err(format!("`{name}` changes nothing that replication depends on"));
        }
        if let Some(code) = &self.error_code {
            return Err(format!("the call failed with `{code}`"));
        }
        let context =
            self.user_identity.as_ref().and_then(|identity| identity.session_context.as_ref());
        let issuer = context
            .and_then(|context| context.session_issuer.as_ref())
            .and_then(|issuer| issuer.arn.as_deref());
        if issuer.is_some() && issuer == execution_role {
            return Err("the event is of our own making".to_owned());
        }
        Ok(())
    }
}
