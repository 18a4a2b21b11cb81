//! The requests that only a diagnosis sends, and what it reads of the answers.

use s3_kms_replication::model::{
    KeyGrant, ListedObject, ObjectOwnership, ReplicationMetrics, ReplicationStatus, SampledObject,
    SimulatedCall, Simulation,
};
use s3_kms_replication::ports::{Inspect, MeteredRule};

use super::*;

#[tokio::test]
async fn settings_and_objects_of_a_bucket_are_read_with_the_recorded_requests() {
    let ownership = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>";
    let no_ownership =
        "<Error><Code>OwnershipControlsNotFoundError</Code><Message>m</Message></Error>";
    let payer =
        "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>";
    let acl = "<AccessControlPolicy><Owner><ID>me</ID></Owner></AccessControlPolicy>";
    let listed = "<ListBucketResult><Contents><Key>Tax/1</Key><Owner><ID>other</ID></Owner></Contents></ListBucketResult>";
    let (aws, replay) = aws(&[
        ok(ownership),
        (404, None, no_ownership),
        ok(payer),
        ok(acl),
        ok(listed),
        (200, Some(("x-amz-replication-status", "FAILED")), ""),
        (200, Some(("x-amz-server-side-encryption", "aws:kms:dsse")), ""),
        (404, None, ""),
    ]);
    let here = at("demo-source", "us-east-1");
    assert_eq!(aws.object_ownership(&here).await, Ok(ObjectOwnership::BucketOwnerPreferred));
    assert_eq!(aws.object_ownership(&here).await, Ok(ObjectOwnership::ObjectWriter));
    assert_eq!(aws.requester_pays(&here).await, Ok(true));
    assert_eq!(aws.owner_id(&here).await, Ok("me".to_owned()));
    let object = ListedObject { key: "Tax/1".to_owned(), owner: Some("other".to_owned()) };
    assert_eq!(aws.first_objects(&here, "Tax/", 50).await, Ok(vec![object]));
    let sampled = SampledObject {
        key: "Tax/1".to_owned(),
        replication: Some(ReplicationStatus::Failed),
        kms_key: None,
        bucket_key: false,
        dual_layer: false,
        storage_class: "STANDARD".to_owned(),
        last_modified: 0,
    };
    let in_two_layers = SampledObject { replication: None, dual_layer: true, ..sampled.clone() };
    assert_eq!(aws.object(&here, "Tax/1").await, Ok(Some(sampled)));
    assert_eq!(aws.object(&here, "Tax/1").await, Ok(Some(in_two_layers)));
    assert_eq!(aws.object(&here, "Tax/2").await, Ok(None));
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn managed_policies_and_grants_are_read_with_the_recorded_requests() {
    let policy = "<GetPolicyResponse><GetPolicyResult><Policy><DefaultVersionId>v2</DefaultVersionId></Policy></GetPolicyResult></GetPolicyResponse>";
    let version = "<GetPolicyVersionResponse><GetPolicyVersionResult><PolicyVersion><Document>%7B%22Statement%22%3A%5B%5D%7D</Document>\
        </PolicyVersion></GetPolicyVersionResult></GetPolicyVersionResponse>";
    let missing = "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>m</Message></Error></ErrorResponse>";
    let grants = r#"{"Truncated":false,"Grants":[
        {"GrantId":"g","GranteePrincipal":"arn:aws:iam::111122223333:role/r","Operations":["Decrypt"],
         "Constraints":{"EncryptionContextSubset":{"aws:s3:arn":"arn:aws:s3:::a"}}},
        {"GrantId":"of-a-service","GranteeServicePrincipal":"any.amazonaws.com","Operations":["Decrypt"]}]}"#;
    let (aws, replay) = aws(&[ok(policy), ok(version), (404, None, missing), ok(grants)]);
    let arn = "arn:aws:iam::111122223333:policy/more";
    assert_eq!(aws.managed_policy(arn).await, Ok(Some(r#"{"Statement":[]}"#.to_owned())));
    assert_eq!(aws.managed_policy(arn).await, Ok(None));
    let grant = KeyGrant {
        id: "g".to_owned(),
        grantee: "arn:aws:iam::111122223333:role/r".to_owned(),
        operations: vec!["Decrypt".to_owned()],
        context_subset: [("aws:s3:arn".to_owned(), "arn:aws:s3:::a".to_owned())].into(),
        context_equals: BTreeMap::new(),
    };
    let region = Region::parse("us-east-1").unwrap();
    assert_eq!(aws.grants(SOURCE_KEY, &region, &Access::Own).await, Ok(vec![grant]));
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn cut_answer_about_a_setting_is_no_setting() {
    let here = at("demo-source", "us-east-1");
    for body in ["", "<OwnershipControls>", "<Other/>"] {
        assert!(aws(&[ok(body)]).0.object_ownership(&here).await.is_err(), "{body}");
        assert!(aws(&[ok(body)]).0.requester_pays(&here).await.is_err(), "{body}");
        assert!(aws(&[ok(body)]).0.owner_id(&here).await.is_err(), "{body}");
        assert!(aws(&[ok(body)]).0.first_objects(&here, "", 1).await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn simulator_is_asked_with_the_recorded_request() {
    let result = |decision: &str, detail: &str| {
        format!(
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>\
             <EvalActionName>kms:Decrypt</EvalActionName><EvalDecision>{decision}</EvalDecision>{detail}</member></EvaluationResults>\
             </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        )
    };
    let denies = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>";
    let (denied, allowed) = (result("explicitDeny", denies), result("allowed", ""));
    let (aws, replay) = aws(&[ok(&denied), ok(&allowed)]);
    let call = SimulatedCall {
        action: "kms:Decrypt".to_owned(),
        resource: "arn:aws:kms:us-east-1:111122223333:key/1".to_owned(),
        context: vec![("kms:ViaService".to_owned(), "s3.us-east-1.amazonaws.com".to_owned())],
    };
    let role = "arn:aws:iam::111122223333:role/theirs";
    let simulation = |is_explicitly_denied, is_allowed_by_organization| {
        Ok(Simulation { is_explicitly_denied, is_allowed_by_organization })
    };
    assert_eq!(aws.simulate(role, &call).await, simulation(true, Some(false)));
    assert_eq!(aws.simulate(role, &call).await, simulation(false, None));
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn metrics_of_a_rule_are_read_with_the_recorded_request() {
    // CloudWatch's newest values come first.
    let answer = json!({"MetricDataResults": [
        {"Id": "failed", "Values": [2.0, 1.0]},
        {"Id": "pending", "Values": [7.0, 9.0]},
        {"Id": "latency", "Values": [3_700.0, 60.0]},
    ]});
    let mut body = Vec::new();
    ciborium::into_writer(&answer, &mut body).unwrap();
    let answer = http::Response::builder()
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .body(SdkBody::from(body))
        .unwrap();
    let (aws, replay) = aws_answering(None, RetryConfig::disabled(), [answer]);
    let rule = MeteredRule {
        source: bucket("demo-source"),
        destination: bucket("demo-destination"),
        rule: "theirs".to_owned(),
        region: Region::parse("us-east-1").unwrap(),
    };
    let metrics = ReplicationMetrics { failed: 3.0, pending: 7.0, latency: 3_700.0 };
    assert_eq!(aws.replication_metrics(&rule, 1_800_000_000).await, Ok(metrics));

    let requests: Vec<_> = replay.actual_requests().collect();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    let body = ciborium::from_reader(request.body().bytes().unwrap()).unwrap();
    insta::assert_json_snapshot!(
        json!({"Method": request.method(), "Uri": request.uri(), "Body": readable(body)})
    );
}

/// CBOR as JSON, without its tags.
fn readable(value: ciborium::Value) -> Value {
    match value {
        ciborium::Value::Tag(_, value) => readable(*value),
        ciborium::Value::Array(items) => items.into_iter().map(readable).collect(),
        ciborium::Value::Map(entries) => entries
            .into_iter()
            .map(|(name, value)| (name.into_text().unwrap(), readable(value)))
            .collect(),
        plain => plain.deserialized().unwrap(),
    }
}
