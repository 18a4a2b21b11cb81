//! The faults of a destination in another account, put one at a time into a setup that works.

use s3_kms_replication::diagnose::Code::*;
use s3_kms_replication::diagnose::Severity::*;
use s3_kms_replication::model::ObjectOwnership;

use super::*;

/// Replaces a text in the policy of the destination, which must have it.
fn edit_bucket_policy(state: &mut State, from: &str, to: &str) {
    let policy = state.policies.get_mut("bucket `abroad`").unwrap();
    assert!(policy.contains(from), "`{from}` is not in {policy}");
    *policy = policy.replace(from, to);
}

/// Takes the right to override the owner from the role.
fn deny_override(state: &mut State) {
    edit_policy(state, r#""s3:ObjectOwnerOverrideToBucketOwner","#, "");
}

#[tokio::test]
async fn every_fault_in_a_working_setup_of_two_accounts_is_found_alone() {
    let working = working_abroad().await;
    assert_works(&diagnosed(working.clone(), &abroad()).await);
    let faults = [
        fails("bucket policy does not let the role in", |state| {
            state.policies.insert("bucket `abroad`".to_owned(), BUCKET_POLICY.to_owned());
        })
        .finding(DestinationBucketPolicyDoesNotAllow, FailsNow),
        fails("bucket policy lets another role in", |state| {
            edit_bucket_policy(state, "s3-crr-demo-source", "s3-crr-demo-other");
        })
        .finding(DestinationBucketPolicyDoesNotAllow, FailsNow),
        fails("key policy does not let the role in", |state| {
            state.policies.insert(format!("key `{OTHER_ACCOUNT_KEY}`"), KEY_POLICY.to_owned());
        })
        .finding(KeyPolicyDoesNotAllow, FailsNow),
        fails("owner override is not granted to the role", |state| {
            state.bucket_mut("abroad").ownership = ObjectOwnership::ObjectWriter;
            deny_override(state);
        })
        .finding(ActionNotGranted, FailsNow),
        works("owner override is not granted to the role, nor needed", deny_override)
            .finding(ActionNotGranted, Note),
        fails("owner override is not granted by the bucket policy", |state| {
            state.bucket_mut("abroad").ownership = ObjectOwnership::BucketOwnerPreferred;
            edit_bucket_policy(state, "s3:ObjectOwnerOverrideToBucketOwner", "s3:PutObjectAcl");
        })
        .finding(DestinationBucketPolicyDoesNotAllow, FailsNow),
        fails("requester pays", |state| state.bucket_mut("abroad").requester_pays = true)
            .finding(RequesterPays, FailsNow),
        works("replicas stay in the source account's possession", |state| {
            state.remove_element("demo-source", "AccessControlTranslation");
            state.bucket_mut("abroad").ownership = ObjectOwnership::ObjectWriter;
        })
        .finding(OwnerNotOverridden, Note),
        fails("replica key is managed by AWS", |state| {
            state.key_mut(OTHER_ACCOUNT_KEY).aws_managed = true;
        })
        .finding(ReplicaKeyUnusable, FailsNow),
    ];
    let found = assert_cases(&working, faults, &abroad()).await;
    insta::assert_snapshot!(found.text());
}

#[tokio::test]
async fn destination_of_another_owner_than_the_rule_says_is_found() {
    let mut state = working().await;
    let bucket = "<Bucket>arn:aws:s3:::demo-destination</Bucket>";
    let named = |account: &str| format!("{bucket}<Account>{account}</Account>");
    state.edit_replication("demo-source", bucket, &named(ACCOUNT));
    assert_works(&diagnosed(state.clone(), &Access::Own).await);

    let mut taken = state.clone();
    taken.bucket_mut("demo-destination").owner = OTHER_ACCOUNT.to_owned();
    let diagnosis = diagnosed(taken, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(DestinationOwnedByOther, FailsNow)], "{}", diagnosis.text);

    state.edit_replication("demo-source", &named(ACCOUNT), &named(OTHER_ACCOUNT));
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(DestinationOwnedByOther, FailsNow)], "{}", diagnosis.text);
}

#[tokio::test]
async fn destination_that_cannot_be_read_makes_the_verdict_unknown_and_says_whose_credentials_show_it()
 {
    let diagnosis = diagnosed(working_abroad().await, &Access::Own).await;
    assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
    insta::assert_snapshot!(diagnosis.text);
}
