//! The requests that the AWS SDK sends, to the letter, and what becomes of AWS's answers.

mod canaries;
mod catch_up;
mod foreign_policies;
mod inspect;
mod jobs;
mod leases;
mod names;
mod replacements;
pub mod requests_file;
mod sessions;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use insta::assert_snapshot;
use s3_kms_replication::aws::Aws;
use s3_kms_replication::model::{
    Access, Account, ApiError, BucketLocation, BucketName, Encryption, ListedBucket, Region, Retry,
    RoleName, RoleQuota, Versioning,
};
use s3_kms_replication::plan::{Action, Plan};
use s3_kms_replication::ports::{Callback, Execute, Leases, Objects, Read};
use s3_kms_replication::request::{self, Invocation};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::*;
use aws_config::Region as SdkRegion;

/// Status, a header, and body.
type Answer<'a> = (u16, Option<(&'static str, &'static str)>, &'a str);

/// AWS, answering with these statuses, headers and bodies.
fn aws(answers: &[Answer<'_>]) -> (Aws, StaticReplayClient) {
    aws_at(None, RetryConfig::disabled(), answers)
}

/// The same, or an emulator at `endpoint`, where the SDK tries again as it is told.
fn aws_at(
    endpoint: Option<&str>,
    retries: RetryConfig,
    answers: &[Answer<'_>],
) -> (Aws, StaticReplayClient) {
    let answers = answers.iter().map(|(status, header, body)| {
        let mut answer = http::Response::builder().status(*status);
        if let Some((name, value)) = header {
            answer = answer.header(*name, *value);
        }
        answer.body(SdkBody::from(*body)).unwrap()
    });
    aws_answering(endpoint, retries, answers)
}

/// The same, with whole answers.
fn aws_answering(
    endpoint: Option<&str>,
    retries: RetryConfig,
    answers: impl IntoIterator<Item = http::Response<SdkBody>>,
) -> (Aws, StaticReplayClient) {
    let events = answers.into_iter().map(|answer| {
        let request =
            http::Request::builder().uri("https://any.example").body(SdkBody::empty()).unwrap();
        ReplayEvent::new(request, answer)
    });
    let replay = StaticReplayClient::new(events.collect());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(SdkRegion::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "secret",
            None,
            None,
            "test",
        )))
        .http_client(requests_file::Recorded(replay.clone()))
        .retry_config(retries);
    let config =
        endpoint.into_iter().fold(config, |config, endpoint| config.endpoint_url(endpoint)).build();
    (Aws::new(config, SharedHttpConnector::new(replay.clone())), replay)
}

fn ok(body: &str) -> Answer<'_> {
    (200, None, body)
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn at(name: &str, region: &str) -> BucketLocation {
    BucketLocation {
        bucket: bucket(name),
        region: Region::parse(region).unwrap(),
        owner: Account::parse(ACCOUNT).unwrap(),
        access: Access::Own,
    }
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
            "x-amz-bucket-namespace",
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
        let decoded =
            percent_encoding::percent_decode_str(&body).decode_utf8_lossy().replace("><", ">\n<");
        text + decoded.trim_end() + "\n"
    });
    shown.collect::<Vec<_>>().join("\n")
}

async fn planned(state: State, payload: &Value) -> Vec<Action> {
    let fake = Fake::new(state);
    let Invocation::Command(request::Command::Apply(spec)) =
        request::read(payload, request_environment()).unwrap()
    else {
        panic!("no Apply")
    };
    let settings = settings();
    let deadline = Instant::now() + Duration::from_secs(60);
    let engine = s3_kms_replication::reconcile::Engine {
        cloud: &fake,
        settings: &settings,
        deadline,
        end: deadline,
        request: None,
    };
    let plan: Plan = engine.apply(&spec, &settings.region).await.unwrap().plan;
    plan.stages.into_iter().flat_map(|stage| stage.actions).collect()
}

/// The default encryption of a new bucket.
const BLOCKS_SSE_C: &str = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
    <ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
    <BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>\
    </Rule></ServerSideEncryptionConfiguration>";

async fn requests_of(actions: Vec<Action>) -> String {
    let answers: Vec<_> = actions
        .iter()
        .flat_map(|action| match action {
            // What is set beside the key is kept, so it is read first.
            Action::EncryptBucket { .. } => {
                vec![ok(BLOCKS_SSE_C), ok("<Answer/>")]
            }
            _ => vec![ok("<Answer/>")],
        })
        .collect();
    let (aws, replay) = aws(&answers);
    for action in &actions {
        // IAM's answers are not parsed into anything: that the request went out is what matters here.
        let _ = aws.execute(action).await;
    }
    sent(&replay)
}

#[tokio::test]
async fn walkthrough_sends_the_recorded_requests() {
    assert_snapshot!(requests_of(planned(two_buckets(), &sample("command-apply")).await).await);
}

#[tokio::test]
async fn every_rule_option_sends_the_recorded_requests() {
    let mut command = sample("command-apply");
    let options = json!({
        "Tags": {"b": "2", "a": "1"}, "Priority": 7, "ReplicaModifications": true, "ReplicationTimeControl": true, "StorageClass": "STANDARD_IA",
        "CreateDestinationBucket": true, "DestinationBucket": "new-destination",
    });
    command.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    assert_snapshot!(requests_of(planned(two_buckets(), &command).await).await);
}

#[tokio::test]
async fn invariant_11_denied_read_is_an_error_and_only_not_found_is_absence() {
    let here = at("demo-source", "us-east-1");
    let not_there = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let answer = |code: &str| aws(&[(404, None, &not_there(code))]).0;
    assert_eq!(answer("ReplicationConfigurationNotFoundError").replication(&here).await, Ok(None));
    assert_eq!(
        answer("ServerSideEncryptionConfigurationNotFoundError").encryption(&here).await,
        Ok(Encryption::S3)
    );
    assert_eq!(answer("ObjectLockConfigurationNotFoundError").object_lock(&here).await, Ok(false));
    assert_eq!(answer("NoSuchTagSet").bucket_tags(&here).await, Ok(BTreeMap::new()));
    assert_eq!(
        answer("NoSuchPublicAccessBlockConfiguration").public_access_blocked(&here).await,
        Ok(false)
    );

    let denied = aws(&[(403, None, &not_there("AccessDenied"))]).0;
    let error = denied.replication(&here).await.unwrap_err();
    assert_snapshot!(error, @"GetBucketReplication on bucket `demo-source`: AccessDenied: m");
    assert_eq!(error.retry, Retry::Never);
    assert_eq!(answer("NoSuchBucket").versioning(&here).await.unwrap_err().code, "NoSuchBucket");

    let iam_error = |status, code: &str| {
        aws(&[(
            status,
            None,
            &format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"),
        )])
        .0
    };
    let role = RoleName::for_source(&bucket("demo"));
    assert_eq!(iam_error(404, "NoSuchEntity").role(&role).await, Ok(None));
    assert_eq!(iam_error(403, "AccessDenied").role(&role).await.unwrap_err().code, "AccessDenied");
    let region = Region::parse("us-east-1").unwrap();
    let kms_denied = "{\"__type\":\"AccessDeniedException\",\"message\":\"m\"}";
    assert_eq!(
        aws(&[(400, None, kms_denied)])
            .0
            .key("alias/x", &region, &Access::Own)
            .await
            .unwrap_err()
            .code,
        "AccessDeniedException"
    );

    let no_key = "{\"__type\":\"NotFoundException\",\"message\":\"m\"}";
    assert_eq!(aws(&[(400, None, no_key)]).0.key("alias/x", &region, &Access::Own).await, Ok(None));
}

#[tokio::test]
async fn bucket_region_is_read_from_success_redirect_and_error_responses() {
    let here = Region::parse("us-east-1").unwrap();
    let there = Region::parse("eu-west-1").unwrap();
    let (demo, owner) = (bucket("demo-source"), Account::parse(ACCOUNT).unwrap());
    let header = |region| Some(("x-amz-bucket-region", region));
    let head = async |status, header| {
        let (aws, replay) = aws(&[(status, header, "")]);
        let region = aws.bucket_region(&demo, &here, &owner, &Access::Own).await;
        let sent = sent(&replay);
        assert!(sent.contains(&format!("x-amz-expected-bucket-owner: {owner}")), "{sent}");
        region
    };
    assert_eq!(head(200, header("us-east-1")).await, Ok(Some(here.clone())));
    assert_eq!(head(301, header("eu-west-1")).await, Ok(Some(there.clone())));
    assert_eq!(head(400, header("eu-west-1")).await, Ok(Some(there)));
    assert_eq!(head(404, None).await, Ok(None));
    let denied: ApiError = head(403, header("us-east-1")).await.unwrap_err();
    assert_snapshot!(denied, @"HeadBucket on bucket `demo-source`: HTTP 403: access denied: rights are missing, or it belongs to another account");
}

#[tokio::test]
async fn encryption_and_versioning_are_parsed_in_every_form() {
    let here = at("demo-source", "us-east-1");
    let encrypted = |rule: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>"
        )
    };
    let default = |inner: &str| {
        encrypted(&format!(
            "<ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>"
        ))
    };
    for (body, expected) in [
        (default("<SSEAlgorithm>AES256</SSEAlgorithm>"), Encryption::S3),
        (
            default("<SSEAlgorithm>aws:kms</SSEAlgorithm>"),
            Encryption::Kms { key: None, bucket_key: false, dual_layer: false },
        ),
        (
            default("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"),
            Encryption::Kms { key: Some("k".to_owned()), bucket_key: false, dual_layer: true },
        ),
    ] {
        assert_eq!(aws(&[ok(&body)]).0.encryption(&here).await, Ok(expected));
    }
    for (body, expected) in [
        ("<VersioningConfiguration/>", Versioning::Off),
        (
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            Versioning::Enabled,
        ),
        (
            "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
            Versioning::Suspended,
        ),
    ] {
        assert_eq!(aws(&[ok(body)]).0.versioning(&here).await, Ok(expected));
    }
}

#[tokio::test]
async fn role_that_does_not_exist_takes_one_request_to_know() {
    let role = "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>s3-crr-demo</RoleName><RoleId>AROA</RoleId>\
        <Arn>arn:aws:iam::111122223333:role/s3-crr-demo</Arn><CreateDate>2026-11-20T12:00:00Z</CreateDate></Role></GetRoleResult></GetRoleResponse>";
    let error = |code: &str| {
        format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
        )
    };
    let (missing, denied) = (error("NoSuchEntity"), error("AccessDenied"));
    let name = RoleName::for_source(&bucket("demo"));
    assert_eq!(aws(&[ok(role)]).0.role_exists(&name).await, Ok(true));
    assert_eq!(aws(&[(404, None, &missing)]).0.role_exists(&name).await, Ok(false));
    let failure = aws(&[(403, None, &denied)]).0.role_exists(&name).await.unwrap_err();
    assert_snapshot!(failure, @"GetRole on role `s3-crr-demo`: AccessDenied: m");
}

#[tokio::test]
async fn role_policies_are_url_decoded() {
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
    let role = aws.role(&RoleName::for_source(&bucket("demo"))).await.unwrap().unwrap();
    assert_eq!(role.trust, r#"{"a":"b c"}"#);
    assert_eq!(role.policies, BTreeMap::from([("p".to_owned(), r#"{"x":"*"}"#.to_owned())]));
    assert_eq!(role.tags, BTreeMap::from([("s3-kms-replication".to_owned(), "demo".to_owned())]));
}

#[tokio::test]
async fn quota_of_roles_is_read_from_the_summary_of_the_account_and_an_incomplete_summary_is_an_error()
 {
    let summary = |entries: &str| {
        format!(
            "<GetAccountSummaryResponse><GetAccountSummaryResult><SummaryMap>{entries}</SummaryMap></GetAccountSummaryResult>\
            </GetAccountSummaryResponse>"
        )
    };
    let in_use = "<entry><key>Roles</key><value>990</value></entry>";
    let quota = "<entry><key>RolesQuota</key><value>1000</value></entry>";
    let both = summary(&format!("{in_use}<entry><key>Users</key><value>3</value></entry>{quota}"));
    let (aws, replay) = aws(&[ok(&both), ok(&summary(in_use))]);
    assert_eq!(aws.role_quota().await, Ok(RoleQuota { in_use: 990, quota: 1_000 }));
    assert_eq!(aws.role_quota().await.unwrap_err().operation, "GetAccountSummary");
    assert!(sent(&replay).contains("Action=GetAccountSummary"), "{}", sent(&replay));
}

#[tokio::test]
async fn every_error_code_maps_to_its_retry() {
    let action = Action::EnableVersioning {
        location: at("demo-source", "us-east-1"),
        before: Versioning::Off,
    };
    let mut remedies = Vec::new();
    for (status, code, message) in [
        (
            400,
            "InvalidRequest",
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
        ),
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
        let error = aws(&[(status, None, &body)]).0.execute(&action).await.unwrap_err();
        remedies.push(format!("{status} {code}: {message} -> {:?}", error.retry));
    }
    assert_snapshot!(remedies.join("\n"));
}

#[tokio::test]
async fn invariant_7_callback_has_no_content_type_and_its_error_hides_the_url() {
    let Invocation::CloudFormation(request) =
        request::read(&sample("cloudformation-create"), request_environment()).unwrap()
    else {
        panic!("no request")
    };
    let (aws, replay) = aws(&[ok(""), (403, None, "")]);
    aws.answer(&request.reply.url, "{}".to_owned()).await.unwrap();
    assert_snapshot!(sent(&replay));
    let error = aws.answer(&request.reply.url, "{}".to_owned()).await.unwrap_err();
    assert_snapshot!(format!("{error} {request:?}").contains("X-Amz-Signature"), @"false");
}

#[tokio::test]
async fn buckets_are_listed_page_by_page_with_their_regions() {
    let page = |name: &str, more: &str| {
        format!(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>{name}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets>{more}\
            </ListAllMyBucketsResult>"
        )
    };
    let (first, last) =
        (page("a-bucket", "<ContinuationToken>next</ContinuationToken>"), page("Legacy_Name", ""));
    let (aws, replay) = aws(&[ok(&first), ok(&last)]);
    let listed = ["a-bucket", "Legacy_Name"].map(|name| ListedBucket {
        name: name.to_owned(),
        region: Region::parse("eu-west-1").ok(),
    });
    assert_eq!(aws.buckets().await, Ok(listed.to_vec()));
    let asked: Vec<String> =
        replay.actual_requests().map(|request| request.uri().to_owned()).collect();
    let address = "https://s3.us-east-1.amazonaws.com/?x-id=ListBuckets&max-buckets=1000";
    assert_eq!(asked, [address.to_owned(), format!("{address}&continuation-token=next")]);
}
