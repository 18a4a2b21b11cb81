//! S3 Control: S3 Batch Operations jobs.
//!
//! It must not know when a rule needs a job: [`crate::plan`] decides that.

use aws_config::SdkConfig;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::types::{
    JobManifestGenerator, JobManifestGeneratorFilter, JobOperation, JobReport, JobReportFormat,
    JobReportScope, KeyNameConstraint, ReplicationStatus, RequestedJobStatus,
    S3JobManifestGenerator, S3ReplicateObjectOperation,
};
use aws_sdk_s3control::{Client, Config};

use super::sdk_error::{CallError, malformed_response};
use super::whole_answer::WholeAnswer;
use crate::model::{Account, ApiError, BucketLocation, Job, Partition, is_loopback};
use crate::plan::{NewJob, ObjectSelection};

/// The priority among the account's jobs. All jobs of this program have the same.
const PRIORITY: i32 = 10;

/// Resolves to an endpoint on this machine. The SDK would prefix its host name with the account, and that name does not resolve.
#[derive(Debug)]
struct LoopbackEndpoint(String);

impl ResolveEndpoint for LoopbackEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

/// A client that refuses answers that are not whole.
pub(super) fn client(config: &SdkConfig) -> Client {
    let is_on_this_machine =
        |url: &&str| url.parse::<http::Uri>().is_ok_and(|url| url.host().is_some_and(is_loopback));
    let builder =
        Config::from(config).to_builder().interceptor(WholeAnswer).retry_classifier(WholeAnswer);
    Client::from_conf(match config.endpoint_url().filter(is_on_this_machine) {
        Some(url) => builder.endpoint_resolver(LoopbackEndpoint(url.to_owned())).build(),
        None => builder.build(),
    })
}

/// Starts a job and returns its id. A job that was already started with the same token is not started again.
pub(super) async fn create_job(
    client: &Client,
    job: &NewJob,
    partition: Partition,
    token: String,
) -> Result<String, CallError> {
    let owner = job.location.owner.as_str();
    let prefix = Some(job.prefix.clone()).filter(|prefix| !prefix.is_empty());
    let filter = JobManifestGeneratorFilter::builder()
        .eligible_for_replication(true)
        .set_object_replication_statuses(Some(match job.selection {
            ObjectSelection::Unreplicated => {
                vec![ReplicationStatus::None, ReplicationStatus::Failed]
            }
            ObjectSelection::Failed => vec![ReplicationStatus::Failed],
        }))
        .set_key_name_constraint(
            prefix.map(|prefix| KeyNameConstraint::builder().match_any_prefix(prefix).build()),
        );
    let manifest = S3JobManifestGenerator::builder()
        .expected_bucket_owner(owner)
        .source_bucket(job.location.bucket.arn(partition))
        .enable_manifest_output(false)
        .filter(filter.build());
    let report = JobReport::builder()
        .enabled(true)
        .bucket(job.report.bucket.arn(partition))
        .set_prefix(Some(job.report.prefix.clone()).filter(|prefix| !prefix.is_empty()))
        .format(JobReportFormat::ReportCsv20180820)
        .report_scope(JobReportScope::FailedTasksOnly)
        .expected_bucket_owner(owner);
    let request = client
        .create_job()
        .account_id(owner)
        .confirmation_required(false)
        .operation(
            JobOperation::builder()
                .s3_replicate_object(S3ReplicateObjectOperation::builder().build())
                .build(),
        )
        .manifest_generator(JobManifestGenerator::S3JobManifestGenerator(
            manifest.build().map_err(CallError::unsendable)?,
        ))
        .report(report.build())
        .priority(PRIORITY)
        .role_arn(&job.role_arn)
        .description(job.description())
        .client_request_token(token);
    request.send().await?.job_id.ok_or_else(CallError::empty_response)
}

/// Reads a job; `None` when there is no such job.
pub(super) async fn job(
    client: &Client,
    id: &str,
    account: &Account,
) -> Result<Option<Job>, ApiError> {
    let (operation, resource) = ("DescribeJob", format!("job `{id}`"));
    match client
        .describe_job()
        .account_id(account.as_str())
        .job_id(id)
        .send()
        .await
        .map_err(CallError::from)
    {
        Ok(response) => {
            let job =
                response.job.ok_or_else(|| malformed_response(operation, &resource, "no job"))?;
            let status =
                job.status.ok_or_else(|| malformed_response(operation, &resource, "no status"))?;
            Ok(Some(Job { description: job.description.unwrap_or_default(), status }))
        }
        Err(cause) if is_job_not_found(&cause) => Ok(None),
        Err(cause) => Err(cause.into_error(operation, resource)),
    }
}

/// Cancels a job. A job that does not exist is success.
pub(super) async fn cancel_job(
    client: &Client,
    location: &BucketLocation,
    id: &str,
) -> Result<(), CallError> {
    let request = client.update_job_status().account_id(location.owner.as_str()).job_id(id);
    match request
        .requested_job_status(RequestedJobStatus::Cancelled)
        .send()
        .await
        .map_err(CallError::from)
    {
        Err(cause) if !is_job_not_found(&cause) => Err(cause),
        _ => Ok(()),
    }
}

fn is_job_not_found(cause: &CallError) -> bool {
    cause.is_not_found() || matches!(cause.code(), "NoSuchJob" | "NotFoundException")
}
