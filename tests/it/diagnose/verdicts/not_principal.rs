//! Exceptions from a Deny by principal.
//!
//! `reference_policies_elements_notprincipal.html`: "you must also specify the account ARN of the not-denied principal. Otherwise, the policy
//! might deny access to the entire account".

use super::*;

const ACCOUNT_ROOT: &str = "arn:aws:iam::111122223333:root";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/s3-crr-demo-source/any";

/// Denies everything in the destination to all but those named.
fn deny_all_but(state: &mut State, principals: &[&str]) {
    destination_denies(state, json!({"Principal": null, "NotPrincipal": {"AWS": principals}}));
}

#[tokio::test]
async fn exception_by_not_principal_is_certain_only_as_aws_documents() {
    let cases = [
        unknown("NotPrincipal names the role only", |state| deny_all_but(state, &[OWN_ROLE])),
        unknown("NotPrincipal names the role and the account", |state| {
            deny_all_but(state, &[OWN_ROLE, ACCOUNT_ROOT]);
        }),
        fails("NotPrincipal names another role", |state| {
            deny_all_but(state, &["arn:aws:iam::111122223333:role/other"]);
        })
        .finding(DestinationBucketPolicyDenies, FailsNow),
        unknown("NotPrincipal names a session of the role, the role and the account", |state| {
            deny_all_but(state, &[SESSION, OWN_ROLE, ACCOUNT_ROOT]);
        }),
        works("condition excepts the role", |state| {
            let condition = json!({"ArnNotEquals": {"aws:PrincipalArn": OWN_ROLE}});
            destination_denies(state, json!({"Condition": condition}));
        }),
        unknown("Deny names a session of the role", |state| {
            destination_denies(state, json!({"Principal": {"AWS": SESSION}}));
        }),
    ];
    assert_cases(&working().await, cases, &Access::Own).await;
}
