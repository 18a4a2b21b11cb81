//! Statements for some objects only.

use super::*;

/// Denies everything on this resource by the policy of the source.
fn deny_resource(state: &mut State, resource: &str) {
    source_denies(state, json!({"Resource": resource}));
}

/// Takes the prefix `logs/` for the rule, with an object under it.
fn under_prefix(state: &mut State) {
    let filter = "<Filter><Prefix>logs/</Prefix></Filter>";
    state.edit_replication("demo-source", "<Filter/>", filter);
    sample(state, object("logs/1"));
}

/// A Deny for some objects is found, whatever its pattern, or the verdict is unknown.
#[tokio::test]
async fn denial_for_some_objects_is_found_or_makes_the_verdict_unknown() {
    let cases = [
        fails("wildcard in the bucket's name", |state| {
            deny_resource(state, "arn:aws:s3:::demo-*/secret/*");
        })
        .finding(SourceBucketPolicyDenies, FailsForSome),
        fails("pattern begins with a wildcard, under a rule with a prefix", |state| {
            under_prefix(state);
            deny_resource(state, "*.tmp");
        })
        .finding(SourceBucketPolicyDenies, FailsForSome),
        fails("the folder that the rule's prefix names", |state| {
            under_prefix(state);
            deny_resource(state, "arn:aws:s3:::demo-source/logs/");
        })
        .finding(SourceBucketPolicyDenies, FailsForSome),
        works("pattern of another prefix than the rule's", |state| {
            under_prefix(state);
            deny_resource(state, "arn:aws:s3:::demo-source/secret/*");
        }),
        fails("variable of a tag in the pattern", |state| {
            let role = state.role_mut(OWN_ROLE_NAME);
            role.tags.insert("team".to_owned(), "red".to_owned());
            deny_resource(state, "arn:aws:s3:::demo-source/${aws:PrincipalTag/team}/*");
        })
        .finding(SourceBucketPolicyDenies, FailsForSome),
        unknown("variable that is not known in the pattern", |state| {
            deny_resource(state, "arn:aws:s3:::demo-source/${aws:userid}/*");
        }),
        unknown("the 60th of many patterns", |state| {
            let patterns = (0..60).map(|n| format!("arn:aws:s3:::demo-source/{n:02}/*"));
            let allowed: Vec<String> = patterns.chain(["a".to_owned()]).collect();
            add_statement(state, &allow(json!({"Action": "s3:GetObject", "Resource": allowed})));
            deny_resource(state, "arn:aws:s3:::demo-source/zz/*");
        }),
        fails("encryption context in the policy of a key", |state| {
            let context =
                json!({"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::demo-source/secret/*"});
            key_denies_decryption(state, SOURCE_KEY, json!({"StringLike": context}));
        })
        .finding(KeyPolicyDenies, FailsForSome),
        fails("all objects but those of one prefix", |state| {
            let public = "arn:aws:s3:::demo-destination/public/*";
            let except =
                json!({"Action": "s3:Replicate*", "Resource": null, "NotResource": public});
            destination_denies(state, except);
        })
        .finding(DestinationBucketPolicyDenies, FailsForSome),
        works("two statements that allow all objects together", |state| {
            edit_policy(
                state,
                r#""Resource":"arn:aws:s3:::demo-source/*""#,
                r#""Resource":["arn:aws:s3:::demo-source/a*","arn:aws:s3:::demo-source/*"]"#,
            );
        }),
    ];
    assert_cases(&working().await, cases, &Access::Own).await;
}
