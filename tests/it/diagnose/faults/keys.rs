//! Faults of the two keys, of their policies, and of the role's rights to them.

use super::*;

pub fn faults() -> Vec<Case> {
    rights().into_iter().chain(keys()).chain(policies()).collect()
}

fn rights() -> Vec<Case> {
    vec![
        fails("role may not make data keys, with a Bucket Key", |state| {
            bucket_key(state, "demo-destination", REPLICA_KEY);
            edit_policy(state, r#""kms:GenerateDataKey""#, r#""kms:DescribeKey""#);
        })
        .finding(KeyNotGranted, FailsNow),
        fails("role may not decrypt with the replica key, with a Bucket Key", |state| {
            bucket_key(state, "demo-destination", REPLICA_KEY);
            edit_policy(state, r#"["kms:Decrypt","kms:Encrypt","#, r#"["kms:Encrypt","#);
        })
        .finding(KeyNotGranted, FailsNow),
        fails("key is used through another Region", |state| {
            edit_policy(state, "s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com");
        })
        .finding(ViaServiceNotGranted, FailsNow),
        fails("key is used through another suffix", |state| {
            edit_policy(state, "s3.us-west-2.amazonaws.com", "s3.us-west-2.amazonaws.com.cn");
        })
        .finding(ViaServiceNotGranted, FailsNow),
        fails("alias is a resource", |state| {
            let alias = r#""Resource":"arn:aws:kms:us-east-1:111122223333:alias/source""#;
            edit_policy(state, &format!(r#""Resource":"{SOURCE_KEY}""#), alias);
        })
        .finding(AliasAsResource, FailsNow),
    ]
}

fn keys() -> Vec<Case> {
    vec![
        fails("replica key is gone", |state| drop(state.keys.remove(REPLICA_KEY)))
            .finding(ReplicaKeyMissing, FailsNow),
        fails("replica key is disabled", |state| {
            state.key_mut(REPLICA_KEY).state = KeyState::Disabled;
        })
        .finding(ReplicaKeyUnusable, FailsNow),
        fails("replica key is about to be deleted", |state| {
            state.key_mut(REPLICA_KEY).state = KeyState::PendingDeletion;
        })
        .finding(ReplicaKeyUnusable, FailsNow),
        fails("replica key is asymmetric", |state| state.key_mut(REPLICA_KEY).symmetric = false)
            .finding(ReplicaKeyUnusable, FailsNow),
        fails("replica key is of another Region", |state| {
            let arn = REPLICA_KEY.replace("us-west-2", "eu-west-1");
            state.keys.insert(arn.clone(), key(&arn));
            state.edit_replication("demo-source", REPLICA_KEY, &arn);
            edit_policy(state, REPLICA_KEY, &arn);
        })
        .finding(ReplicaKeyUnusable, FailsNow),
        fails("source key is disabled", |state| {
            state.key_mut(SOURCE_KEY).state = KeyState::Disabled;
        })
        .finding(SourceKeyUnusable, FailsNow),
    ]
}

fn policies() -> Vec<Case> {
    vec![
        fails("key policy lets nobody of the account in", |state| {
            let other = "arn:aws:iam::111122223333:role/other";
            key_allows(state, REPLICA_KEY, json!({"Principal": {"AWS": other}}));
        })
        .finding(KeyPolicyDoesNotAllow, FailsNow),
        fails("key policy denies", |state| {
            let condition = json!({"ArnNotEquals": {"aws:PrincipalArn": FOREIGN_ROLE}});
            key_denies_decryption(state, SOURCE_KEY, condition);
        })
        .finding(KeyPolicyDenies, FailsNow),
    ]
}
