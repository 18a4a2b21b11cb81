//! S3 Control: S3 Batch Operations jobs.

use aws_config::SdkConfig;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::types::{
    JobManifestGenerator, JobManifestGeneratorFilter, JobOperation, JobReport, JobReportFormat,
    JobReportScope, KeyNameConstraint, ReplicationStatus, RequestedJobStatus,
    S3JobManifestGenerator, S3ReplicateObjectOperation,
};
use aws_sdk_s3control::{Client, Config};

use super::sdk_error::{Cause, malformed};
use super::whole_answer::WholeAnswer;
use crate::model::{Account, ApiError, Job, Location, Partition, Region, is_loopback};
use crate::plan::NewJob;

/// Jobs of an account have priorities among themselves; ours are all alike.
const PRIORITY: i32 = 10;

/// An endpoint on this machine: the SDK would put the account before its name, and no such host could be found.
#[derive(Debug)]
struct Loopback(String);

impl ResolveEndpoint for Loopback {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

pub(super) fn client(config: &SdkConfig, region: &Region) -> Client {
    let is_here =
        |url: &&str| url.parse::<http::Uri>().is_ok_and(|url| url.host().is_some_and(is_loopback));
    let control = Config::from(config)
        .to_builder()
        .region(super::sdk_region(region))
        .interceptor(WholeAnswer)
        .retry_classifier(WholeAnswer);
    Client::from_conf(match config.endpoint_url().filter(is_here) {
        Some(url) => control.endpoint_resolver(Loopback(url.to_owned())).build(),
        None => control.build(),
    })
}

/// Starts a job, or finds the one that was started with the same token; its id.
pub(super) async fn create(
    client: &Client,
    job: &NewJob,
    partition: Partition,
    token: String,
) -> Result<String, Cause> {
    let owner = job.location.owner.as_str();
    let prefix = Some(job.prefix.clone()).filter(|prefix| !prefix.is_empty());
    let filter = JobManifestGeneratorFilter::builder()
        .eligible_for_replication(true)
        .object_replication_statuses(ReplicationStatus::None)
        .object_replication_statuses(ReplicationStatus::Failed)
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
            manifest.build().map_err(Cause::unsendable)?,
        ))
        .report(report.build())
        .priority(PRIORITY)
        .role_arn(&job.role_arn)
        .description(job.description())
        .client_request_token(token);
    request.send().await?.job_id.ok_or_else(Cause::empty_answer)
}

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
        .map_err(Cause::from)
    {
        Ok(answer) => {
            let job = answer.job.ok_or_else(|| malformed(operation, &resource, "no job"))?;
            let status = job.status.ok_or_else(|| malformed(operation, &resource, "no status"))?;
            Ok(Some(Job { description: job.description.unwrap_or_default(), status }))
        }
        Err(cause) if is_not_there(&cause) => Ok(None),
        Err(cause) => Err(cause.into_error(operation, resource)),
    }
}

/// A job that is gone need not be cancelled.
pub(super) async fn cancel(client: &Client, location: &Location, id: &str) -> Result<(), Cause> {
    let request = client.update_job_status().account_id(location.owner.as_str()).job_id(id);
    match request
        .requested_job_status(RequestedJobStatus::Cancelled)
        .send()
        .await
        .map_err(Cause::from)
    {
        Err(cause) if !is_not_there(&cause) => Err(cause),
        _ => Ok(()),
    }
}

fn is_not_there(cause: &Cause) -> bool {
    cause.is_not_found() || matches!(cause.code(), "NoSuchJob" | "NotFoundException")
}
