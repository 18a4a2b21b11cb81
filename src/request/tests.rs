//! Payloads: what is read of each kind.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::spec::read_properties;

static REGION: LazyLock<Region> = LazyLock::new(|| Region::parse("us-east-1").unwrap());

fn environment() -> Environment<'static> {
    Environment {
        region: &REGION,
        partition: Partition::Aws,
        execution_role_arn: None,
        allows_loopback: false,
    }
}

fn accepts(url: &str, allows_loopback: bool) -> bool {
    let request = json!({"RequestType": "Delete", "ResponseURL": url, "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
    read(&request, Environment { allows_loopback, ..environment() }).is_ok()
}

#[test]
fn a_request_has_the_time_of_its_signature() {
    let signed_at = |query: &str| {
        let url = format!(
            "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x{query}"
        );
        let request = json!({"RequestType": "Delete", "ResponseURL": url});
        let Ok(Invocation::CloudFormation(request)) = read(&request, environment()) else {
            panic!("no request")
        };
        request.reply.url.signed_at()
    };
    assert_eq!(signed_at("?a=b&X-Amz-Date=20261122T081655Z&c=d"), Some(20_261_122_081_655));
    for query in [
        "",
        "?",
        "?X-Amz-Date",
        "?X-Amz-Date=2026",
        "?X-Amz-Date=20261122T0816550",
        "?X-Amz-Date=+0261122T081655Z",
    ] {
        assert_eq!(signed_at(query), None, "{query}");
    }
}

#[test]
fn next_delivery_can_answer_unless_this_may_be_the_last_delivery_or_the_next_is_too_late() {
    // With invocations of five minutes that end with an error, Lambda delivers a request after 0, 6 and 13 minutes.
    let is_redelivered = |seconds: u64, service_timeout: Value| {
        let url = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Date=20261122T081655Z";
        let request = json!({"RequestType": "Create", "ResponseURL": url, "ResourceProperties": {"ServiceTimeout": service_timeout}});
        let Ok(Invocation::CloudFormation(request)) = read(&request, environment()) else {
            panic!("no request")
        };
        // 2026-11-22T08:16:55Z
        let signed_at = UNIX_EPOCH + Duration::from_secs(1_795_335_415);
        request.next_delivery_can_answer(
            signed_at + Duration::from_secs(seconds),
            Duration::from_secs(300),
        )
    };
    assert_eq!(
        [0, 1, 360, 569, 570, 745, 3_600].map(|seconds| is_redelivered(seconds, json!(null))),
        [true, true, true, true, false, false, false]
    );
    assert_eq!([719, 720].map(|timeout| is_redelivered(0, json!(timeout))), [false, true]);
    assert_eq!([1_079, 1_080].map(|timeout| is_redelivered(360, json!(timeout))), [false, true]);
    let undated = json!({"RequestType": "Create", "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x"});
    let Ok(Invocation::CloudFormation(request)) = read(&undated, environment()) else {
        panic!("no request")
    };
    assert!(!request.next_delivery_can_answer(UNIX_EPOCH, Duration::from_secs(300)));
}

#[test]
fn a_response_url_on_this_machine_is_accepted_only_if_loopback_is_allowed() {
    for (url, accepted) in [
        ("http://localhost:4566/x", true),
        ("http://127.0.0.1:1/x", true),
        ("http://[::1]:1/x", true),
        ("http://10.0.0.1/x", false),
    ] {
        assert_eq!(accepts(url, true), accepted, "{url}");
    }
}

#[test]
fn an_event_is_read_if_it_has_only_its_name_and_a_bucket() {
    for detail in [
        json!({"eventName": "CreateBucket", "requestParameters": {"bucketName": "orders"}}),
        json!({"eventName": "CreateBucket", "requestParameters": {"bucketName": "orders", "host": ["x"]}, "userIdentity": null, "errorCode": null}),
        json!({"eventName": "TagResource", "requestParameters": {"resourceArn": "arn:aws:s3:::orders"}, "userIdentity": {"type": "AWSService"}}),
    ] {
        let event = json!({"detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": detail});
        let Ok(Invocation::Event(Event::Bucket(event))) = read(&event, environment()) else {
            panic!("{event}")
        };
        assert_eq!(
            (event.bucket.as_str(), event.region, event.account, event.deleted),
            ("orders", None, None, false)
        );
    }
}

#[test]
fn properties_are_equal_whether_scalars_and_lists_are_typed_or_strings() {
    let read = |value| read_properties(value, &[]).unwrap();
    let typed = json!({"Verify": false, "Priority": 3, "Metrics": false, "SourceKmsKeyArns": ["a", "b"], "Tags": {"k": "v"}, "Prefix": null});
    let strings = json!({"Priority": "3", "Metrics": "false", "SourceKmsKeyArns": "a, b", "Tags": [{"Key": "k", "Value": "v"}], "Verify": "false"});
    assert_eq!(read(typed.as_object().unwrap()), read(strings.as_object().unwrap()));
}

#[test]
fn each_sample_event_is_read_as_its_kind() {
    let kind = |name: &str| {
        let file = format!("{}/events/{name}", env!("CARGO_MANIFEST_DIR"));
        let payload = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        match read(&payload, environment()).unwrap() {
            Invocation::CloudFormation(request) => format!("{:?}", request.operation.unwrap()),
            Invocation::Event(Event::Bucket(event)) => {
                format!(
                    "event on {} in {:?}, deleted: {}",
                    event.bucket,
                    event.region.unwrap().as_str(),
                    event.deleted
                )
            }
            Invocation::Event(Event::Job(event)) => {
                format!("end of job {} in {:?}", event.id, event.region.unwrap().as_str())
            }
            Invocation::Event(Event::CatchUp(catch_up)) => format!("{catch_up:?}"),
            Invocation::Event(Event::Ignored { reason, .. }) => format!("ignored: {reason}"),
            Invocation::Queue(messages) => format!(
                "batch: {:?}",
                messages.iter().map(|message| message.event.is_ok()).collect::<Vec<_>>()
            ),
            Invocation::Terraform(change) => format!("{change:?}"),
            Invocation::Command(command) => format!("{command:?}"),
        }
    };
    let mut names: Vec<String> =
        std::fs::read_dir(format!("{}/events", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
    names.sort();
    let kinds: Vec<String> = names.iter().map(|name| format!("{name}: {}", kind(name))).collect();
    insta::assert_snapshot!(kinds.join("\n"));
}

#[test]
fn rule_is_named_by_its_name_its_id_or_its_destination_bucket() {
    let id = |names: Value| {
        let mut command = json!({"Action": "Verify", "SourceBucket": "orders"});
        command.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        let Ok(Command::Verify { rule, .. }) = read_command(&command) else { panic!("no command") };
        rule.id.to_string()
    };
    for (names, expected) in [
        (json!({"Name": "dr"}), "s3-kms-replication.dr"),
        (json!({"Name": "s3-kms-replication.dr"}), "s3-kms-replication.dr"),
        (json!({"DestinationBucket": "copy"}), "s3-kms-replication.copy"),
        (
            json!({"DestinationBucket": "s3-kms-replication.copy"}),
            "s3-kms-replication.s3-kms-replication.copy",
        ),
        (
            json!({"Name": "s3-kms-replication.s3-kms-replication.copy"}),
            "s3-kms-replication.s3-kms-replication.copy",
        ),
    ] {
        assert_eq!(id(names.clone()), expected, "{names}");
    }
}
