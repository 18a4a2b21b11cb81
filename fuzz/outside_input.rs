//! Everything that parses outside input, on whatever the fuzzer makes up: events, properties, policies, ARNs, response URLs.
//!
//! Nothing may panic, and what was read must keep what its type promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3_kms_replication::config::Settings;
use s3_kms_replication::iam_policy::{RolePolicyDocument, ResourcePolicy};
use s3_kms_replication::model::{BucketName, KeyReference, Partition, Region, RoleArn, RoleName, RuleId};
use s3_kms_replication::request::terraform::ResourceChange;
use s3_kms_replication::request::{self, Command, Environment, Invocation, cloudformation};
use s3_kms_replication::spec::Spec;
use serde_json::{Value, json};

const URL: &str = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x";

fn request(properties: &Value, url: &str, stack: &str, logical_id: &str) -> Value {
    json!({
        "RequestType": "Create", "ResponseURL": url, "StackId": stack, "RequestId": "r", "LogicalResourceId": logical_id,
        "ResourceProperties": properties,
    })
}

fn check(spec: &Spec) {
    assert_ne!(spec.rule.source, spec.destination);
    assert_eq!(spec.destination_region, *spec.replica_key.region());
    assert!(spec.rule.id.as_str().len() <= 128);
    assert_eq!(RuleId::parse(spec.rule.id.as_str()).as_ref(), Some(&spec.rule.id));
    assert!(spec.rule.to_string().len() <= 1_024);
    assert!(RoleName::for_source(&spec.rule.source).as_str().len() <= 64);
}

fn read(payload: &Value) {
    let Ok(region) = Region::parse("us-east-1") else { return };
    let environment = Environment {
        region: &region,
        partition: Partition::Aws,
        execution_role_arn: None,
        allows_loopback: false,
    };
    match request::read_text(&payload.to_string(), environment) {
        Ok(Invocation::CloudFormation(request)) => {
            if let Ok(cloudformation::ResourceOperation::Apply { spec, .. }) = &request.operation {
                check(spec);
            }
        }
        Ok(
            Invocation::Command(Command::Apply(spec))
            | Invocation::Terraform(ResourceChange::Apply { spec, .. }),
        ) => check(&spec),
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fuzz_target!(|text: &str| {
    if let Some(document) = RolePolicyDocument::parse(text) {
        assert_eq!(RolePolicyDocument::parse(&document.to_string()), Some(document.clone()));
        assert!(document.with_earlier(&document).covers(&document));
    }
    if let Ok(bucket) = BucketName::parse_name_or_arn(text) {
        assert_eq!(BucketName::parse_name_or_arn(&bucket.arn(Partition::Aws)), Ok(bucket));
    }
    if let Some(policy) = ResourcePolicy::parse(Some(text)) {
        let written = policy.to_string();
        assert_eq!(
            ResourcePolicy::parse(Some(&written)).map(|policy| policy.to_string()),
            Some(written)
        );
    }
    let _ = (
        KeyReference::parse(text),
        RoleArn::parse(text),
        RoleName::from_arn(text),
        RuleId::named(text),
    );
    let _ = Settings::read(|name| (name == "REPLICATION_POLICY").then(|| text.to_owned()));
    read(&request(&json!({"SourceBucket": "a-source"}), text, text, text));
    read(&request(
        &json!({"SourceBucket": text, "DestinationBucket": text, "Prefix": text}),
        URL,
        "s",
        "l",
    ));
    let Ok(json) = serde_json::from_str::<Value>(text) else { return };
    read(&json);
    read(&request(&json, URL, "s", "l"));
    read(&json!({"Records": [{"messageId": "m", "body": text}]}));
});
