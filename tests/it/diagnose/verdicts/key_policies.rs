//! Policies of the two keys. `key-policy-default.html`.

use super::*;

#[tokio::test]
async fn policies_of_keys_decide_as_aws_documents() {
    let cases = [
        works("key policy gives what the role lacks", |state| {
            edit_policy(state, SOURCE_KEY, "arn:aws:kms:us-east-1:111122223333:key/other");
            let gives = json!({"Principal": {"AWS": OWN_ROLE}, "Action": "kms:Decrypt"});
            key_allows(state, SOURCE_KEY, gives);
        }),
        works("key policy for S3 of its Region and for callers of the account", |state| {
            let callers = json!({
                "Principal": {"AWS": "*"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
                "Condition": {"StringEquals": {
                    "kms:CallerAccount": ACCOUNT,
                    "kms:ViaService": "s3.us-west-2.amazonaws.com",
                }},
            });
            key_allows(state, REPLICA_KEY, callers);
        }),
        fails("key policy for another service", |state| {
            let service = json!({"kms:ViaService": "ebs.us-west-2.amazonaws.com"});
            key_allows(state, REPLICA_KEY, json!({"Condition": {"StringEquals": service}}));
        })
        .finding(KeyPolicyDoesNotAllow, FailsNow),
        fails("key of several Regions, whose other half is granted", |state| {
            let arn = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234";
            state.keys.insert(arn.to_owned(), key(arn));
            state.edit_replication("demo-source", REPLICA_KEY, arn);
            edit_policy(state, REPLICA_KEY, &arn.replace("us-west-2", "us-east-1"));
        })
        .finding(ActionNotGranted, FailsNow)
        .finding(KeyNotGranted, FailsNow),
    ];
    assert_cases(&working().await, cases, &Access::Own).await;
}
