//! Policies and boundaries of the role.
//!
//! `reference_policies_elements_notaction.html`, `…_notresource.html`, `…_version.html`, `…_condition_operators.html`, and
//! `access_policies_boundaries.html`.

use super::*;

/// Everything that S3 calls, on everything.
fn all_rights() -> Value {
    allow(json!({"Action": ["s3:Get*", "s3:List*", "s3:Replicate*", "kms:*"]}))
}

/// Everything of S3 and KMS under this condition.
fn all_rights_if(condition: Value) -> Value {
    allow(json!({"Action": ["s3:*", "kms:*"], "Condition": condition}))
}

/// Makes these statements the role's only policy.
fn only_policy(state: &mut State, statements: Value) {
    *inline_policy(state) = document(&statements);
}

/// Adds a statement to a role that has all rights.
fn with_rights(state: &mut State, statement: Value) {
    only_policy(state, json!([all_rights(), statement]));
}

/// Gives the role, which has all rights, a permissions boundary that allows all but these actions.
fn boundary_without(state: &mut State, actions: Value) {
    only_policy(state, json!([all_rights()]));
    let arn = "arn:aws:iam::111122223333:policy/boundary";
    state.role_mut(OWN_ROLE_NAME).boundary = Some(arn.to_owned());
    let boundary = document(&allow(json!({"Action": null, "NotAction": actions})));
    state.managed_policies.insert(arn.to_owned(), boundary);
}

/// Names the account by a variable in the policy.
fn variable_of_the_account(state: &mut State) {
    edit_policy(state, SOURCE_KEY, &SOURCE_KEY.replace(ACCOUNT, "${aws:PrincipalAccount}"));
}

#[tokio::test]
async fn policies_of_the_role_decide_as_aws_documents() {
    assert_cases(&working().await, elements().chain(conditions()), &Access::Own).await;
}

fn elements() -> impl Iterator<Item = Case> {
    [
        works("all rights", |state| only_policy(state, json!([all_rights()]))),
        works("rights in a managed policy", |state| {
            only_policy(state, json!([]));
            let arn = "arn:aws:iam::111122223333:policy/rights".to_owned();
            let rights = json!({"Statement": all_rights()}).to_string();
            state.managed_policies.insert(arn.clone(), rights);
            state.role_mut(OWN_ROLE_NAME).attached.push(arn);
        }),
        works("boundary that allows all but IAM", |state| {
            boundary_without(state, json!("iam:*"));
        }),
        fails("boundary that allows all but deletes", |state| {
            boundary_without(state, json!(["s3:ReplicateObject", "s3:Delete*"]));
        })
        .finding(BoundaryDoesNotAllow, FailsNow),
        works("Allow with NotResource", |state| {
            let others = json!({"Resource": null, "NotResource": "arn:aws:s3:::other/*"});
            only_policy(state, json!([allow(others)]));
        }),
        works("Deny with NotAction", |state| {
            let actions = ["S3:*", "kms:decrypt", "kms:?ncrypt", "kms:GenerateData*"];
            with_rights(state, deny(json!({"Action": null, "NotAction": actions})));
        }),
        works("variable of the account in a resource", variable_of_the_account),
        fails("variable in a policy of the old version", |state| {
            variable_of_the_account(state);
            edit_policy(state, "2012-10-17", "2008-10-17");
        })
        .finding(KeyNotGranted, FailsNow),
        unknown("unknown element", |state| with_rights(state, allow(json!({"Except": "x"})))),
    ]
    .into_iter()
}

fn conditions() -> impl Iterator<Item = Case> {
    [
        fails("wildcard under an operator without wildcards", |state| {
            edit_policy(state, r#""kms:ViaService":"s3.us-east-1.amazonaws.com""#, r#""x":"*""#);
            edit_policy(
                state,
                r#""StringLike":{"#,
                r#""StringEquals":{"kms:ViaService":"s3.*.amazonaws.com"},"StringLike":{"#,
            );
            edit_policy(state, r#","x":"*""#, "");
        })
        .finding(ViaServiceNotGranted, FailsNow)
        .finding(ViaServiceNotGranted, FailsNow),
        works("all keys of the encryption context are known", |state| {
            let others = json!({"kms:EncryptionContextKeys": "aws:s3:arn"});
            let condition = json!({"ForAnyValue:StringNotEquals": others});
            with_rights(state, deny(json!({"Action": "kms:*", "Condition": condition})));
        }),
        fails("key that only services send", |state| {
            let condition = json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}});
            let of_keys = allow(json!({"Action": "kms:*"}));
            let of_buckets = allow(json!({"Action": "s3:*", "Condition": condition}));
            only_policy(state, json!([of_keys, of_buckets]));
        })
        .finding(ActionNotGranted, FailsNow)
        .finding(ActionNotGranted, FailsNow),
        works("key that only services send, if it is there", |state| {
            let condition = json!({"StringEqualsIfExists": {"aws:SourceAccount": OTHER_ACCOUNT}});
            only_policy(state, json!([all_rights_if(condition)]));
        }),
        unknown("key that is not known, for all values", |state| {
            let condition = json!({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}});
            only_policy(state, json!([all_rights_if(condition)]));
        }),
        unknown("Region of the call", |state| {
            let regions = json!({"aws:RequestedRegion": ["us-east-1", "us-west-2"]});
            with_rights(state, deny(json!({"Condition": {"StringNotEquals": regions}})));
        }),
    ]
    .into_iter()
}
