//! The requests about S3 Batch Operations jobs.

use aws_sdk_s3control::types::JobStatus;
use insta::assert_snapshot;
use s3_kms_replication::model::{Account, InlinePolicyName, Job, Region, Retry, RoleName, RuleId};
use s3_kms_replication::plan::Action;
use s3_kms_replication::ports::Executed;
use serde_json::{Value, json};

use super::*;

const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/function/x</Arn>\
    <UserId>x</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

fn role_answer(id: &str) -> String {
    format!(
        "<GetRoleResponse><GetRoleResult><Role><Path>/s3-kms-replication/</Path><RoleName>s3-crr-demo-source</RoleName><RoleId>{id}</RoleId>\
        <Arn>arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source</Arn><CreateDate>2026-11-20T12:00:00Z</CreateDate></Role>\
        </GetRoleResult></GetRoleResponse>"
    )
}

async fn job_to_start(changes: Value) -> Action {
    let apply = merged(merged(sample("command-apply"), job_properties()), changes);
    planned(with_report_bucket(), &apply)
        .await
        .into_iter()
        .find(|action| matches!(action, Action::StartJob { .. }))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn job_is_started_noted_read_cancelled_and_untagged_with_the_recorded_requests() {
    let role = role_answer("AROAEXAMPLE");
    let described = "<DescribeJobResult><Job><JobId>job-1</JobId><Description>demo-source/s3-kms-replication.x</Description>\
        <Status>Preparing</Status></Job></DescribeJobResult>";
    let (created, cancelled) = (
        "<CreateJobResult><JobId>job-1</JobId></CreateJobResult>",
        "<UpdateJobStatusResult><JobId>job-1</JobId><Status>Cancelling</Status></UpdateJobStatusResult>",
    );
    let (aws, replay) = aws(&[
        ok(CALLER),
        ok(&role),
        ok(created),
        ok("<A/>"),
        ok(described),
        ok(cancelled),
        ok("<A/>"),
    ]);
    assert_eq!(
        aws.execute(&job_to_start(json!({})).await).await,
        Ok(Executed::JobStarted("job-1".to_owned()))
    );
    let (region, account) = (Region::parse("eu-west-1").unwrap(), Account::parse(ACCOUNT).unwrap());
    let job = Job {
        description: "demo-source/s3-kms-replication.x".to_owned(),
        status: JobStatus::Preparing,
    };
    assert_eq!(aws.job("job-1", &region, &account).await, Ok(Some(job)));
    let (id, before) = ("job-1".to_owned(), "Preparing".to_owned());
    assert_eq!(
        aws.execute(&Action::CancelJob { location: at("demo-source", "eu-west-1"), id, before })
            .await,
        Ok(Executed::Done)
    );
    let (role, tag) = (
        RoleName::for_source(&bucket("demo-source")),
        InlinePolicyName::for_job(&RuleId::named("x").unwrap()),
    );
    assert_eq!(
        aws.execute(&Action::UntagRole { role, tag, before: String::new() }).await,
        Ok(Executed::Done)
    );
    assert_snapshot!(sent(&replay));
}

#[tokio::test(start_paused = true)]
async fn job_token_depends_on_the_request_and_the_role_id() {
    let token = async |changes: Value, role_id: &str| {
        let Action::StartJob { job } = job_to_start(changes).await else { panic!("no job") };
        job.token(role_id)
    };
    let same = token(json!({}), "AROA1").await;
    assert_eq!(
        (same.len(), &same),
        (64, &token(json!({"ReportPrefix": "crr", "StorageClass": "GLACIER"}), "AROA1").await)
    );
    let mut tokens = vec![same, token(json!({}), "AROA2").await];
    for changes in [
        json!({"ReportPrefix": "other"}),
        json!({"ReportBucket": "demo-destination"}),
        json!({"Prefix": "Invoices"}),
        json!({"Tags": {"a": "b"}}),
        json!({"Tags": {"ab": ""}}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}),
        json!({"Name": "other"}),
        json!({"SourceBucket": "prod-orders"}),
    ] {
        tokens.push(token(changes, "AROA1").await);
    }
    let count = tokens.len();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), count);
}

#[tokio::test]
async fn local_endpoint_has_no_account_in_its_host() {
    let (region, account) = (Region::parse("us-east-1").unwrap(), Account::parse(ACCOUNT).unwrap());
    for (endpoint, host) in [
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("https://vpce.example", "https://111122223333.vpce.example"),
    ] {
        let (aws, replay) = aws_at(
            Some(endpoint),
            RetryConfig::disabled(),
            &[ok("<DescribeJobResult><Job><Status>New</Status></Job></DescribeJobResult>")],
        );
        aws.job("job-1", &region, &account).await.unwrap();
        assert_eq!(
            replay.actual_requests().next().unwrap().uri(),
            format!("{host}/v20180820/jobs/job-1")
        );
    }
}

#[tokio::test]
async fn missing_job_is_none_and_its_cancellation_succeeds() {
    let gone = |code: &str| {
        format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
        )
    };
    let (region, account) = (Region::parse("us-east-1").unwrap(), Account::parse(ACCOUNT).unwrap());
    let cancel = Action::CancelJob {
        location: at("demo-source", "us-east-1"),
        id: "job-1".to_owned(),
        before: "Active".to_owned(),
    };
    for (status, code) in [(404, "NoSuchJob"), (400, "NotFoundException")] {
        let answer = || aws(&[(status, None, &gone(code))]).0;
        assert_eq!(answer().job("job-1", &region, &account).await, Ok(None));
        assert_eq!(answer().execute(&cancel).await, Ok(Executed::Done));
    }
    let denied = aws(&[(403, None, &gone("AccessDenied"))])
        .0
        .job("job-1", &region, &account)
        .await
        .unwrap_err();
    assert_snapshot!(denied, @"DescribeJob on job `job-1`: AccessDenied: m");
    let ended =
        aws(&[(400, None, &gone("JobStatusException"))]).0.execute(&cancel).await.unwrap_err();
    assert_eq!(ended.retry, Retry::Replan);
}
