//! Invariant 2: foreign rules and roles survive.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_rules_survive_create_update_and_delete() {
    let before = with_foreign_rules(OWN_ROLE);
    let fake = Fake::new(before.clone());
    let foreign = before.rules("demo-source");

    assert_eq!(create(&fake, json!({"Priority": null})).await["Status"], "SUCCESS");
    let rules = fake.state.borrow().rules("demo-source");
    assert_eq!(rules[..2], foreign);
    assert_eq!(rules[2].priority(), Some(8), "the highest existing priority and one");

    fake.answers.borrow_mut().clear();
    invoke(&fake, &custom_resource("Update", json!({"Priority": null, "Prefix": "Bills"})))
        .await
        .unwrap();
    let rules = fake.state.borrow().rules("demo-source");
    assert_eq!(rules[..2], foreign);
    assert_eq!((rules[2].priority(), rules[2].filter().prefix()), (Some(8), Some("Bills")));

    delete(&fake).await;
    assert_eq!(
        fake.state.borrow().buckets,
        before.buckets,
        "the configuration is byte for byte the one before"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_role_is_refused_or_extended_and_never_replaced() {
    let mut before = with_foreign_role();
    let fake = Fake::new(before.clone());

    let refused = create(&fake, json!({})).await;
    assert_snapshot!(refused["Reason"].as_str().unwrap(), @"bucket `demo-source` already replicates with role `arn:aws:iam::111122223333:role/service-role/their-replication`, which is not ours; set `ExistingRole` to Extend to add an inline policy to that role");
    assert_eq!(*fake.state.borrow(), before);

    let extended = create(&fake, json!({"ExistingRole": "Extend"})).await;
    assert_eq!(extended["Data"]["RoleArn"], FOREIGN_ROLE);
    let role = fake.state.borrow().roles["their-replication"].clone();
    assert_eq!(
        role.policies.keys().collect::<Vec<_>>(),
        ["s3-kms-replication.demo-Replication-a6e2a683.5e88cd39afb77251", "theirs"]
    );
    assert_eq!(fake.state.borrow().roles.len(), 1, "no role of ours is made");
    assert_eq!(
        fake.state.borrow().buckets["demo-source"].replication.clone().unwrap().role(),
        FOREIGN_ROLE
    );

    delete(&fake).await;
    assert_eq!(*fake.state.borrow(), before);

    // It would go with the other bucket, and our policies in it.
    before
        .role_mut("their-replication")
        .tags
        .insert("s3-kms-replication".to_owned(), "other".to_owned());
    let fake = Fake::new(before.clone());
    for existing_role in ["Refuse", "Extend"] {
        let refused = create(&fake, json!({"ExistingRole": existing_role})).await;
        assert_eq!(
            refused["Reason"],
            "bucket `demo-source` replicates with role `arn:aws:iam::111122223333:role/service-role/their-replication`, which is our role for bucket `other` and is deleted with that bucket's rules; give bucket `demo-source` a different role"
        );
    }
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn invariant_2_two_buckets_extend_one_foreign_role_with_policies_of_their_own() {
    let mut before = with_foreign_role();
    let Bucket { replication, versioning, .. } = before.buckets["demo-source"].clone();
    let orders = before.bucket_mut("prod-orders");
    (orders.replication, orders.versioning) = (replication, versioning);
    let fake = Fake::new(before.clone());
    for source in ["demo-source", "prod-orders"] {
        let mut apply = sample("command-apply");
        apply.as_object_mut().unwrap().extend([
            ("SourceBucket".to_owned(), json!(source)),
            ("ExistingRole".to_owned(), json!("Extend")),
        ]);
        invoke(&fake, &apply).await.unwrap();
    }
    let policies = fake.state.borrow().roles["their-replication"].policies.clone();
    assert_eq!(policies.len(), 3);
    invoke(&fake, &sample("command-delete")).await.unwrap();
    let left: Vec<_> = fake.state.borrow().roles["their-replication"]
        .policies
        .values()
        .filter(|policy| policy.contains("prod-orders"))
        .cloned()
        .collect();
    assert_eq!((fake.state.borrow().roles["their-replication"].policies.len(), left.len()), (2, 1));
}
