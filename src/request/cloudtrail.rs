//! Events of S3's management API and of S3 Batch Operations, as CloudTrail puts them on EventBridge's default bus.
//!
//! Only what is needed is read, and everything but the event's and the bucket's name may be absent: CloudTrail's records differ by
//! client and by action. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html> and, for jobs,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-event-bridge-cloud-trail.html>

use aws_sdk_s3control::types::JobStatus;
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use crate::model::{Account, BucketName, Region, is_end};

/// The events after which a bucket's replication may no longer be as it should.
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

/// An event, or the reason why it asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something that matters happened to a bucket.
    Bucket(BucketEvent),
    /// A job has ended.
    Job(JobEvent),
    /// Nothing that matters happened.
    Ignored {
        /// The bucket, as the event names it.
        bucket: String,
        /// Why the event is skipped.
        reason: String,
    },
}

/// Something that matters happened to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEvent {
    /// The bucket.
    pub bucket: BucketName,
    /// The Region in which it happened; a hint for the bucket's own.
    pub region: Option<Region>,
    /// The account in which it happened.
    pub account: Option<Account>,
    /// Whether the bucket was deleted.
    pub deleted: bool,
}

/// A job has ended: whose it is, S3 has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// The job's id.
    pub id: String,
    /// The Region in which it ran.
    pub region: Option<Region>,
    /// The account in which it ran.
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

const API_CALL: &str = "AWS API Call via CloudTrail";
const SERVICE_EVENT: &str = "AWS Service Event via CloudTrail";

/// Reads an EventBridge event. `execution_role` is the ARN of the role whose calls are our own.
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
    let detail = event.detail;
    let parameters = detail.request_parameters;
    let named = parameters
        .and_then(|parameters| parameters.bucket_name.or(parameters.resource_arn))
        .unwrap_or_default();
    let nothing = |reason: String| Ok(Event::Ignored { bucket: named.clone(), reason });

    if detail.event_source.as_deref().is_some_and(|source| source != "s3.amazonaws.com") {
        return nothing(format!(
            "the event is of `{}`, not of a general purpose bucket",
            detail.event_source.unwrap_or_default()
        ));
    }
    let region = detail.aws_region.or(event.region).and_then(|region| Region::parse(&region).ok());
    let account = detail
        .recipient_account_id
        .or(event.account)
        .and_then(|account| Account::parse(&account).ok());
    if detail.event_name == "JobStatusChanged" {
        let job = detail.service_event_details;
        let (id, status) =
            job.map(|job| (job.job_id, job.status.unwrap_or_default())).unwrap_or_default();
        return match id.filter(|_| is_end(&JobStatus::from(status.as_str()))) {
            Some(id) => Ok(Event::Job(JobEvent { id, region, account })),
            None => nothing(format!("a job that is `{status}` has not ended")),
        };
    }
    if !RELEVANT.contains(&detail.event_name.as_str()) {
        return nothing(format!(
            "`{}` changes nothing that replication depends on",
            detail.event_name
        ));
    }
    if let Some(code) = detail.error_code {
        return nothing(format!("the call failed with `{code}`"));
    }
    let issuer = detail
        .user_identity
        .and_then(|identity| identity.session_context)
        .and_then(|context| context.session_issuer)
        .and_then(|issuer| issuer.arn);
    if issuer.is_some() && issuer.as_deref() == execution_role {
        return nothing("the event is of our own making".to_owned());
    }
    let bucket = match BucketName::parse_name_or_arn(&named) {
        Ok(bucket) => bucket,
        Err(problem) => return nothing(format!("the bucket's name {problem}")),
    };
    Ok(Event::Bucket(BucketEvent {
        bucket,
        region,
        account,
        deleted: detail.event_name == "DeleteBucket",
    }))
}
