//! Whose a destination and a role are: neither a name nor a tag hands over what belongs to others.

use insta::assert_snapshot;
use s3_kms_replication::model::{
    Encryption, InlinePolicyName, Role, RoleName, RuleAddress, Versioning,
};
use serde_json::{Value, json};

use crate::support::*;

/// The bucket `prod-orders` was created: the answer about the rule `dr`, whose destination is `{bucket}-replica`.
async fn created_source(fake: &Fake, changes: Value) -> Value {
    let policy = json!({"Rules": [merged(
        json!({
            "Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "{bucket}-replica",
            "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
        }),
        changes,
    )]});
    let settings = environment(&[("REPLICATION_POLICY", &policy.to_string())]);
    let answer = invoke_with(fake, &sample("create-bucket"), &settings).await.unwrap();
    answer["Rules"][0].clone()
}

fn with_replica(replica: Bucket) -> State {
    two_buckets().with_bucket("prod-orders-replica", replica)
}

/// A bucket of others with an object.
fn in_use() -> Bucket {
    let index = Object {
        key: "index.html".to_owned(),
        version: "1".to_owned(),
        tags: std::collections::BTreeMap::new(),
        content: None,
    };
    Bucket { objects: vec![index], ..Bucket::new("us-west-2") }
}

#[tokio::test(start_paused = true)]
async fn existing_destination_of_a_template_is_refused_unless_it_is_ours() {
    let tagged = |bucket: Bucket, source| bucket.tagged("s3-kms-replication", source);
    let replicating = {
        let fake = Fake::new(two_buckets());
        created_source(&fake, json!({"CreateDestinationBucket": true})).await;
        fake.state.take()
    };
    let mut replicating_in_use = replicating.clone();
    replicating_in_use.bucket_mut("prod-orders-replica").objects = in_use().objects;
    replicating_in_use.bucket_mut("prod-orders-replica").tags.clear();
    let (none, create) = (json!({}), json!({"CreateDestinationBucket": true}));
    let use_it = json!({"ExistingDestination": "Use"});
    let refuse_fixed =
        json!({"DestinationBucket": "demo-destination", "ExistingDestination": "Refuse"});
    let mut table = Table::default();
    for (case, state, changes) in [
        ("of others, empty", with_replica(Bucket::new("us-west-2")), none.clone()),
        ("of others, in use", with_replica(in_use()), none.clone()),
        ("of others, in use, to be created", with_replica(in_use()), create.clone()),
        ("of others, Use", with_replica(in_use()), use_it),
        (
            "tagged for us, empty",
            with_replica(tagged(Bucket::new("us-west-2"), "prod-orders")),
            create.clone(),
        ),
        ("tagged by hand, in use", with_replica(tagged(in_use(), "prod-orders")), create.clone()),
        (
            "tagged for another source",
            with_replica(tagged(Bucket::new("us-west-2"), "other")),
            create.clone(),
        ),
        ("replicating already", replicating, create),
        ("replicating already, in use, without its tag", replicating_in_use, none.clone()),
        ("fixed name", two_buckets(), json!({"DestinationBucket": "demo-destination"})),
        ("fixed name, Refuse", two_buckets(), refuse_fixed),
    ] {
        let fake = Fake::new(state.clone());
        let answer = created_source(&fake, changes).await;
        let status = answer["Status"].as_str().unwrap();
        table.add(case, answer["Error"].as_str().unwrap_or(status));
        if status == "Failed" {
            assert_eq!((fake.writes(), &*fake.state.borrow()), (vec![], &state), "{case}");
        }
    }
    assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn destination_tagged_by_hand_keeps_its_encryption() {
    let theirs = || in_use().tagged("s3-kms-replication", "demo-source");
    let state = two_buckets().with_bucket("demo-destination", theirs());
    let fake = Fake::new(state);
    let answer = create(&fake, json!({"CreateDestinationBucket": true})).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let found = fake.state.borrow().buckets["demo-destination"].clone();
    assert_eq!((found.encryption, found.versioning), (Encryption::S3, Versioning::Enabled));
}

#[tokio::test(start_paused = true)]
async fn tag_put_on_by_hand_does_not_take_a_bucket_out_of_the_policy() {
    let with_tag = |source: &str| {
        let mut state = two_buckets();
        let orders = state.bucket_mut("prod-orders").clone().tagged("s3-kms-replication", source);
        state.buckets.insert("prod-orders".to_owned(), orders);
        state
    };
    for (source, skipped) in [("demo-source", false), ("missing", false), ("Not a bucket", false)] {
        let fake = Fake::new(with_tag(source));
        let answer = invoke(&fake, &sample("create-bucket")).await.unwrap();
        assert_eq!(answer.get("Skipped").is_some(), skipped, "{source}: {answer}");
    }
    // The source that the tag names has a rule to it.
    let fake = Fake::new(with_tag("demo-source"));
    let to_it = json!({"DestinationBucket": "prod-orders", "ReplicaKmsKeyArn": SOURCE_KEY});
    assert_eq!(create(&fake, to_it).await["Status"], "SUCCESS");
    let answer = invoke(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(answer["Skipped"], "this function created the bucket as a destination");
    // A rule of others to it is not ours.
    let mut state = with_tag("demo-source");
    let rules = vec![Rule::new("theirs", 1).build()];
    state.bucket_mut("demo-source").replication = replicating(FOREIGN_ROLE, rules);
    state.edit_replication("demo-source", "demo-destination", "prod-orders");
    let answer = invoke(&Fake::new(state), &sample("create-bucket")).await.unwrap();
    assert!(answer.get("Skipped").is_none(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn role_that_has_more_than_ours_is_not_adopted_and_is_warned_of_when_it_serves() {
    let ours = configured().await.role_mut(OWN_ROLE_NAME).clone();
    let attached = || vec!["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()];
    let elsewhere = || OWN_ROLE.replace("/s3-kms-replication/", "/");
    let mut with_policy = ours.clone();
    with_policy.policies.insert("theirs".to_owned(), "{}".to_owned());
    let mut table = Table::default();
    for (case, role) in [
        ("ours", ours.clone()),
        ("attached policy", Role { attached: attached(), ..ours.clone() }),
        ("inline policy", with_policy),
        ("path", Role { arn: elsewhere(), ..ours }),
    ] {
        let arn = role.arn.clone();
        let fake = Fake::new(two_buckets().with_role(role.clone()));
        let adopted = create(&fake, json!({})).await;
        let reason = adopted["Reason"].as_str().unwrap_or("adopted");
        table.add(&format!("{case}, adopted"), reason);
        assert_eq!(fake.writes().is_empty(), reason != "adopted", "{case}");
        let source = two_buckets().buckets["demo-source"].clone().versioned();
        let rules = vec![foreign_rule("theirs", 3)];
        let state = two_buckets().with_bucket("demo-source", source.replicating(&arn, rules));
        let state = state.with_bucket("demo-destination", Bucket::new("us-west-2").versioned());
        let fake = Fake::new(state.with_role(role));
        let served = create(&fake, json!({})).await;
        assert_eq!(served["Status"], "SUCCESS", "{served}");
        table.add(&format!("{case}, serving"), served["Reason"].as_str().unwrap_or("served"));
    }
    assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn destination_outside_of_the_allowed_ones_is_refused_in_every_way_of_asking() {
    let settings = |allowed| {
        environment(&[
            ("REPLICATION_POLICY", POLICY),
            ("ALLOWED_DESTINATIONS", allowed),
            ("LOCK_TABLE", "leases"),
        ])
    };
    let audited = two_buckets().buckets["prod-orders"].clone();
    let state = two_buckets().with_bucket("prod-orders", audited);
    for payload in [
        custom_resource("Create", json!({})),
        sample("command-apply"),
        merged(sample("command-apply"), json!({"Action": "Plan"})),
        sample("create-bucket"),
        json!({"Action": "Reconcile", "SourceBucket": "prod-orders"}),
    ] {
        for (allowed, is_allowed) in [
            ("", true),
            ("*", true),
            ("*-destination,*-replica", true),
            ("111122223333", true),
            ("elsewhere-*", false),
            ("444455556666", false),
            ("*-destination,*-replica,444455556666", false),
        ] {
            let fake = Fake::new(state.clone());
            let answer = invoke_with(&fake, &payload, &settings(allowed)).await;
            let text = format!("{answer:?} {:?}", fake.answers);
            assert_eq!(!text.contains("AllowedDestinations"), is_allowed, "{allowed}: {text}");
            if !is_allowed {
                assert_eq!((fake.writes(), &*fake.state.borrow()), (vec![], &state), "{text}");
            }
        }
    }
}

/// A state in which the source of the walk-through's command has a name that is too long for its role.
fn with_long_source(name: &str) -> State {
    let mut state = two_buckets();
    let source = state.buckets.remove("demo-source").unwrap();
    state.with_bucket(name, source)
}

#[tokio::test(start_paused = true)]
async fn role_that_0_1_0_named_is_found_used_and_deleted() {
    let source = format!("long-{}", "s".repeat(58));
    let bucket = s3_kms_replication::model::BucketName::parse(&source).unwrap();
    let (name, earlier) =
        (RoleName::for_source(&bucket), RoleName::for_source_of_0_1_0(&bucket).unwrap());
    let properties = json!({"SourceBucket": source});
    let rule = CUSTOM_RULE.strip_prefix("s3-kms-replication.").unwrap();
    let delete_command = json!({"Action": "Delete", "SourceBucket": source, "Name": rule});
    let fake = Fake::new(with_long_source(&source));
    create(&fake, properties.clone()).await;
    assert_eq!(fake.state.borrow().roles.keys().collect::<Vec<_>>(), [name.as_str()]);

    // As 0.1.0 has left it.
    let mut state = fake.state.take();
    let role = state.roles.remove(name.as_str()).unwrap();
    let arn = role.arn.replace(name.as_str(), earlier.as_str());
    let mut state = state.with_role(Role { name: earlier.clone(), arn: arn.clone(), ..role });
    state.edit_replication(&source, name.as_str(), earlier.as_str());
    for with_rule in [true, false] {
        let mut state = state.clone();
        if !with_rule {
            state.bucket_mut(&source).replication = None;
        }
        let fake = Fake::new(state);
        let answer = create(&fake, properties.clone()).await;
        assert_eq!(answer["Data"]["RoleArn"], arn, "{answer}");
        assert_eq!(fake.writes().is_empty(), with_rule);
        assert_eq!(fake.state.borrow().roles.keys().collect::<Vec<_>>(), [earlier.as_str()]);
        invoke(&fake, &delete_command).await.unwrap();
        assert_eq!(fake.state.borrow().roles.len(), 0);
    }
    // A role of that name that is another bucket's is left alone.
    let mut state = with_long_source(&source);
    let other = Role {
        name: earlier.clone(),
        arn,
        tags: [("s3-kms-replication".to_owned(), "other".to_owned())].into(),
        ..foreign_role()
    };
    state.roles.insert(earlier.to_string(), other.clone());
    let fake = Fake::new(state);
    assert_eq!(create(&fake, properties).await["Status"], "SUCCESS");
    invoke(&fake, &delete_command).await.unwrap();
    assert_eq!(fake.state.borrow().roles.values().collect::<Vec<_>>(), [&other]);
}

#[tokio::test(start_paused = true)]
async fn policy_that_0_1_0_named_in_a_foreign_role_is_used_only_by_its_own_bucket() {
    let rule = RuleAddress::parse(&format!("demo-source/{CUSTOM_RULE}")).unwrap();
    let name = InlinePolicyName::for_rule_in_foreign_role(&rule).to_string();
    let earlier = InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(&rule).to_string();
    let extend = json!({"ExistingRole": "Extend"});
    let fake = Fake::new(with_foreign_role());
    create(&fake, extend.clone()).await;
    let mut state = fake.state.take();
    let policies = &mut state.role_mut("their-replication").policies;
    let ours = policies.remove(&name).unwrap();
    policies.insert(earlier.clone(), ours.clone());
    let fake = Fake::new(state.clone());
    assert_eq!(create(&fake, extend.clone()).await["Status"], "SUCCESS");
    assert_eq!(fake.writes(), [], "the policy keeps its name");
    delete_with(&fake, extend.clone()).await;
    let names = |fake: &Fake| {
        let state = fake.state.borrow();
        state.roles["their-replication"].policies.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&fake), ["theirs"]);

    // Another bucket whose name has the same short hash.
    let others = ours.replace("demo-source", "other-source");
    state.role_mut("their-replication").policies.insert(earlier.clone(), others.clone());
    let fake = Fake::new(state);
    create(&fake, extend.clone()).await;
    assert_eq!(names(&fake), [earlier.clone(), name, "theirs".to_owned()]);
    delete_with(&fake, extend).await;
    assert_eq!(names(&fake), [earlier.clone(), "theirs".to_owned()]);
    assert_eq!(fake.state.borrow().roles["their-replication"].policies[&earlier], others);
}
