//! Events of S3's management API and of S3 Batch Operations, as CloudTrail puts them on EventBridge's default bus.
//!
//! It owns the choice of relevant events. It must not know what is done about them. Only the fields that are needed are read, and all
//! but the names of the event and the bucket may be absent, since CloudTrail's records differ by client and by action. See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html> and, for jobs,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-event-bridge-cloud-trail.html>

use std::time::{Duration, SystemTime};

use aws_sdk_s3control::types::JobStatus;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use crate::model::{Account, BucketName, Region, is_final};
use crate::spec::CatchUp;

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
    /// A message of this function: it is time to look for objects that a rule has missed.
    CatchUp(CatchUp),
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
    /// When the call was made; `None` if the event does not say it.
    pub time: Option<SystemTime>,
}

impl BucketEvent {
    /// Whether the call was made less than `limit` before `now`.
    pub fn is_younger_than(&self, limit: Duration, now: SystemTime) -> bool {
        self.time.is_some_and(|time| now.duration_since(time).unwrap_or_default() < limit)
    }
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
    source: Option<String>,
    account: Option<String>,
    region: Option<String>,
    time: Option<String>,
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
    event_time: Option<String>,
    /// Left out, or replaced by `{"omitted": true}`, if it is larger than CloudTrail keeps.
    request_parameters: Option<RequestParameters>,
    resources: Option<Vec<Resource>>,
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

/// A resource that the call has accessed.
#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "ARN")]
    arn: Option<String>,
}

const S3: &str = "s3.amazonaws.com";
const BUCKET: &str = "AWS::S3::Bucket";

/// The `source` of S3's events, also of those about jobs. Whoever may put events on the bus can choose any source but those of AWS.
const SOURCE: &str = "aws.s3";
const API_CALL: &str = "AWS API Call via CloudTrail";
const JOB_EVENT: &str = "JobStatusChanged";
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
    event.read(execution_role)
}

/// Why an event is ignored.
type IgnoreReason = String;

impl Envelope {
    /// Reads the event.
    fn read(self, execution_role: Option<&str>) -> Result<Event, Error> {
        let bucket = self.detail.bucket().unwrap_or_default().to_owned();
        if let Err(reason) = self.check_relevant(execution_role) {
            return Ok(Event::Ignored { bucket, reason });
        }
        let detail = self.detail;
        let region = detail.aws_region.as_deref().or(self.region.as_deref());
        let region = region.and_then(|region| Region::parse(region).ok());
        let account = detail.recipient_account_id.as_deref().or(self.account.as_deref());
        let account = account.and_then(|account| Account::parse(account).ok());
        if detail.event_name == JOB_EVENT {
            return Ok(match detail.ended_job()? {
                Ok(id) => Event::Job(JobEvent { id, region, account }),
                Err(reason) => Event::Ignored { bucket, reason },
            });
        }
        if bucket.is_empty() {
            return Err(unreadable(format!(
                "is a `{}` event that names no bucket, neither in `requestParameters` nor in `resources`",
                detail.event_name
            )));
        }
        let deleted = detail.event_name == "DeleteBucket";
        let time = detail.event_time.or(self.time);
        let time = time.as_deref().and_then(parse_time);
        Ok(match BucketName::parse_name_or_arn(&bucket) {
            Ok(bucket) => Event::Bucket(BucketEvent { bucket, region, account, deleted, time }),
            Err(problem) => {
                Event::Ignored { bucket, reason: format!("the bucket's name {problem}") }
            }
        })
    }

    /// Checks that the event is one of S3 about general purpose buckets, and that something was changed by another than this function.
    fn check_relevant(&self, execution_role: Option<&str>) -> Result<(), IgnoreReason> {
        let detail = &self.detail;
        if let Some(service) = detail.event_source.as_deref().filter(|service| *service != S3) {
            return Err(format!("the event is of `{service}`, not of a general purpose bucket"));
        }
        let source = self.source.as_deref().unwrap_or_default();
        if source != SOURCE {
            return Err(format!("the event's source is `{source}`; S3's events have `{SOURCE}`"));
        }
        if detail.event_name == JOB_EVENT { Ok(()) } else { detail.check_relevant(execution_role) }
    }
}

fn unreadable(problem: String) -> Error {
    Error::UnknownPayload(problem)
}

fn parse_time(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

impl Detail {
    /// The bucket's name or ARN; `None` if the event has none.
    fn bucket(&self) -> Option<&str> {
        let parameters = self.request_parameters.as_ref();
        let parameter = parameters.and_then(|parameters| {
            parameters.bucket_name.as_ref().or(parameters.resource_arn.as_ref())
        });
        let resource = self
            .resources
            .iter()
            .flatten()
            .find(|resource| resource.kind.as_deref() == Some(BUCKET))
            .and_then(|resource| resource.arn.as_ref());
        parameter.or(resource).map(String::as_str).filter(|bucket| !bucket.is_empty())
    }

    /// The id of the job that has ended, or why the event is ignored.
    fn ended_job(self) -> Result<Result<String, IgnoreReason>, Error> {
        let job = self.service_event_details;
        let (Some(id), Some(status)) = job.map(|job| (job.job_id, job.status)).unwrap_or_default()
        else {
            return Err(unreadable(format!(
                "is a `{JOB_EVENT}` event without `jobId` and `status` in `serviceEventDetails`"
            )));
        };
        let has_ended = is_final(&JobStatus::from(status.as_str()));
        Ok(has_ended.then_some(id).ok_or_else(|| format!("a job that is `{status}` has not ended")))
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
