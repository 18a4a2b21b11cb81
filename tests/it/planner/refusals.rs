//! One row for each refusal of the planner.

use aws_sdk_kms::types::KeyState;
use insta::assert_snapshot;
use s3_kms_replication::model::{Key, ReplicationRule, Role, RoleName};
use serde_json::json;

use super::{own_role, with};
use crate::support::*;

#[tokio::test]
async fn invariant_9_every_refusal_of_the_planner_has_its_reason() {
    let all = |prefix: &str, range: std::ops::Range<i32>| {
        range.map(|index| foreign_rule(&format!("{prefix}-{index}"), index)).collect()
    };
    let with_rules = move |rules: Vec<ReplicationRule>| {
        two_buckets().with_bucket(
            "demo-source",
            Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).replicating(OWN_ROLE, rules),
        )
    };
    let with_own_name = || {
        let name = RoleName::from_arn(OWN_ROLE).unwrap();
        Role { name, arn: OWN_ROLE.to_owned(), ..foreign_role() }
    };
    let without_filter = || Rule::new("v1", 1).v1().build();
    let key = |change: fn(&mut Key)| {
        let mut state = two_buckets();
        change(state.key_mut("arn:aws:kms:us-west-2:111122223333:alias/dr"));
        change(state.key_mut(REPLICA_KEY));
        state
    };
    let (none, extend) = (json!({}), json!({"ExistingRole": "Extend"}));
    let mut table = Table::default();
    for (case, state, changes) in [
        (
            "destination missing",
            with(two_buckets(), |state| drop(state.buckets.remove("demo-destination"))),
            none.clone(),
        ),
        (
            "destination in another Region",
            two_buckets().with_bucket("demo-destination", Bucket::new("us-east-1")),
            none.clone(),
        ),
        (
            "destination to create in another account without a role",
            two_accounts(),
            json!({"DestinationBucket": "made", "CreateDestinationBucket": true, "DestinationAccount": OTHER_ACCOUNT, "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY}),
        ),
        (
            "destination not versioned in another account",
            two_accounts(),
            json!({"DestinationBucket": "abroad", "DestinationAccount": OTHER_ACCOUNT, "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY}),
        ),
        (
            "resource policy not readable as one",
            with(two_accounts(), |state| {
                drop(state.policies.insert("bucket `abroad`".to_owned(), "[]".to_owned()))
            }),
            other_account_properties(),
        ),
        (
            "resource policy too long",
            with(two_accounts(), |state| {
                drop(state.policies.insert(
                    "bucket `abroad`".to_owned(),
                    BUCKET_POLICY.replace("TlsOnly", &"x".repeat(20_400)),
                ))
            }),
            other_account_properties(),
        ),
        ("replica key missing", with(two_buckets(), |state| state.keys.clear()), none.clone()),
        ("replica key disabled", key(|key| key.state = KeyState::Disabled), none.clone()),
        ("replica key asymmetric", key(|key| key.symmetric = false), none.clone()),
        ("replica key managed by AWS", key(|key| key.aws_managed = true), none.clone()),
        ("source key of another Region", two_buckets(), json!({"SourceKmsKeyArns": REPLICA_KEY})),
        (
            "source with Object Lock",
            with(two_buckets(), |state| state.bucket_mut("demo-source").object_lock = true),
            none.clone(),
        ),
        ("foreign role, Refuse", with_foreign_role(), none.clone()),
        ("serving role missing", with_foreign_rules(FOREIGN_ROLE), extend.clone()),
        (
            "role of another bucket",
            with(with_foreign_role(), |state| {
                drop(
                    state
                        .role_mut("their-replication")
                        .tags
                        .insert("s3-kms-replication".to_owned(), "other".to_owned()),
                )
            }),
            extend.clone(),
        ),
        ("name of the role taken", two_buckets().with_role(with_own_name()), none.clone()),
        ("V1 rules", with_rules(vec![without_filter()]), none.clone()),
        ("priority taken", with_rules(vec![foreign_rule("theirs", 5)]), json!({"Priority": 5})),
        (
            "topic of another Region",
            two_buckets(),
            json!({"AlarmTopicArn": TOPIC.replace("us-east-1", "us-west-2")}),
        ),
        ("as many rules as S3 allows", with_rules(all("theirs", 0..1_000)), none.clone()),
        (
            "inline policies too long",
            with(applied(two_buckets(), &[&spec(json!({"Name": "other"}))]).await, |state| {
                drop(
                    own_role(state)
                        .policies
                        .insert("s3-kms-replication.big".to_owned(), "x".repeat(10_000)),
                )
            }),
            none.clone(),
        ),
        (
            "job of a foreign role",
            with(with_foreign_role(), |state| {
                drop(state.buckets.insert("reports".to_owned(), Bucket::new("us-east-1")))
            }),
            merged(job_properties(), extend.clone()),
        ),
        ("report bucket missing", two_buckets(), job_properties()),
        (
            "canary of a locked destination",
            with(two_buckets(), |state| state.bucket_mut("demo-destination").object_lock = true),
            json!({"Verify": true}),
        ),
    ] {
        let refusal = plan_apply(&state, &spec(changes)).unwrap_err();
        table.add(case, &refusal.to_string());
    }
    assert_snapshot!(table.text());
}
