//! A destination in another account that shows nothing to the caller: the role's rights may depend on who owns it.

use super::*;

/// Leaves the destination's account out of the rule.
fn unname_account(state: &mut State) {
    state.remove_element("demo-source", "AccessControlTranslation");
    state.remove_element("demo-source", "Account");
}

#[tokio::test]
async fn account_of_a_destination_that_cannot_be_read_is_not_guessed() {
    let state = working_abroad().await;
    let unchanged = diagnosed(state.clone(), &Access::Own).await;
    assert_eq!(unchanged.verdict, Some(Verdict::Unknown), "{}", unchanged.text);
    assert_eq!(codes(&unchanged), [], "{}", unchanged.text);
    let cases = [
        unknown("rule does not name the account, and a policy does", unname_account),
        fails(
            "rule does not name the account, nor does a policy, and the role may not write",
            |state| {
                unname_account(state);
                edit_policy(state, r#""s3:ReplicateObject""#, r#""s3:PutObject""#);
            },
        )
        .finding(ActionNotGranted, FailsNow),
        unknown("role may not override the owner, which may not be needed", |state| {
            edit_policy(state, r#""s3:ObjectOwnerOverrideToBucketOwner","#, "");
        })
        .finding(ActionNotGranted, Note),
        fails("policy of the role is for another account than the rule names", |state| {
            let account = |account: &str| format!(r#""aws:ResourceAccount":"{account}""#);
            edit_policy(state, &account(OTHER_ACCOUNT), &account(ACCOUNT));
        })
        .finding(ActionNotGranted, FailsNow),
    ];
    assert_cases(&state, cases, &Access::Own).await;
}
