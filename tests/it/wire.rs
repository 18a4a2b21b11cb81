//! The AWS SDK's side of the seam: the requests that it sends, to the letter, and what it makes of AWS's answers.

use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3control::types::JobStatus;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use insta::assert_snapshot;
use s3_kms_replication::aws::Aws;
use s3_kms_replication::cloud::{
    Acquired, Cloud, CloudError, Encryption, Guarded, Job, Lease, ListedBucket, Location, ObjectVersion, Remedy, Replication, Versioning,
    Versions,
};
use s3_kms_replication::event::{self, Ask};
use s3_kms_replication::plan::{Plan, Step};
use s3_kms_replication::spec::{Access, Account, BucketName, PolicyName, Region, RoleName, RuleId};
use s3_kms_replication::verify::Canary;

use crate::fake::{ACCOUNT, Fake};
use crate::*;

/// Status, a header, and body.
type Answer<'a> = (u16, Option<(&'static str, &'static str)>, &'a str);

/// AWS, answering with these statuses, headers and bodies.
fn aws(answers: &[Answer<'_>]) -> (Aws, StaticReplayClient) {
    aws_at(None, answers)
}

/// The same, or an emulator at `endpoint`.
fn aws_at(endpoint: Option<&str>, answers: &[Answer<'_>]) -> (Aws, StaticReplayClient) {
    let events = answers.iter().map(|(status, header, body)| {
        let mut answer = http::Response::builder().status(*status);
        if let Some((name, value)) = header {
            answer = answer.header(*name, *value);
        }
        let request = http::Request::builder().uri("https://any.example").body(SdkBody::empty()).unwrap();
        ReplayEvent::new(request, answer.body(SdkBody::from(*body)).unwrap())
    });
    let replay = StaticReplayClient::new(events.collect());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(SdkRegion::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test")))
        .http_client(replay.clone())
        .retry_config(aws_config::retry::RetryConfig::disabled());
    let config = endpoint.into_iter().fold(config, |config, endpoint| config.endpoint_url(endpoint)).build();
    (Aws::new(config, SharedHttpConnector::new(replay.clone())), replay)
}

fn ok(body: &str) -> Answer<'_> {
    (200, None, body)
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn at(name: &str, region: &str) -> Location {
    Location { bucket: bucket(name), region: Region::parse(region).unwrap(), owner: Account::parse(ACCOUNT).unwrap(), access: Access::Own }
}

/// The requests as a person reads them: method, address, the headers that matter, and the body.
fn sent(replay: &StaticReplayClient) -> String {
    let shown = replay.actual_requests().map(|request| {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for name in [
            "x-amz-expected-bucket-owner",
            "x-amz-account-id",
            "x-amz-target",
            "content-type",
            "x-amz-checksum-mode",
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-tagging",
        ] {
            if let Some(value) = request.headers().get(name) {
                text += &format!("{name}: {value}\n");
            }
        }
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        // DynamoDB's attributes have no order.
        if let Ok(mut json) = serde_json::from_str::<Value>(&body) {
            json.sort_all_objects();
            return text + &serde_json::to_string_pretty(&json).unwrap() + "\n";
        }
        let decoded = percent_encoding::percent_decode_str(&body).decode_utf8_lossy().replace("><", ">\n<");
        text + decoded.trim_end() + "\n"
    });
    shown.collect::<Vec<_>>().join("\n")
}

async fn planned(state: State, payload: &Value) -> Vec<Step> {
    let fake = Fake::of(state);
    let Ask::Command(event::Command::Apply(spec)) = event::read(payload, &settings()).unwrap() else { panic!("no Apply") };
    let settings = settings();
    let deadline = Instant::now() + Duration::from_secs(60);
    let engine = s3_kms_replication::reconcile::Engine { cloud: &fake, settings: &settings, deadline, end: deadline, signed_at: None };
    let plan: Plan = engine.apply(&spec, &settings.region).await.unwrap().plan;
    plan.stages.into_iter().flatten().collect()
}

async fn requests_of(steps: Vec<Step>) -> String {
    let answers: Vec<_> = steps.iter().map(|_| ok("<Answer/>")).collect();
    let (aws, replay) = aws(&answers);
    for step in &steps {
        // IAM's answers are not parsed into anything: that the request went out is what matters here.
        let _ = aws.apply(step).await;
    }
    sent(&replay)
}

#[tokio::test]
async fn the_walk_through_is_applied_with_exactly_these_requests() {
    assert_snapshot!(requests_of(planned(two_buckets(), &sample("command-apply")).await).await);
}

#[tokio::test]
async fn every_option_of_a_rule_is_sent_as_s3_wants_it() {
    let mut command = sample("command-apply");
    let options = json!({
        "Tags": {"b": "2", "a": "1"}, "Priority": 7, "ReplicaModifications": true, "ReplicationTimeControl": true, "StorageClass": "STANDARD_IA",
        "CreateDestinationBucket": true, "DestinationBucket": "new-destination",
    });
    command.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    assert_snapshot!(requests_of(planned(two_buckets(), &command).await).await);
}

/// STS's answer to `AssumeRole`, whose session ends in a year to come.
const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
    <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test]
async fn statements_are_written_into_policies_of_others_as_the_role_that_is_assumed_once() {
    let mut command = sample("command-apply");
    command.as_object_mut().unwrap().extend(cross_account::properties().as_object().unwrap().clone());
    let steps = planned(cross_account::buckets(), &command).await;
    let theirs =
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}"#;
    let of_key = json!({"Policy": theirs, "PolicyName": "default"}).to_string();
    let (aws, replay) = aws(&[ok(SESSION), ok(theirs), ok(""), ok(&of_key), ok("{}")]);
    for step in steps.iter().filter(|step| matches!(step, Step::PutStatement { .. })) {
        aws.apply(step).await.unwrap();
    }
    let tokens = replay.actual_requests().map(|request| request.headers().get("x-amz-security-token"));
    assert_eq!(tokens.collect::<Vec<_>>(), [None, Some("session"), Some("session"), Some("session"), Some("session")]);
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn the_last_statement_takes_the_buckets_policy_with_it_and_what_is_gone_needs_nothing() {
    let location = at("demo-destination", "us-west-2");
    let remove = Step::RemoveStatement { guarded: Guarded::Bucket(location), sid: "Ours".to_owned(), was: String::new() };
    let ours = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Ours","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#;
    let (deletes, replay) = aws(&[ok(ours), (204, None, "")]);
    deletes.apply(&remove).await.unwrap();
    let methods: Vec<String> = replay.actual_requests().map(|request| request.method().to_owned()).collect();
    assert_eq!(methods, ["GET", "DELETE"]);
    for (status, code) in [(404, "NoSuchBucketPolicy"), (404, "NoSuchBucket")] {
        let (nothing, replay) = aws(&[(status, None, &format!("<Error><Code>{code}</Code></Error>"))]);
        nothing.apply(&remove).await.unwrap();
        assert_eq!(replay.actual_requests().count(), 1);
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_said_with_the_parameter() {
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>";
    let (aws, _) = aws(&[(403, None, denied)]);
    let mut command = sample("command-apply");
    command.as_object_mut().unwrap().extend(cross_account::properties().as_object().unwrap().clone());
    let Ask::Command(event::Command::Apply(spec)) = event::read(&command, &settings()).unwrap() else { panic!("no Apply") };
    let failure = aws.bucket_region(&spec.destination, &spec.destination_region, &spec.destination_access).await.unwrap_err();
    assert_snapshot!(failure, @"AssumeRole on role `arn:aws:iam::444455556666:role/replication-setup`: AccessDenied: not authorized; the role must trust whoever assumes it; the template's parameter `DestinationRoleArns` gives this right");
}

#[tokio::test]
async fn foreign_rules_go_back_to_s3_as_they_came() {
    let foreign = "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>arn:aws:iam::111122223333:role/theirs</Role>\
        <Rule><ID>a</ID><Priority>3</Priority><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>\
        <Status>Disabled</Status><SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>\
        <ReplicaModifications><Status>Enabled</Status></ReplicaModifications></SourceSelectionCriteria><ExistingObjectReplication>\
        <Status>Enabled</Status></ExistingObjectReplication><Destination><Bucket>arn:aws:s3:::x</Bucket><Account>444455556666</Account>\
        <StorageClass>GLACIER</StorageClass><AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation>\
        <EncryptionConfiguration><ReplicaKmsKeyID>key</ReplicaKmsKeyID></EncryptionConfiguration><ReplicationTime><Status>Enabled</Status>\
        <Time><Minutes>15</Minutes></Time></ReplicationTime><Metrics><Status>Enabled</Status><EventThreshold><Minutes>15</Minutes>\
        </EventThreshold></Metrics></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>\
        </ReplicationConfiguration>";
    let source = at("demo-source", "us-east-1");
    let (aws, replay) = aws(&[ok(foreign), ok("")]);
    let configuration = aws.replication(&source).await.unwrap().unwrap();
    aws.apply(&Step::PutReplication { location: source, was: None, configuration, rule: RuleId::named("x").unwrap() }).await.unwrap();
    let put = replay.actual_requests().last().unwrap();
    let elements = |xml: &str| {
        let mut elements: Vec<String> = xml.split_inclusive('>').map(str::to_owned).collect();
        elements.sort();
        elements
    };
    assert_eq!(elements(std::str::from_utf8(put.body().bytes().unwrap()).unwrap()), elements(foreign));
}

const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/function/x</Arn>\
    <UserId>x</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

#[tokio::test(start_paused = true)]
async fn a_configuration_is_sent_again_only_while_nobody_else_has_written_it() {
    let xml = |rules: &[&str]| {
        let rule = |id: &&str| {
            format!(
                "<Rule><ID>{id}</ID><Priority>1</Priority><Filter><Prefix>x</Prefix></Filter><Status>Enabled</Status>\
                 <Destination><Bucket>arn:aws:s3:::x</Bucket></Destination></Rule>"
            )
        };
        let rules: String = rules.iter().map(rule).collect();
        format!("<ReplicationConfiguration><Role>arn:aws:iam::111122223333:role/x</Role>{rules}</ReplicationConfiguration>")
    };
    let ours = "s3-kms-replication.dr";
    let (before, written, foreign) = (xml(&["theirs"]), xml(&["theirs", ours]), xml(&["theirs", "new"]));
    let source = at("demo-source", "us-east-1");
    let read = async |text: &str| aws(&[ok(text)]).0.replication(&source).await.unwrap();
    let (was, configuration, rule) = (read(&before).await, read(&written).await.unwrap(), RuleId::named("dr").unwrap());
    let put = Step::PutReplication { location: source.clone(), was: was.clone(), configuration: configuration.clone(), rule: rule.clone() };
    let take_out = Step::PutReplication { location: source.clone(), was: Some(configuration), configuration: was.unwrap(), rule };
    let slow_down = (503, None, "<Error><Code>SlowDown</Code></Error>");
    for (step, answers, is_done, methods) in [
        (&put, vec![slow_down, ok(&before), ok("")], true, "PUT GET PUT"),
        (&put, vec![slow_down, ok(&before), slow_down, ok(&before), slow_down], false, "PUT GET PUT GET PUT"),
        (&put, vec![slow_down, ok(&written)], true, "PUT GET"),
        (&put, vec![slow_down, ok(&foreign)], false, "PUT GET"),
        (&put, vec![slow_down, (403, None, "<Error><Code>AccessDenied</Code></Error>")], false, "PUT GET"),
        (&take_out, vec![slow_down, ok(&before)], true, "PUT GET"),
    ] {
        let (aws, replay) = aws(&answers);
        let result = aws.apply(step).await;
        let sent: Vec<String> = replay.actual_requests().map(|request| request.method().to_owned()).collect();
        assert_eq!((result.is_ok(), sent.join(" ").as_str()), (is_done, methods), "{result:?}");
        // What may still be on its way is as the first try left it.
        assert!(result.is_ok() || result.unwrap_err().remedy == Remedy::Later);
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_others_is_read_again_before_it_is_sent_again() {
    let location = at("demo-destination", "us-west-2");
    let remove = Step::RemoveStatement { guarded: Guarded::Bucket(location), sid: "Ours".to_owned(), was: String::new() };
    let policy = |sids: &[&str]| {
        let statements: Vec<Value> = sids.iter().map(|sid| json!({"Sid": sid, "Effect": "Deny"})).collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    };
    let (before, meanwhile, after) = (policy(&["Ours", "a"]), policy(&["Ours", "a", "b"]), policy(&["a", "b"]));
    let (aws, replay) = aws(&[ok(&before), (500, None, ""), ok(&meanwhile), ok("")]);
    aws.apply(&remove).await.unwrap();
    let last = replay.actual_requests().last().unwrap();
    let sent: Value = serde_json::from_slice(last.body().bytes().unwrap()).unwrap();
    assert_eq!((replay.actual_requests().count(), sent.to_string()), (4, after));
}

fn role_answer(id: &str) -> String {
    format!(
        "<GetRoleResponse><GetRoleResult><Role><Path>/s3-kms-replication/</Path><RoleName>s3-crr-demo-source</RoleName><RoleId>{id}</RoleId>\
        <Arn>arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source</Arn><CreateDate>2026-11-20T12:00:00Z</CreateDate></Role>\
        </GetRoleResult></GetRoleResponse>"
    )
}

async fn job_to_start(changes: Value) -> Step {
    let mut apply = sample("command-apply");
    for more in [crate::jobs::properties(), changes] {
        apply.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    planned(crate::jobs::buckets(), &apply).await.into_iter().find(|step| matches!(step, Step::StartJob { .. })).unwrap()
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
    let (aws, replay) = aws(&[ok(CALLER), ok(&role), ok(created), ok("<A/>"), ok(described), ok(cancelled), ok("<A/>")]);
    assert_eq!(aws.apply(&job_to_start(json!({})).await).await, Ok(Some("job-1".to_owned())));
    let (region, account) = (Region::parse("eu-west-1").unwrap(), Account::parse(ACCOUNT).unwrap());
    let job = Job { description: "demo-source/s3-kms-replication.x".to_owned(), status: JobStatus::Preparing };
    assert_eq!(aws.job("job-1", &region, &account).await, Ok(Some(job)));
    let (id, was) = ("job-1".to_owned(), "Preparing".to_owned());
    assert_eq!(aws.apply(&Step::CancelJob { location: at("demo-source", "eu-west-1"), id, was }).await, Ok(None));
    let (role, tag) = (RoleName::of_source(&bucket("demo-source")), PolicyName::of_job(&RuleId::named("x").unwrap()));
    assert_eq!(aws.apply(&Step::UntagRole { role, tag, was: String::new() }).await, Ok(None));
    assert_snapshot!(sent(&replay));
}

#[tokio::test(start_paused = true)]
async fn a_job_is_known_again_by_what_was_asked_of_this_very_role() {
    let token = async |changes: Value, role_id: &str| {
        let Step::StartJob { job } = job_to_start(changes).await else { panic!("no job") };
        job.token(role_id)
    };
    let same = token(json!({}), "AROA1").await;
    assert_eq!((same.len(), &same), (64, &token(json!({"ReportPrefix": "crr", "StorageClass": "GLACIER"}), "AROA1").await));
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
    for (endpoint, host) in
        [("http://127.0.0.1:4566", "http://127.0.0.1:4566"), ("https://vpce.example", "https://111122223333.vpce.example")]
    {
        let (aws, replay) = aws_at(Some(endpoint), &[ok("<DescribeJobResult><Job><Status>New</Status></Job></DescribeJobResult>")]);
        aws.job("job-1", &region, &account).await.unwrap();
        assert_eq!(replay.actual_requests().next().unwrap().uri(), format!("{host}/v20180820/jobs/job-1"));
    }
}

#[tokio::test]
async fn a_job_that_is_gone_is_none_and_needs_not_be_cancelled() {
    let gone = |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>");
    let (region, account) = (Region::parse("us-east-1").unwrap(), Account::parse(ACCOUNT).unwrap());
    let cancel = Step::CancelJob { location: at("demo-source", "us-east-1"), id: "job-1".to_owned(), was: "Active".to_owned() };
    for (status, code) in [(404, "NoSuchJob"), (400, "NotFoundException")] {
        let answer = || aws(&[(status, None, &gone(code))]).0;
        assert_eq!(answer().job("job-1", &region, &account).await, Ok(None));
        assert_eq!(answer().apply(&cancel).await, Ok(None));
    }
    let denied = aws(&[(403, None, &gone("AccessDenied"))]).0.job("job-1", &region, &account).await.unwrap_err();
    assert_snapshot!(denied, @"DescribeJob on job `job-1`: AccessDenied: m");
    let ended = aws(&[(400, None, &gone("JobStatusException"))]).0.apply(&cancel).await.unwrap_err();
    assert_eq!(ended.remedy, Remedy::Observe);
}

#[tokio::test]
async fn absence_is_none_and_denial_is_an_error() {
    let here = at("demo-source", "us-east-1");
    let not_there = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let answer = |code: &str| aws(&[(404, None, &not_there(code))]).0;
    assert_eq!(answer("ReplicationConfigurationNotFoundError").replication(&here).await, Ok(None));
    assert_eq!(answer("ServerSideEncryptionConfigurationNotFoundError").encryption(&here).await, Ok(Encryption::S3));
    assert_eq!(answer("ObjectLockConfigurationNotFoundError").object_lock(&here).await, Ok(false));
    assert_eq!(answer("NoSuchTagSet").bucket_tags(&here).await, Ok(BTreeMap::new()));
    assert_eq!(answer("NoSuchPublicAccessBlockConfiguration").public_access_blocked(&here).await, Ok(false));

    let denied = aws(&[(403, None, &not_there("AccessDenied"))]).0;
    let error = denied.replication(&here).await.unwrap_err();
    assert_snapshot!(error, @"GetBucketReplication on bucket `demo-source`: AccessDenied: m");
    assert_eq!(error.remedy, Remedy::None);
    assert_eq!(answer("NoSuchBucket").versioning(&here).await.unwrap_err().code, "NoSuchBucket");

    let iam_error =
        |status, code: &str| aws(&[(status, None, &format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"))]).0;
    let role = RoleName::of_source(&bucket("demo"));
    assert_eq!(iam_error(404, "NoSuchEntity").role(&role).await, Ok(None));
    assert_eq!(iam_error(403, "AccessDenied").role(&role).await.unwrap_err().code, "AccessDenied");
    let region = Region::parse("us-east-1").unwrap();
    let kms_denied = "{\"__type\":\"AccessDeniedException\",\"message\":\"m\"}";
    assert_eq!(aws(&[(400, None, kms_denied)]).0.key("alias/x", &region, &Access::Own).await.unwrap_err().code, "AccessDeniedException");

    let no_key = "{\"__type\":\"NotFoundException\",\"message\":\"m\"}";
    assert_eq!(aws(&[(400, None, no_key)]).0.key("alias/x", &region, &Access::Own).await, Ok(None));
}

#[tokio::test]
async fn a_bucket_is_found_in_whatever_region_it_is() {
    let here = Region::parse("us-east-1").unwrap();
    let there = Region::parse("eu-west-1").unwrap();
    let demo = bucket("demo-source");
    let header = |region| Some(("x-amz-bucket-region", region));
    let head = async |status, header| aws(&[(status, header, "")]).0.bucket_region(&demo, &here, &Access::Own).await;
    assert_eq!(head(200, header("us-east-1")).await, Ok(Some(here.clone())));
    assert_eq!(head(301, header("eu-west-1")).await, Ok(Some(there.clone())));
    assert_eq!(head(400, header("eu-west-1")).await, Ok(Some(there)));
    assert_eq!(head(404, None).await, Ok(None));
    let denied: CloudError = head(403, header("us-east-1")).await.unwrap_err();
    assert_snapshot!(denied, @"HeadBucket on bucket `demo-source`: HTTP 403: access denied: rights are missing, or it belongs to another account");
}

#[tokio::test]
async fn encryption_and_versioning_are_read_as_s3_writes_them() {
    let here = at("demo-source", "us-east-1");
    let encrypted = |rule: &str| format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>");
    let default = |inner: &str| encrypted(&format!("<ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>"));
    for (body, expected) in [
        (default("<SSEAlgorithm>AES256</SSEAlgorithm>"), Encryption::S3),
        (default("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), Encryption::Kms { key: None, bucket_key: false }),
        (
            default("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"),
            Encryption::Kms { key: Some("k".to_owned()), bucket_key: false },
        ),
    ] {
        assert_eq!(aws(&[ok(&body)]).0.encryption(&here).await, Ok(expected));
    }
    for (body, expected) in [
        ("<VersioningConfiguration/>", Versioning::Off),
        ("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", Versioning::Enabled),
        ("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", Versioning::Suspended),
    ] {
        assert_eq!(aws(&[ok(body)]).0.versioning(&here).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_role_is_read_with_its_policies_decoded() {
    let role = "<GetRoleResponse><GetRoleResult><Role><Path>/s3-kms-replication/</Path><RoleName>s3-crr-demo</RoleName><RoleId>AROA</RoleId>\
        <Arn>arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo</Arn><CreateDate>2026-11-20T12:00:00Z</CreateDate>\
        <AssumeRolePolicyDocument>%7B%22a%22%3A%22b%20c%22%7D</AssumeRolePolicyDocument><Tags><member><Key>s3-kms-replication</Key><Value>demo</Value>\
        </member></Tags></Role></GetRoleResult></GetRoleResponse>";
    let names = "<ListRolePoliciesResponse><ListRolePoliciesResult><PolicyNames><member>p</member></PolicyNames><IsTruncated>false</IsTruncated>\
        </ListRolePoliciesResult></ListRolePoliciesResponse>";
    let attached = "<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies/><IsTruncated>false</IsTruncated>\
        </ListAttachedRolePoliciesResult></ListAttachedRolePoliciesResponse>";
    let policy = "<GetRolePolicyResponse><GetRolePolicyResult><RoleName>s3-crr-demo</RoleName><PolicyName>p</PolicyName>\
        <PolicyDocument>%7B%22x%22%3A%22%2A%22%7D</PolicyDocument></GetRolePolicyResult></GetRolePolicyResponse>";
    let (aws, _) = aws(&[ok(role), ok(names), ok(attached), ok(policy)]);
    let role = aws.role(&RoleName::of_source(&bucket("demo"))).await.unwrap().unwrap();
    assert_eq!(role.trust, r#"{"a":"b c"}"#);
    assert_eq!(role.policies, BTreeMap::from([("p".to_owned(), r#"{"x":"*"}"#.to_owned())]));
    assert_eq!(role.tags, BTreeMap::from([("s3-kms-replication".to_owned(), "demo".to_owned())]));
}

#[tokio::test]
async fn errors_are_told_apart_by_code_and_message() {
    let step = Step::EnableVersioning { location: at("demo-source", "us-east-1"), was: Versioning::Off };
    let mut remedies = Vec::new();
    for (status, code, message) in [
        (400, "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration"),
        (400, "InvalidRequest", "Destination bucket must have versioning enabled."),
        (400, "InvalidRequest", "Destination bucket must exist."),
        (400, "InvalidRequest", "Something else"),
        (409, "OperationAborted", "A conflicting conditional operation is currently in progress"),
        (409, "ConcurrentModification", "m"),
        (400, "MalformedPolicyDocument", "Invalid principal in policy"),
        (400, "MalformedPolicyDocument", "m"),
        (409, "EntityAlreadyExists", "m"),
        (404, "NoSuchEntity", "m"),
        (409, "DeleteConflict", "m"),
        (409, "BucketAlreadyOwnedByYou", "m"),
        (409, "BucketAlreadyExists", "m"),
        (404, "NoSuchBucket", "m"),
        (503, "SlowDown", "m"),
        (400, "Throttling", "m"),
        (500, "Unknown", "m"),
        (403, "AccessDenied", "m"),
        (400, "MalformedXML", "m"),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let error = aws(&[(status, None, &body)]).0.apply(&step).await.unwrap_err();
        remedies.push(format!("{status} {code}: {message} -> {:?}", error.remedy));
    }
    assert_snapshot!(remedies.join("\n"));
}

#[tokio::test]
async fn cloudformation_is_answered_with_an_empty_content_type_and_never_sees_its_url_in_an_error() {
    let Ask::CloudFormation(request) = event::read(&sample("cloudformation-create"), &settings()).unwrap() else { panic!("no request") };
    let (aws, replay) = aws(&[ok(""), (403, None, "")]);
    aws.answer(&request.reply.url, "{}".to_owned()).await.unwrap();
    assert_snapshot!(sent(&replay));
    let error = aws.answer(&request.reply.url, "{}".to_owned()).await.unwrap_err();
    assert_snapshot!(format!("{error} {request:?}").contains("X-Amz-Signature"), @"false");
}

#[tokio::test]
async fn a_lease_is_taken_and_given_back_under_conditions() {
    let lease = Lease { table: "leases".to_owned(), of: "demo-source".to_owned(), holder: "me".to_owned(), expires_at: 1_700_000_300 };
    let held = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"m\"}";
    let denied = "{\"__type\":\"AccessDeniedException\",\"message\":\"m\"}";
    let earlier = "{\"Attributes\":{\"BucketName\":{\"S\":\"demo-source\"},\"ExpiresAt\":{\"N\":\"1699999999\"}}}";
    let (aws, replay) = aws(&[ok("{}"), ok(earlier), (400, None, held), (400, None, denied)]);
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await, Ok(Acquired::Yes(None)));
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await, Ok(Acquired::Yes(Some(1_699_999_999))));
    assert_snapshot!(sent(&replay));
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await, Ok(Acquired::No));
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await.unwrap_err().code, "AccessDeniedException");
}

#[tokio::test]
async fn a_turn_is_taken_unless_a_later_one_was() {
    let later = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"m\"}";
    let item = "{\"Item\":{\"BucketName\":{\"S\":\"demo-source/rule\"},\"Turn\":{\"N\":\"40522244160001\"}}}";
    let (aws, replay) = aws(&[ok("{}"), ok(item), ok("{}"), (400, None, later)]);
    assert_eq!(aws.take_turn("leases", "demo-source/rule", 40_522_244_160_000, 1_700_000_300).await, Ok(true));
    assert_eq!(aws.turn("leases", "demo-source/rule").await, Ok(Some(40_522_244_160_001)));
    assert_eq!(aws.turn("leases", "demo-source/rule").await, Ok(None));
    assert_snapshot!(sent(&replay));
    assert_eq!(aws.take_turn("leases", "demo-source/rule", 40_522_244_160_000, 1_700_000_300).await, Ok(false));
}

#[tokio::test]
async fn buckets_are_listed_page_by_page_with_their_regions() {
    let page = |name: &str, more: &str| {
        format!(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>{name}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets>{more}\
            </ListAllMyBucketsResult>"
        )
    };
    let (first, last) = (page("a-bucket", "<ContinuationToken>next</ContinuationToken>"), page("Legacy_Name", ""));
    let (aws, replay) = aws(&[ok(&first), ok(&last)]);
    let listed = ["a-bucket", "Legacy_Name"].map(|name| ListedBucket { name: name.to_owned(), region: Region::parse("eu-west-1").ok() });
    assert_eq!(aws.buckets().await, Ok(listed.to_vec()));
    let asked: Vec<String> = replay.actual_requests().map(|request| request.uri().to_owned()).collect();
    let address = "https://s3.us-east-1.amazonaws.com/?x-id=ListBuckets&max-buckets=1000";
    assert_eq!(asked, [address.to_owned(), format!("{address}&continuation-token=next")]);
}

#[tokio::test]
async fn a_canary_is_written_looked_at_listed_and_removed_with_exactly_these_requests() {
    let listed = "<ListVersionsResult><Version><Key>a/b</Key><VersionId>2</VersionId></Version><DeleteMarker><Key>a/b</Key><VersionId>3\
        </VersionId></DeleteMarker><Version><Key>a/b</Key><VersionId>1</VersionId></Version><Version><Key>a/bc</Key><VersionId>0</VersionId>\
        </Version></ListVersionsResult>";
    let written = (200, Some(("x-amz-version-id", "1")), "");
    let (aws, replay) = aws(&[written, written, ok(""), ok(listed), (204, None, "")]);
    let here = at("demo-source", "us-east-1");
    let tags = BTreeMap::from([("a b".to_owned(), "1&2".to_owned()), ("c".to_owned(), String::new())]);
    let tagged = Canary { key: "a/b".to_owned(), tags, kms_key: Some(SOURCE_KEY.to_owned()) };
    assert_eq!(aws.put_canary(&here, &tagged).await.unwrap(), "1");
    assert_eq!(aws.put_canary(&here, &Canary { tags: BTreeMap::new(), kms_key: None, ..tagged }).await.unwrap(), "1");
    assert_eq!(aws.object_version(&here, "a/b", "1").await, Ok(Some(ObjectVersion { replication: None, kms_key: None })));
    let versions = Versions { objects: vec!["2".to_owned(), "1".to_owned()], delete_markers: vec!["3".to_owned()] };
    assert_eq!(aws.versions(&here, "a/b").await, Ok(versions));
    assert_eq!(aws.delete_version(&here, "a/b", "1").await, Ok(()));
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn a_version_is_seen_with_its_status_and_its_key_or_not_at_all() {
    let here = at("demo-source", "us-east-1");
    let head = async |status, header| aws(&[(status, header, "")]).0.object_version(&here, "a", "1").await;
    for (word, replication) in [
        ("PENDING", Replication::Pending),
        ("COMPLETED", Replication::Completed),
        ("COMPLETE", Replication::Completed),
        ("FAILED", Replication::Failed),
        ("REPLICA", Replication::Replica),
    ] {
        let seen = head(200, Some(("x-amz-replication-status", word))).await.unwrap().unwrap();
        assert_eq!(seen, ObjectVersion { replication: Some(replication), kms_key: None });
    }
    let key = head(200, Some(("x-amz-server-side-encryption-aws-kms-key-id", SOURCE_KEY))).await.unwrap().unwrap().kms_key;
    assert_eq!(key.as_deref(), Some(SOURCE_KEY));
    assert_eq!(head(404, None).await, Ok(None));
    assert_snapshot!(head(403, None).await.unwrap_err(), @"HeadObject on object `a` of bucket `demo-source`: HTTP 403: access denied: rights are missing, or it belongs to another account");
    assert_snapshot!(head(200, Some(("x-amz-replication-status", "TOMORROW"))).await.unwrap_err(), @"HeadObject on object `a` of bucket `demo-source`: MalformedAnswer: replication status `TOMORROW`");
    let canary = Canary { key: "a".to_owned(), tags: BTreeMap::new(), kms_key: None };
    let unversioned = aws(&[ok("")]).0.put_canary(&here, &canary).await;
    assert_snapshot!(unversioned.unwrap_err(), @"PutObject on object `a` of bucket `demo-source`: MalformedAnswer: no version id: the bucket is not versioned");
}
