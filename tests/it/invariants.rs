//! The invariants of the design, each by its number.

use insta::assert_snapshot;
use serde_json::json;

use s3_kms_replication::model::{Encryption, Retry, Versioning};

use crate::fake::{Fake, Fault, State};
use crate::*;

pub const FOREIGN_ROLE: &str = "arn:aws:iam::111122223333:role/service-role/their-replication";

/// A bucket that replicates by foreign rules around ours-to-be.
pub fn with_foreign_rules(role: &str) -> State {
    let mut state = two_buckets();
    for name in ["demo-source", "demo-destination"] {
        state.buckets.get_mut(name).unwrap().versioning = Versioning::Enabled;
    }
    state.buckets.get_mut("demo-source").unwrap().replication =
        replicating(role, vec![foreign_rule("theirs-b", 7), foreign_rule("theirs-a", 3)]);
    state
}

pub fn foreign_role() -> s3_kms_replication::model::Role {
    s3_kms_replication::model::Role {
        name: s3_kms_replication::model::RoleName::from_arn(FOREIGN_ROLE).unwrap(),
        arn: FOREIGN_ROLE.to_owned(),
        trust: "{\"Version\": \"2008-10-17\"}".to_owned(),
        boundary: None,
        tags: BTreeMap::new(),
        policies: BTreeMap::from([("theirs".to_owned(), "{}".to_owned())]),
        attached: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_1_the_rule_comes_last_and_goes_first() {
    let fake = Fake::of(two_buckets());
    assert_eq!(create(&fake, json!({})).await["Status"], "SUCCESS");
    assert_snapshot!(fake.writes().join("\n"), @r"
    PutBucketVersioning on bucket `demo-destination`
    PutBucketVersioning on bucket `demo-source`
    CreateRole on role `s3-crr-demo-source`
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    PutBucketReplication on bucket `demo-source`
    ");
    fake.calls.borrow_mut().clear();
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
    assert_snapshot!(fake.writes().join("\n"), @r"
    DeleteBucketReplication on bucket `demo-source`
    DeleteRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    DeleteRole on role `s3-crr-demo-source`
    ");
}

#[tokio::test(start_paused = true)]
async fn invariant_1_a_created_destination_is_ready_before_the_rule() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    assert_snapshot!(fake.writes().join("\n"), @r"
    CreateBucket on bucket `prod-orders-replica`
    PutBucketVersioning on bucket `prod-orders`
    CreateRole on role `s3-crr-prod-orders`
    PutBucketVersioning on bucket `prod-orders-replica`
    PutBucketEncryption on bucket `prod-orders-replica`
    PutPublicAccessBlock on bucket `prod-orders-replica`
    PutRolePolicy on inline policy `s3-kms-replication.dr` of role `s3-crr-prod-orders`
    PutBucketReplication on bucket `prod-orders`
    ");
}

#[tokio::test(start_paused = true)]
async fn invariant_1_a_rule_that_moves_keeps_its_grants_until_it_has_moved() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    fake.calls.borrow_mut().clear();
    ask(&fake, &custom_resource("Update", json!({"Prefix": "Bills"}))).await.unwrap();
    assert_snapshot!(fake.writes().join("\n"), @r"
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    PutBucketReplication on bucket `demo-source`
    PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`
    ");
    let policy =
        fake.state.borrow().roles["s3-crr-demo-source"].policies.values().next().unwrap().clone();
    assert!(policy.contains("Bills*") && !policy.contains("Tax*"));
}

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_rules_survive_create_update_and_delete() {
    let before =
        with_foreign_rules("arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source");
    let fake = Fake::of(before.clone());
    let foreign = before.buckets["demo-source"].replication.clone().unwrap().rules;

    assert_eq!(create(&fake, json!({"Priority": null})).await["Status"], "SUCCESS");
    let rules = fake.state.borrow().buckets["demo-source"].replication.clone().unwrap().rules;
    assert_eq!(rules[..2], foreign);
    assert_eq!(rules[2].priority(), Some(8), "the highest existing priority and one");

    fake.answers.borrow_mut().clear();
    ask(&fake, &custom_resource("Update", json!({"Priority": null, "Prefix": "Bills"})))
        .await
        .unwrap();
    let rules = fake.state.borrow().buckets["demo-source"].replication.clone().unwrap().rules;
    assert_eq!(rules[..2], foreign);
    assert_eq!(
        (rules[2].priority(), rules[2].filter().unwrap().prefix()),
        (Some(8), Some("Bills"))
    );

    delete(&fake).await;
    assert_eq!(
        fake.state.borrow().buckets,
        before.buckets,
        "the configuration is byte for byte the one before"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_2_a_foreign_role_is_refused_or_extended_and_never_replaced() {
    let mut before = with_foreign_rules(FOREIGN_ROLE);
    before.roles.insert("their-replication".to_owned(), foreign_role());
    let fake = Fake::of(before.clone());

    let refused = create(&fake, json!({})).await;
    assert_snapshot!(refused["Reason"].as_str().unwrap(), @"bucket `demo-source` already replicates with role `arn:aws:iam::111122223333:role/service-role/their-replication`, which is not ours; set `ExistingRole` to Extend to add an inline policy to that role");
    assert_eq!(*fake.state.borrow(), before);

    let extended = create(&fake, json!({"ExistingRole": "Extend"})).await;
    assert_eq!(extended["Data"]["RoleArn"], FOREIGN_ROLE);
    let role = fake.state.borrow().roles["their-replication"].clone();
    assert_eq!(
        role.policies.keys().collect::<Vec<_>>(),
        ["s3-kms-replication.demo-Replication-a6e2a683.5e88cd39", "theirs"]
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
        .roles
        .get_mut("their-replication")
        .unwrap()
        .tags
        .insert("s3-kms-replication".to_owned(), "other".to_owned());
    let fake = Fake::of(before.clone());
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
async fn invariant_3_twice_is_once_and_a_converged_bucket_costs_reads_only() {
    let extend = custom_resource("Create", json!({"ExistingRole": "Extend"}));
    for payload in [
        custom_resource("Create", json!({})),
        extend,
        sample("create-bucket"),
        sample("command-apply"),
    ] {
        let fake = Fake::of(two_buckets());
        ask(&fake, &payload).await.unwrap();
        let after_once = fake.state.borrow().clone();
        fake.calls.borrow_mut().clear();
        ask(&fake, &payload).await.unwrap();
        assert_eq!(fake.writes(), Vec::<String>::new());
        assert_eq!(*fake.state.borrow(), after_once);
        assert!(
            fake.answers.borrow().iter().all(|answer| answer.contains("SUCCESS")),
            "{:?}",
            fake.answers
        );
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_gives_back_what_create_made_and_nothing_else() {
    let before = two_buckets();
    let fake = Fake::of(before.clone());
    create(&fake, json!({})).await;
    delete(&fake).await;
    let mut expected = before;
    for name in ["demo-source", "demo-destination"] {
        expected.buckets.get_mut(name).unwrap().versioning = Versioning::Enabled;
    }
    assert_eq!(*fake.state.borrow(), expected, "versioning stays, all else is as before");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_the_role_stays_while_a_rule_of_ours_or_of_others_needs_it() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    ask(&fake, &sample("command-apply")).await.unwrap();
    delete(&fake).await;
    assert_eq!(fake.state.borrow().roles["s3-crr-demo-source"].policies.len(), 1);

    let mut configuration = fake.state.borrow().buckets["demo-source"].replication.clone().unwrap();
    configuration.rules.push(foreign_rule("theirs", 9));
    fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().replication =
        Some(configuration);
    let answer = ask(&fake, &sample("command-delete")).await.unwrap();
    assert_eq!(
        answer["Kept"],
        json!([
            "the other rules, unchanged and in order: `theirs`",
            "role `s3-crr-demo-source`: it has or serves rule `theirs`"
        ])
    );
    assert!(fake.state.borrow().roles.contains_key("s3-crr-demo-source"));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_a_bucket_that_is_gone_is_success_and_access_denied_is_not_gone() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    fake.fault
        .set(Some((fake.calls.borrow().len() + 1, Fault::Refused("AccessDenied", Retry::Never))));
    assert_eq!(delete(&fake).await["Status"], "FAILED");
    fake.state.borrow_mut().buckets.remove("demo-source");
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
    assert_eq!(fake.state.borrow().roles, BTreeMap::new());
    assert_eq!(delete(&fake).await["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_of_an_id_that_is_not_ours_succeeds_and_touches_nothing() {
    let before =
        with_foreign_rules("arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source");
    for id in [
        "demo-Replication-1ABCDEF",
        "nothing-was-created",
        "demo-source/theirs-a",
        "demo-source",
        "/",
        "",
    ] {
        let fake = Fake::of(before.clone());
        let mut request = custom_resource("Delete", json!({"Prefix": ["nonsense"]}));
        request["PhysicalResourceId"] = json!(id);
        ask(&fake, &request).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "SUCCESS", "{id}");
        assert_eq!(fake.writes(), Vec::<String>::new(), "{id}");
        assert_eq!(*fake.state.borrow(), before, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_a_made_up_id_finds_what_an_unanswered_create_did() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    let mut request = custom_resource("Delete", json!({}));
    request["PhysicalResourceId"] = json!("demo-Replication-1ABCDEF");
    fake.answers.borrow_mut().clear();
    ask(&fake, &request).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(
        (&fake.state.borrow().roles, &fake.state.borrow().buckets["demo-source"].replication),
        (&BTreeMap::new(), &None)
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_4_what_was_refused_can_be_deleted_even_if_the_bucket_is_somebody_elses() {
    let fake = Fake::of(two_buckets());
    fake.refusals.set(Some(("HeadBucket", usize::MAX, "HTTP 403", Retry::Never)));
    let created = create(&fake, json!({})).await;
    assert_eq!(
        (&created["Status"], &created["PhysicalResourceId"]),
        (&json!("FAILED"), &json!("nothing-was-created"))
    );
    let mut request = custom_resource("Delete", json!({}));
    request["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
    fake.answers.borrow_mut().clear();
    ask(&fake, &request).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_an_update_moves_nothing_until_cloudformation_deletes_the_old_id() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    for (dry_run, id) in [("true", "demo-source"), ("false", "prod-orders")] {
        let mut update =
            custom_resource("Update", json!({"SourceBucket": "prod-orders", "DryRun": dry_run}));
        update["OldResourceProperties"]["SourceBucket"] = json!("demo-source");
        fake.answers.borrow_mut().clear();
        ask(&fake, &update).await.unwrap();
        assert_eq!(
            only_answer(&fake)["PhysicalResourceId"],
            json!(format!("{id}/s3-kms-replication.demo-Replication-a6e2a683"))
        );
        assert!(fake.state.borrow().buckets["demo-source"].replication.is_some());
    }
    delete(&fake).await;
    let state = fake.state.borrow();
    assert!(
        state.buckets["demo-source"].replication.is_none()
            && state.buckets["prod-orders"].replication.is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_2_two_buckets_extend_one_foreign_role_without_touching_each_others_grants() {
    let mut before = with_foreign_rules(FOREIGN_ROLE);
    before.buckets.get_mut("prod-orders").unwrap().replication =
        before.buckets["demo-source"].replication.clone();
    before.roles.insert("their-replication".to_owned(), foreign_role());
    let fake = Fake::of(before.clone());
    for source in ["demo-source", "prod-orders"] {
        let mut apply = sample("command-apply");
        apply.as_object_mut().unwrap().extend([
            ("SourceBucket".to_owned(), json!(source)),
            ("ExistingRole".to_owned(), json!("Extend")),
        ]);
        ask(&fake, &apply).await.unwrap();
    }
    let policies = fake.state.borrow().roles["their-replication"].policies.clone();
    assert_eq!(policies.len(), 3);
    ask(&fake, &sample("command-delete")).await.unwrap();
    let left: Vec<_> = fake.state.borrow().roles["their-replication"]
        .policies
        .values()
        .filter(|policy| policy.contains("prod-orders"))
        .cloned()
        .collect();
    assert_eq!((fake.state.borrow().roles["their-replication"].policies.len(), left.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn invariant_5_cloudformation_gets_one_answer_on_a_fault_a_panic_or_a_hang_in_any_call() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    // All but the last two, when all is done: the rule is looked at, and the lease given back.
    let calls = undisturbed.calls.borrow().len() - 2;
    for fault in [
        Fault::Refused("AccessDenied", Retry::Never),
        Fault::AnswerLost,
        Fault::Panic,
        Fault::Hangs,
    ] {
        for index in 0..calls {
            let fake = Fake::of(two_buckets());
            fake.fault.set(Some((index, fault)));
            let end = Instant::now() + Duration::from_secs(300);
            let answer = create(&fake, json!({})).await;
            assert_eq!(answer["Status"], "FAILED", "{fault:?} in call {index}");
            assert!(
                answer["Reason"].as_str().is_some_and(|reason| !reason.is_empty()),
                "{fault:?} in call {index}"
            );
            assert!(
                Instant::now() + Duration::from_secs(10) <= end,
                "{fault:?} in call {index} is answered ten seconds before the end"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_an_answer_out_of_time_says_what_was_done_and_what_was_not() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({})).await;
    let put_role_policy =
        fake.calls.borrow().iter().position(|call| call.starts_with("! PutRolePolicy")).unwrap();
    let fake = Fake::of(two_buckets());
    fake.fault.set(Some((put_role_policy, Fault::Hangs)));
    assert_snapshot!(create(&fake, json!({})).await["Reason"].as_str().unwrap(), @"ran out of time; done: PutBucketVersioning on bucket `demo-destination`, PutBucketVersioning on bucket `demo-source`, CreateRole on role `s3-crr-demo-source`; not done: PutRolePolicy on inline policy `s3-kms-replication.demo-Replication-a6e2a683` of role `s3-crr-demo-source`, PutBucketReplication on bucket `demo-source`");
}

#[tokio::test(start_paused = true)]
async fn invariant_5_bad_properties_are_answered_and_change_nothing() {
    let mut reasons = Vec::new();
    for change in [
        json!({"DestinatonBucket": "x"}),
        json!({"SourceBucket": null}),
        json!({"SourceBucket": "Not_A_Bucket"}),
        json!({"SourceBucket": ["demo-source"]}),
        json!({"DestinationBucket": ""}),
        json!({"DestinationBucket": "demo-source"}),
        json!({"DestinationBucket": "arn:aws:s3:::demo-source"}),
        json!({"ReplicaKmsKeyArn": "alias/dr"}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/aws/s3"}),
        json!({"DestinationRegion": "us-west"}),
        json!({"DestinationRegion": "eu-west-1"}),
        json!({"SourceKmsKeyArns": ""}),
        json!({"SourceKmsKeyArns": []}),
        json!({"SourceKmsKeyArns": {"a": "b"}}),
        json!({"Prefix": "p".repeat(1_025)}),
        json!({"Tags": "a=b"}),
        json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}),
        json!({"Tags": {"": "b"}}),
        json!({"Tags": {"a": "b"}, "DeleteMarkerReplication": "true"}),
        json!({"Priority": "high"}),
        json!({"Priority": "-1"}),
        json!({"Priority": 1.5}),
        json!({"Metrics": "yes"}),
        json!({"StorageClass": "ICE"}),
        json!({"ExistingRole": "Replace"}),
        json!({"Verify": "yes"}),
        json!({"Verify": "true", "Prefix": "p".repeat(1_000)}),
        json!({"ReplicateExistingObjects": true}),
        json!({"ReportBucket": "reports"}),
        json!({"ReplicateExistingObjects": true, "ReportBucket": "reports", "ReportPrefix": "été"}),
        json!({"ServiceTimeout": "18446744073709551615"}),
        json!({"ServiceTimeout": "soon"}),
    ] {
        let fake = Fake::of(two_buckets());
        let answer = create(&fake, change).await;
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(fake.calls.borrow().len(), 0, "nothing is even asked");
        reasons.push(answer["Reason"].as_str().unwrap().to_owned());
        let deleted = {
            let mut request = sample("cloudformation-delete");
            request["PhysicalResourceId"] = answer["PhysicalResourceId"].clone();
            fake.answers.borrow_mut().clear();
            ask(&fake, &request).await.unwrap();
            only_answer(&fake)
        };
        assert_eq!(
            deleted["Status"], "SUCCESS",
            "the Delete that follows a failed Create succeeds"
        );
    }
    assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_what_is_wrong_is_said_before_anything_is_changed() {
    type Change = fn(&mut State);
    let key: fn(&mut State, &str, fn(&mut Key)) =
        |state, arn, change| change(state.keys.get_mut(arn).unwrap());
    let cases: Vec<(&str, Change)> = vec![
        ("the source is missing", |state| drop(state.buckets.remove("demo-source"))),
        ("the destination is missing", |state| drop(state.buckets.remove("demo-destination"))),
        ("the destination is in another Region than the key", |state| {
            state.buckets.get_mut("demo-destination").unwrap().region = "us-east-1"
        }),
        ("the replica key is missing", |state| drop(state.keys.remove(REPLICA_KEY))),
        ("the default key is missing", |state| drop(state.keys.remove(SOURCE_KEY))),
        ("the source is locked", |state| {
            state.buckets.get_mut("demo-source").unwrap().object_lock = true
        }),
        ("the role's name is taken", |state| {
            let name = s3_kms_replication::model::RoleName::from_arn(
                "arn:aws:iam::111122223333:role/s3-crr-demo-source",
            )
            .unwrap();
            state.roles.insert(
                name.to_string(),
                s3_kms_replication::model::Role { name, ..foreign_role() },
            );
        }),
        ("the bucket has V1 rules", |state| {
            let mut rule = foreign_rule("old", 1);
            rule.filter = None;
            state.buckets.get_mut("demo-source").unwrap().replication = replicating(
                "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source",
                vec![rule],
            );
        }),
        ("the priority is taken", |state| {
            state.buckets.get_mut("demo-source").unwrap().replication = replicating(
                "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source",
                vec![foreign_rule("theirs", 1)],
            );
        }),
        ("the bucket has as many rules as S3 allows", |state| {
            let rules = (0..1_000)
                .map(|index| foreign_rule(&format!("theirs-{index}"), index + 10))
                .collect();
            state.buckets.get_mut("demo-source").unwrap().replication = replicating(
                "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source",
                rules,
            );
        }),
        ("the role's inline policies get too long", |state| {
            let name = s3_kms_replication::model::RoleName::from_arn(
                "arn:aws:iam::111122223333:role/s3-crr-demo-source",
            )
            .unwrap();
            let tags =
                BTreeMap::from([("s3-kms-replication".to_owned(), "demo-source".to_owned())]);
            let policies =
                BTreeMap::from([("s3-kms-replication.other".to_owned(), "x".repeat(9_000))]);
            state.roles.insert(
                name.to_string(),
                s3_kms_replication::model::Role { name, tags, policies, ..foreign_role() },
            );
        }),
    ];
    let mut reasons = Vec::new();
    let mut refused = async |case: &str, before: State| {
        let fake = Fake::of(before.clone());
        let answer = create(&fake, json!({})).await;
        assert_eq!(answer["Status"], "FAILED", "{case}");
        assert_eq!(fake.writes(), Vec::<String>::new(), "{case}");
        assert_eq!(*fake.state.borrow(), before, "{case}");
        reasons.push(format!("{case}:\n  {}", answer["Reason"].as_str().unwrap()));
    };
    for (case, change) in cases {
        let mut state = two_buckets();
        change(&mut state);
        refused(case, state).await;
    }
    for (case, change) in [
        ("disabled", (|key| key.state = KeyState::Disabled) as fn(&mut Key)),
        ("pending deletion", |key| key.state = KeyState::PendingDeletion),
        ("asymmetric", |key| key.symmetric = false),
        ("managed by AWS", |key| key.aws_managed = true),
    ] {
        for (side, arn) in [("replica", REPLICA_KEY), ("source", SOURCE_KEY)] {
            let mut state = two_buckets();
            key(&mut state, arn, change);
            if (case, side) != ("managed by AWS", "source") {
                refused(&format!("the {side} key is {case}"), state).await;
            }
        }
    }
    assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_source_keys_that_are_given_are_the_only_ones_and_of_the_sources_region() {
    let fake = Fake::of(two_buckets());
    let refused = create(&fake, json!({"SourceKmsKeyArns": REPLICA_KEY})).await;
    assert_snapshot!(refused["Reason"].as_str().unwrap(), @"`SourceKmsKeyArns`: key `arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab` is not in us-east-1, the Region of bucket `demo-source`");
    assert_eq!(*fake.state.borrow(), two_buckets());
    let given = "arn:aws:kms:us-east-1:111122223333:key/given";
    fake.state.borrow_mut().keys.insert(given.to_owned(), key(given));
    assert_eq!(
        create(&fake, json!({"SourceKmsKeyArns": [given]})).await["Data"]["SourceKmsKeyArns"],
        given
    );
}

#[tokio::test(start_paused = true)]
async fn a_prefix_that_rights_cannot_be_confined_to_is_said() {
    let fake = Fake::of(two_buckets());
    let answer = create(&fake, json!({"Prefix": "tax/été/"})).await;
    assert_snapshot!(answer["Reason"].as_str().unwrap(), @"`Prefix` `tax/été/` is not printable ASCII throughout, so the grants are for all keys that begin with `tax/`");
    assert!(
        fake.state.borrow().roles["s3-crr-demo-source"]
            .policies
            .values()
            .all(|policy| policy.contains("demo-source/tax/*"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_without_kms_is_replicated_without_kms_and_the_answer_says_so() {
    let mut state = two_buckets();
    state.buckets.get_mut("demo-source").unwrap().encryption = Encryption::S3;
    let fake = Fake::of(state);
    let answer = create(&fake, json!({})).await;
    assert_eq!(answer["Data"]["SourceKmsKeyArns"], "");
    assert_snapshot!(answer["Reason"].as_str().unwrap(), @"bucket `demo-source` encrypts with SSE-S3, not KMS: replicas have the same type of encryption, so they are not KMS-encrypted");
    let state = fake.state.borrow();
    let rule = &state.buckets["demo-source"].replication.as_ref().unwrap().rules[0];
    assert_eq!(rule.source_selection_criteria(), None);
    assert_eq!(rule.destination().unwrap().encryption_configuration(), None);
    assert!(
        !state.roles["s3-crr-demo-source"]
            .policies
            .values()
            .any(|policy| policy.contains("kms:Decrypt"))
    );
}
