//! The keys that a service sends when it assumes a role. AWS does not document whether S3 sends them to replicate.

use super::*;

/// Gives the trust policy a condition.
fn demand(state: &mut State, condition: Value) {
    let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
    let action = r#""Action":"sts:AssumeRole""#;
    assert!(trust.contains(action), "{trust}");
    *trust = trust.replace(action, &format!(r#"{action},"Condition":{condition}"#));
}

/// Demands a source bucket by this operator.
fn demand_source(state: &mut State, operator: &str, bucket: &str) {
    let arn = format!("arn:aws:s3:::{bucket}");
    demand(state, json!({operator: {"aws:SourceArn": arn}}));
}

#[tokio::test]
async fn trust_policy_must_let_s3_in_with_and_without_the_keys_of_services() {
    let cases = [
        unknown("trust demands the source's account", |state| {
            demand(state, json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}}));
        }),
        unknown("trust demands the source bucket", |state| {
            demand_source(state, "ArnLike", "demo-source");
        }),
        works("trust demands the source bucket, if the key is sent", |state| {
            demand_source(state, "ArnLikeIfExists", "demo-source");
        }),
        fails("trust demands another bucket", |state| demand_source(state, "ArnLike", "other"))
            .finding(RoleNotTrusted, FailsNow),
        unknown("trust demands another bucket, if the key is sent", |state| {
            demand_source(state, "ArnLikeIfExists", "other");
        }),
        unknown("trust demands the organization", |state| {
            demand(state, json!({"StringEquals": {"aws:SourceOrgID": "o-1"}}));
        }),
    ];
    assert_cases(&working().await, cases, &Access::Own).await;
}
