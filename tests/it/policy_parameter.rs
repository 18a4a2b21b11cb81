//! The replication policy in an SSM parameter.

use s3_kms_replication::error::Error;
use serde_json::{Value, json};

use crate::support::*;

const NAME: &str = "/s3-kms-replication/policy";

/// Handles a payload with the replication policy in the parameter.
async fn invoke_with_parameter(fake: &Fake, payload: &Value) -> Result<Value, Error> {
    let settings =
        environment(&[("REPLICATION_POLICY_PARAMETER", NAME), ("AWS_REGION", "us-east-1")]);
    invoke_with(fake, payload, &settings).await
}

fn with_parameter(policy: &str) -> Fake {
    let fake = Fake::new(two_buckets());
    fake.parameters.borrow_mut().insert(NAME.to_owned(), policy.to_owned());
    fake
}

#[tokio::test]
async fn policy_in_a_parameter_acts_like_the_same_policy_in_the_environment() {
    let fake = with_parameter(POLICY);
    invoke_with_parameter(&fake, &sample("create-bucket")).await.unwrap();
    let inline = Fake::new(two_buckets());
    invoke(&inline, &sample("create-bucket")).await.unwrap();
    assert_eq!(fake.state, inline.state);
}

#[tokio::test]
async fn missing_or_invalid_parameter_fails_only_requests_that_need_the_policy() {
    for (fake, reason) in [
        (Fake::new(two_buckets()), "ParameterNotFound"),
        (
            with_parameter(r#"{"Rules": [{"Name": "dr"}]}"#),
            "`REPLICATION_POLICY_PARAMETER.Rules[0].Match` is required",
        ),
    ] {
        let answer = invoke_with_parameter(&fake, &sample("command-reconcile")).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(fake.writes(), []);
        invoke_with_parameter(&fake, &custom_resource("Create", json!({}))).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    }
}
