//! The requests about S3 Batch Operations jobs.

use s3_kms_replication::ports::Executed;

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
    let mut apply = sample("command-apply");
    for more in [crate::jobs::properties(), changes] {
        apply.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    planned(crate::jobs::buckets(), &apply)
        .await
        .into_iter()
        .find(|action| matches!(action, Action::StartJob { .. }))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_is_started_noted_looked_at_cancelled_and_forgotten_with_exactly_these_requests() {
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
        PolicyName::for_job(&RuleId::named("x").unwrap()),
    );
    assert_eq!(
        aws.execute(&Action::UntagRole { role, tag, before: String::new() }).await,
        Ok(Executed::Done)
    );
    assert_snapshot!(sent(&replay));
}

#[tokio::test(start_paused = true)]
async fn a_job_is_known_again_by_what_was_asked_of_this_very_role() {
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
async fn an_emulator_on_this_machine_needs_no_host_for_each_account() {
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
async fn a_job_that_is_gone_is_none_and_needs_not_be_cancelled() {
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
