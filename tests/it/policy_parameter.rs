//! The replication policy in an SSM parameter.

use serde_json::json;

use crate::fake::Fake;
use crate::*;

const NAME: &str = "/s3-kms-replication/policy";

async fn follow(fake: &Fake, payload: &Value) -> Handled {
    let variables = [("REPLICATION_POLICY_PARAMETER", NAME), ("AWS_REGION", "us-east-1")];
    let settings = Settings::read(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    });
    Box::pin(handle(payload, Instant::now() + Duration::from_secs(300), fake, &settings.unwrap()))
        .await
}

fn holding(policy: &str) -> Fake {
    let fake = Fake::of(two_buckets());
    fake.parameters.borrow_mut().insert(NAME.to_owned(), policy.to_owned());
    fake
}

#[tokio::test]
async fn a_policy_in_a_parameter_is_as_good_as_one_in_the_environment() {
    let fake = holding(POLICY);
    follow(&fake, &sample("create-bucket")).await.answer.unwrap();
    let inline = Fake::of(two_buckets());
    ask(&inline, &sample("create-bucket")).await.unwrap();
    assert_eq!(fake.state, inline.state);
}

#[tokio::test]
async fn a_parameter_that_is_missing_or_wrong_fails_what_needs_it_and_nothing_else() {
    for (fake, reason) in [
        (Fake::of(two_buckets()), "ParameterNotFound"),
        (
            holding(r#"{"Rules": [{"Name": "dr"}]}"#),
            "`REPLICATION_POLICY_PARAMETER.Rules[0].Match` is required",
        ),
    ] {
        let handled = follow(&fake, &sample("command-reconcile")).await;
        let error = handled.answer.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(fake.writes(), Vec::<String>::new());
        follow(&fake, &custom_resource("Create", json!({}))).await.answer.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    }
}
