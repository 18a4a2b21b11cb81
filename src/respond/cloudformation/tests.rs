//! CloudFormation's limits of an answer.

use serde_json::{Value, json};

use super::*;
use crate::model::{BucketName, Partition, Region, RoleName, RuleAddress, RuleId};
use crate::plan::{Action, Plan, RuleAttributes, Stage, StageName};
use crate::request::{self, Environment, Invocation};

fn request(stack: &str, logical_id: &str) -> Request {
    let payload = json!({
        "RequestType": "Delete", "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
        "StackId": stack, "RequestId": "request", "LogicalResourceId": logical_id,
    });
    let region = Region::parse("us-east-1").unwrap();
    let environment = Environment {
        region: &region,
        partition: Partition::Aws,
        execution_role_arn: None,
        allows_loopback: false,
    };
    let Invocation::CloudFormation(request) = request::read(&payload, environment).unwrap() else {
        panic!("the payload was not read as a request of CloudFormation")
    };
    *request
}

fn outcome(keys: usize) -> Outcome {
    let source = BucketName::parse(&"s".repeat(63)).unwrap();
    let role_name = RoleName::for_source(&source);
    let attributes = RuleAttributes {
        role_arn: format!("arn:aws:iam::111122223333:role/{}/{role_name}", "p".repeat(510)),
        role_name,
        source_kms_key_arns: (0..keys)
            .map(|key| {
                format!("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-{key:012}")
            })
            .collect(),
        replica_kms_key_arn:
            "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
        destination_bucket_arn: format!("arn:aws:s3:::{}", "d".repeat(63)),
        destination_region: Region::parse("us-west-2").unwrap(),
        job_id: None,
    };
    let plan = Plan { warnings: vec!["\"\n".repeat(5_000)], ..Plan::default() };
    let rule = RuleAddress { source, id: RuleId::named("demo").unwrap() };
    Outcome { rule, status: Status::Configured, plan, attributes: Some(attributes) }
}

fn answer(request: &Request, result: &Result<Completion, Error>) -> (usize, Value) {
    let body = cloudformation_answer(request, "p".repeat(200), result).unwrap();
    (body.len(), serde_json::from_str(&body).unwrap())
}

#[test]
fn cloudformation_answer_stays_within_the_size_limit_for_many_keys_and_long_reasons() {
    let request = request(
        &format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{}/6f3c", "s".repeat(128)),
        &"L".repeat(255),
    );
    for keys in [1, 10, 120] {
        let (length, answer) = answer(&request, &Ok(Completion::Rule(Box::new(outcome(keys)))));
        assert!(length <= MAX_BODY, "{keys} keys: {length}");
        assert_eq!(answer["Data"]["SourceKmsKeyArns"].is_string(), keys <= 10);
    }
    let (length, failed) = answer(&request, &Err(Error::Internal("é\u{1}\"".repeat(2_000))));
    assert!(length <= MAX_BODY);
    assert!(failed["Reason"].as_str().unwrap().starts_with("internal error: é"));
}

#[test]
fn dry_run_reason_has_the_values_where_they_fit_and_otherwise_every_action() {
    let request = request("stack", "Logical");
    let reason = |roles: usize, path: &str| {
        let create = |index| Action::CreateRole {
            name: RoleName::for_source(&BucketName::parse(&format!("bucket-{index}")).unwrap()),
            path: path.to_owned(),
            trust: crate::iam_policy::trust(),
            boundary: None,
            owner: crate::model::RoleOwner::Bucket(BucketName::parse("orders").unwrap()),
        };
        let stage = Stage { name: StageName::Prepare, actions: (0..roles).map(create).collect() };
        let plan = Plan { stages: vec![stage], ..Plan::default() };
        let planned = Outcome { status: Status::Planned, plan, ..outcome(1) };
        let (_, answer) = answer(&request, &Ok(Completion::Rule(Box::new(planned))));
        answer["Reason"].as_str().unwrap().to_owned()
    };
    let short = reason(1, "/p/");
    assert!(short.starts_with("DryRun, nothing was changed: 1 to add, 0 to change, 0 to remove\n"));
    assert!(short.contains("+ Path: /p/"), "{short}");
    let long = reason(9, &format!("/{}/", "p".repeat(500)));
    assert!(!long.contains("Path"), "{long}");
    assert!(long.ends_with("+ CreateRole on role `s3-crr-bucket-8`"), "{long}");
}

#[test]
fn reason_is_truncated_to_a_kilobyte_of_escaped_json() {
    let json_length = |reason: &str| serde_json::to_string(reason).unwrap().len() - 2;
    for (character, expected) in
        [("a", 1_024), ("\u{1}", 1_020), ("\n", 1_024), ("\"", 1_024), ("é", 1_024), ("€", 1_023)]
    {
        let reason = truncate_reason(&character.repeat(2_000));
        assert_eq!(json_length(&reason), expected, "{character:?}");
        assert_eq!(truncate_reason(&reason), reason);
    }
}

#[test]
fn cloudformation_answer_copies_the_ids_and_omits_null_values() {
    let (_, answer) =
        answer(&request("stack", "Logical"), &Ok(Completion::Nothing { reason: None }));
    let expected = json!({
        "Status": "SUCCESS", "PhysicalResourceId": "p".repeat(200), "StackId": "stack", "RequestId": "request", "LogicalResourceId": "Logical",
    });
    assert_eq!(answer, expected);
}
