//! A destination whose role can no longer be assumed.

use s3_kms_replication::model::{ApiError, OptionalRight, Retry};
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn delete_without_the_destinations_role_says_what_remains_and_how_to_go_on() {
    let fake = Fake::new(two_accounts());
    create(&fake, other_account_properties()).await;
    let before = fake.state.borrow().clone();
    let sid = our_statements(&before, "bucket `abroad`")[0]["Sid"].clone();
    fake.lose_destination_role(Some(ApiError {
        operation: "AssumeRole",
        resource: "role `arn:aws:iam::444455556666:role/replication-setup`".to_owned(),
        code: "AccessDenied".to_owned(),
        message: "not authorized".to_owned(),
        missing_right: Some(OptionalRight::AssumeDestinationRole),
        retry: Retry::Never,
    }));
    fake.clear();
    let answer = delete_with(&fake, other_account_properties()).await;
    let reason = answer["Reason"].as_str().unwrap();
    for part in [
        sid.as_str().unwrap(),
        "nothing was deleted",
        "bucket `abroad`",
        OTHER_ACCOUNT_KEY,
        "without `DestinationRoleArn`",
    ] {
        assert!(reason.contains(part), "`{part}` in {reason}");
    }
    assert_eq!((fake.writes(), &*fake.state.borrow()), (Vec::new(), &before));
    // As it says: without the role, everything but the statements goes.
    let without_role = json!({
        "DestinationBucket": "abroad",
        "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY,
        "DestinationAccount": OTHER_ACCOUNT,
        "DestinationRoleArn": null,
        "DestinationRoleExternalId": null,
    });
    assert_eq!(delete_with(&fake, without_role).await["Status"], "SUCCESS");
    let state = fake.state.borrow();
    assert!(state.roles.is_empty() && state.buckets["demo-source"].replication.is_none());
    assert_eq!(our_statements(&state, "bucket `abroad`").len(), 1);
}
