//! Faults on the wire, under the AWS SDK and its own retries: the [`Retry`] that each becomes. [`crate::convergence`] tests what follows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use s3_kms_replication::aws::{Aws, with_retries};
use s3_kms_replication::iam_policy;
use s3_kms_replication::model::{
    Access, Account, Alarm, ApiError, BucketLocation, BucketName, Canary, Encryption,
    GenerationRecord, InlinePolicyName, Lease, OutcomeChange, Region, ResourcePolicyTarget, Retry,
    RoleName, RoleOwner, RuleId, Versioning,
};
use s3_kms_replication::plan::{Action, Replaces};
use s3_kms_replication::ports::{Callback, Execute, Leases, Objects, Queue, Read};
use s3_kms_replication::request::{self, Invocation};

use crate::support::*;
use aws_config::Region as SdkRegion;

/// What happens to every request that is sent.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// AWS answers with this status and code.
    Answer(u16, &'static str),
    /// The connection is reset.
    Reset,
    /// The connection is there, and no answer comes in the time that the connection has for it.
    TimedOut,
    /// Nothing ever happens.
    Silence,
}

/// Each outage, what helps against it, and how often the SDK tries at most: its clients share a budget for tries.
const OUTAGES: [(Outage, Retry, u32); 10] = [
    (Outage::Answer(500, "InternalError"), Retry::NextInvocation, 6),
    (Outage::Answer(502, "BadGateway"), Retry::NextInvocation, 6),
    (Outage::Answer(503, "SlowDown"), Retry::NextInvocation, 6),
    (Outage::Answer(400, "ThrottlingException"), Retry::NextInvocation, 6),
    (Outage::Answer(409, "OperationAborted"), Retry::Soon, 1),
    (Outage::Answer(409, "ConcurrentModification"), Retry::Soon, 1),
    (Outage::Answer(403, "AccessDenied"), Retry::Never, 1),
    (Outage::Reset, Retry::NextInvocation, 6),
    (Outage::TimedOut, Retry::NextInvocation, 6),
    (Outage::Silence, Retry::NextInvocation, 6),
];

#[derive(Debug, Clone)]
struct Wire {
    outage: Outage,
    sent: Arc<AtomicU32>,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        crate::wire::requests_file::record(&request);
        self.sent.fetch_add(1, Ordering::Relaxed);
        match self.outage {
            Outage::Answer(status, code) => {
                let body = error_body(&request, code);
                let answer = http::Response::builder()
                    .status(status)
                    .header("smithy-protocol", "rpc-v2-cbor")
                    .body(SdkBody::from(body))
                    .unwrap();
                HttpConnectorFuture::ready(Ok(HttpResponse::try_from(answer).unwrap()))
            }
            Outage::Reset => HttpConnectorFuture::ready(Err(ConnectorError::io(
                "connection reset by peer".into(),
            ))),
            Outage::TimedOut => {
                HttpConnectorFuture::ready(Err(ConnectorError::timeout("no answer".into())))
            }
            Outage::Silence => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

/// An error as the service would write it; none for HEAD.
fn error_body(request: &HttpRequest, code: &str) -> Vec<u8> {
    if request.headers().get("smithy-protocol").is_some() {
        // CBOR: a map of one text to another.
        let text =
            |text: &str| [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        return [vec![0xa1], text("__type"), text(code)].concat();
    }
    let is_wrapped =
        ["iam.", "sts.", ".s3-control."].iter().any(|service| request.uri().contains(service));
    match request.headers().get("x-amz-target") {
        Some(_) => format!("{{\"__type\":\"{code}\",\"message\":\"m\"}}"),
        None if request.method() == "HEAD" => String::new(),
        None if is_wrapped => format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
        ),
        None => format!("<Error><Code>{code}</Code><Message>m</Message></Error>"),
    }
    .into_bytes()
}

/// AWS behind that wire, with the function's retries and time-outs, and the number of requests that were sent.
fn aws_behind(outage: Outage) -> (Aws, Arc<AtomicU32>) {
    let wire = Wire { outage, sent: Arc::default() };
    let sent = wire.sent.clone();
    let connector = SharedHttpConnector::new(wire);
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
        .http_client(http_client_fn({
            let connector = connector.clone();
            move |_, _| connector.clone()
        }))
        .build();
    (Aws::new(with_retries(config), connector), sent)
}

fn bucket() -> BucketName {
    BucketName::parse("demo-source").unwrap()
}

fn location() -> BucketLocation {
    BucketLocation {
        bucket: bucket(),
        region: Region::parse("us-east-1").unwrap(),
        owner: Account::parse(ACCOUNT).unwrap(),
        access: Access::Own,
    }
}

fn guarded_key() -> ResourcePolicyTarget {
    ResourcePolicyTarget::Key {
        arn: REPLICA_KEY.to_owned(),
        region: Region::parse("us-west-2").unwrap(),
        access: Access::Own,
    }
}

/// One of each of the actions.
fn actions() -> Vec<Action> {
    let (location, name, source) = (location(), RoleName::for_source(&bucket()), bucket());
    let rule = RuleId::named("demo").unwrap();
    let (role, policy) = (name.clone(), InlinePolicyName::for_rule(&rule));
    let alarm = Alarm {
        name: "demo".to_owned(),
        region: location.region.clone(),
        namespace: "AWS/S3".to_owned(),
        metric: "OperationsFailedReplication".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
        period: 300,
        periods: 1,
        comparison: "GreaterThanThreshold".to_owned(),
        threshold: 0.0,
        missing_data: "notBreaching".to_owned(),
        actions: Vec::new(),
        actions_enabled: true,
    };
    let configuration =
        replicating("arn:aws:iam::111122223333:role/x", vec![foreign_rule("a", 1)]).unwrap();
    let delete_markers =
        "<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>";
    let configuration =
        parse_configuration(&configuration.to_xml().replace("</Rule>", delete_markers));
    vec![
        Action::CreateBucket { location: location.clone(), source: source.clone() },
        Action::EnableVersioning { location: location.clone(), before: Versioning::Off },
        Action::EncryptBucket {
            location: location.clone(),
            before: Encryption::S3,
            key: REPLICA_KEY.to_owned(),
        },
        Action::BlockPublicAccess { location: location.clone() },
        Action::CreateRole {
            name: name.clone(),
            path: "/".to_owned(),
            trust: iam_policy::trust(),
            boundary: None,
            owner: RoleOwner::Bucket(source),
        },
        Action::KeepForNow { role: name.clone(), before: None },
        Action::UpdateAssumeRolePolicy {
            name: name.clone(),
            before: String::new(),
            trust: iam_policy::trust(),
        },
        Action::PutRolePermissionsBoundary {
            name: name.clone(),
            before: None,
            boundary: "arn:aws:iam::111122223333:policy/x".to_owned(),
        },
        Action::PutRolePolicy {
            role: role.clone(),
            policy: policy.clone(),
            before: None,
            document: iam_policy::trust(),
        },
        Action::DeleteRolePolicy { role, policy, before: String::new() },
        Action::DeleteRole { name, before: String::new() },
        Action::RemoveStatement {
            target: ResourcePolicyTarget::Bucket(location.clone()),
            sid: "Ours".to_owned(),
            before: String::new(),
        },
        Action::RemoveStatement {
            target: guarded_key(),
            sid: "Ours".to_owned(),
            before: String::new(),
        },
        Action::CancelJob {
            location: location.clone(),
            id: "job-1".to_owned(),
            before: "Active".to_owned(),
        },
        Action::TagRole {
            role: RoleName::for_source(&bucket()),
            tag: InlinePolicyName::for_job(&rule),
            before: None,
            value: String::new(),
        },
        Action::UntagRole {
            role: RoleName::for_source(&bucket()),
            tag: InlinePolicyName::for_job(&rule),
            before: String::new(),
        },
        Action::PutAlarm { before: None, alarm: Box::new(alarm.clone()) },
        Action::DeleteAlarm { alarm: Box::new(alarm) },
        Action::PutReplication {
            location: location.clone(),
            before: None,
            configuration: configuration.clone(),
            rule: rule.clone(),
        },
        Action::DeleteReplication { location, before: configuration, rule },
    ]
}

/// Makes every call that there is; each with its failure, and with how many requests were sent for it.
async fn every_call(outage: Outage) -> Vec<(String, ApiError, u32)> {
    let (here, region, role) =
        (location(), Region::parse("us-east-1").unwrap(), RoleName::for_source(&bucket()));
    let lease = Lease {
        table: "leases".to_owned(),
        resource: bucket().to_string(),
        holder: "me".to_owned(),
        expires_at: 1,
    };
    let mut failures = Vec::new();
    macro_rules! call {
        ($name:expr, $aws:ident => $call:expr) => {
            let ($aws, sent) = aws_behind(outage);
            let failure = $call
                .await
                .err()
                .unwrap_or_else(|| panic!("{} succeeds in spite of {outage:?}", $name));
            failures.push(($name.to_string(), failure, sent.load(Ordering::Relaxed)));
        };
    }
    call!("identity", aws => aws.identity());
    call!("bucket_region", aws => aws.bucket_region(&bucket(), &region, &here.owner, &Access::Own));
    call!("versioning", aws => aws.versioning(&here));
    call!("encryption", aws => aws.encryption(&here));
    call!("replication", aws => aws.replication(&here));
    call!("object_lock", aws => aws.object_lock(&here));
    call!("bucket_tags", aws => aws.bucket_tags(&here));
    call!("public_access_blocked", aws => aws.public_access_blocked(&here));
    call!("is_empty", aws => aws.is_empty(&here));
    call!("versions_page", aws => aws.versions_page(&here, "", None, 1));
    call!("send", aws => aws.send("https://sqs.us-east-1.amazonaws.com/111122223333/events", String::new(), Duration::from_secs(900)));
    call!("key", aws => aws.key(SOURCE_KEY, &region, &Access::Own));
    call!("policy", aws => aws.resource_policy(&guarded_key()));
    call!("job", aws => aws.job("job-1", &region, &here.owner));
    call!("alarms", aws => aws.alarms(&["demo".to_owned()], &region));
    call!("parameter", aws => aws.parameter("/policy"));
    let canary = Canary { key: "canary".to_owned(), tags: BTreeMap::new(), kms_key: None };
    call!("put_canary", aws => aws.put_canary(&here, &canary));
    call!("object_version", aws => aws.object_version(&here, "canary", "1"));
    call!("versions", aws => aws.versions(&here, "canary"));
    call!("delete_version", aws => aws.delete_version(&here, "canary", "1"));
    call!("acquire", aws => aws.acquire(&lease, 0));
    let record = GenerationRecord {
        table: "leases".to_owned(),
        id: "demo-source/rule".to_owned(),
        number: 1,
        is_unique: false,
        change: OutcomeChange::OpenUnlessRemembered,
        forget_at: 2,
    };
    call!("record_generation", aws => aws.record_generation(&record));
    call!("turn", aws => aws.latest_generation("leases", "demo-source/rule"));
    for action in actions() {
        // It has no time-out but the engine's deadline: a write that was given up could still take effect.
        if matches!(outage, Outage::Silence)
            && matches!(action.replaces(), Replaces::Replication(_))
        {
            continue;
        }
        call!(action.operation(), aws => aws.execute(&action));
    }
    call!("role", aws => aws.role(&role));
    failures
}

#[tokio::test(start_paused = true)]
async fn every_call_maps_every_outage_to_its_retry() {
    let mut points = 0;
    for (outage, retry, tries) in OUTAGES {
        for (call, failure, sent) in every_call(outage).await {
            points += 1;
            if ["bucket_region", "object_version"].contains(&call.as_str())
                && matches!(outage, Outage::Answer(400..500, _))
            {
                // The answer to HEAD has no body, so no code: its status alone says that bucket or object cannot be read.
                assert_eq!((failure.retry, sent), (Retry::Never, 1), "{outage:?}: {failure}");
                continue;
            }
            // What replaces a whole is sent once. When AWS has answered, the engine tries again, after a read.
            let replaces_whole =
                ["PutBucketReplication", "DeleteBucketReplication"].contains(&call.as_str());
            let is_answered = matches!(outage, Outage::Answer(..));
            let retry = if replaces_whole && is_answered && retry == Retry::NextInvocation {
                Retry::Soon
            } else {
                retry
            };
            assert_eq!(failure.retry, retry, "{call}, {outage:?}: {failure}");
            // A role is read by three calls at once, the first of which to fail ends the others.
            let most = match call.as_str() {
                "role" => 3 * tries,
                _ if replaces_whole => 1,
                _ => tries,
            };
            assert!((1..=most).contains(&sent), "{call}, {outage:?}: sent {sent} times");
        }
    }
    print_count(points, "outages on the wire");
}

#[tokio::test(start_paused = true)]
async fn invariant_5_callback_is_worth_a_retry_unless_it_was_refused() {
    let Invocation::CloudFormation(request) =
        request::read(&sample("cloudformation-create"), request_environment()).unwrap()
    else {
        panic!("no request")
    };
    for (outage, retry) in [
        (Outage::Answer(500, "InternalError"), Retry::NextInvocation),
        (Outage::Answer(503, "SlowDown"), Retry::NextInvocation),
        (Outage::Answer(400, "RequestTimeout"), Retry::NextInvocation),
        (Outage::Answer(403, "AccessDenied"), Retry::Never),
        (Outage::Answer(404, "NoSuchBucket"), Retry::Never),
        (Outage::Reset, Retry::NextInvocation),
        (Outage::TimedOut, Retry::NextInvocation),
        (Outage::Silence, Retry::NextInvocation),
    ] {
        let (aws, sent) = aws_behind(outage);
        let failure = aws.answer(&request.reply.url, "{}".to_owned()).await.unwrap_err();
        assert_eq!((failure.retry, sent.load(Ordering::Relaxed)), (retry, 1), "{outage:?}");
    }
}
