//! The ways of asking, beside CloudFormation: events, batches of them, and commands.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::json;

use s3_kms_replication::model::{Encryption, Retry, Versioning};

use crate::fake::{Bucket, Fake, Fault, State};
use crate::invariants::{FOREIGN_ROLE, foreign_role, with_foreign_rules};
use crate::*;

/// An event with a part of its detail replaced.
fn event(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = sample(name);
    change(&mut event["detail"]);
    event
}

#[tokio::test(start_paused = true)]
async fn events_that_ask_for_nothing_are_skipped_with_a_reason_and_without_a_call() {
    let named = |bucket: &'static str| {
        event("create-bucket", move |detail| {
            detail["requestParameters"]["bucketName"] = json!(bucket)
        })
    };
    let mut reasons = Vec::new();
    for payload in [
        sample("create-bucket-failed"),
        event("create-bucket", |detail| {
            detail["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = json!(EXECUTION_ROLE)
        }),
        event("create-bucket", |detail| detail["eventSource"] = json!("s3express.amazonaws.com")),
        event("create-bucket", |detail| detail["eventName"] = json!("PutBucketAcl")),
        event("create-bucket", |detail| detail["recipientAccountId"] = json!("444455556666")),
        event("create-bucket", |detail| detail["requestParameters"] = json!(null)),
        named("prod-fast--use1-az4--x-s3"),
        named("prod-ap-s3alias"),
        named("test-orders"),
        named("prod-scratch-orders"),
        named("prod-orders-replica"),
        named("audit-111122223333"),
    ] {
        let fake = Fake::of(two_buckets());
        let answer = ask(&fake, &payload).await.unwrap();
        assert!(
            fake.calls.borrow().iter().all(|call| call == "GetCallerIdentity"),
            "{:?}",
            fake.calls
        );
        reasons.push(format!(
            "{}: {}",
            answer["SourceBucket"].as_str().unwrap(),
            answer["Skipped"].as_str().unwrap()
        ));
    }
    assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn every_rule_that_matches_applies_and_a_tag_that_is_taken_away_takes_its_rule_with_it() {
    let mut state = two_buckets();
    state.buckets.insert("audit-111122223333".to_owned(), Bucket::new("us-west-2"));
    state.buckets.get_mut("prod-orders").unwrap().tags =
        BTreeMap::from([("audit".to_owned(), "true".to_owned())]);
    let fake = Fake::of(state);
    let rules = |fake: &Fake| {
        let configuration = fake.state.borrow().buckets["prod-orders"].replication.clone();
        let rules = configuration.map(|configuration| configuration.rules).unwrap_or_default();
        rules.into_iter().map(|rule| (rule.id.unwrap(), rule.priority.unwrap())).collect::<Vec<_>>()
    };
    ask(&fake, &sample("put-bucket-tagging")).await.unwrap();
    assert_eq!(
        rules(&fake),
        [("s3-kms-replication.dr".to_owned(), 1), ("s3-kms-replication.audit".to_owned(), 2)]
    );

    fake.state.borrow_mut().buckets.get_mut("prod-orders").unwrap().tags.clear();
    let answer = ask(&fake, &sample("tag-resource")).await.unwrap();
    assert_eq!(rules(&fake), [("s3-kms-replication.dr".to_owned(), 1)]);
    assert_eq!(
        [&answer["Rules"][0]["Status"], &answer["Rules"][1]["Status"]],
        ["Unchanged", "Removed"]
    );
}

#[tokio::test(start_paused = true)]
async fn one_rule_that_is_refused_keeps_no_other_from_being_applied() {
    let mut state = two_buckets();
    state.buckets.get_mut("prod-orders").unwrap().tags =
        BTreeMap::from([("audit".to_owned(), "true".to_owned())]);
    let fake = Fake::of(state);
    let answer = ask(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(
        [&answer["Rules"][0]["Status"], &answer["Rules"][1]["Status"]],
        ["Configured", "Failed"]
    );
    assert_snapshot!(answer["Rules"][1]["Error"].as_str().unwrap(), @"`DestinationBucket` `audit-111122223333` does not exist; create it, or set `CreateDestinationBucket` to true");
}

#[tokio::test(start_paused = true)]
async fn a_new_default_key_gets_its_grant_and_the_old_keys_grant_stays_and_is_listed() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    let new = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
    fake.state.borrow_mut().keys.insert(new.to_owned(), key(new));
    fake.state.borrow_mut().buckets.get_mut("prod-orders").unwrap().encryption = kms(new);
    let answer = ask(&fake, &sample("put-bucket-encryption")).await.unwrap();
    assert_eq!(answer["Rules"][0]["SourceKmsKeyArns"], json!([new, SOURCE_KEY]));
    assert_snapshot!(answer["Rules"][0]["Text"].as_str().unwrap());

    // Back to SSE-S3: objects that were encrypted with either key still replicate.
    fake.state.borrow_mut().buckets.get_mut("prod-orders").unwrap().encryption = Encryption::S3;
    let answer = ask(&fake, &sample("put-bucket-encryption")).await.unwrap();
    assert_eq!(answer["Rules"][0]["Status"], "Unchanged");
    assert_eq!(answer["Rules"][0]["Kept"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_created_here_is_never_a_source() {
    let mut state = two_buckets();
    let tags = BTreeMap::from([("s3-kms-replication".to_owned(), "another".to_owned())]);
    state.buckets.get_mut("prod-orders").unwrap().tags = tags;
    let fake = Fake::of(state);
    let answer = ask(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(answer["Skipped"], "this function created the bucket as a destination");
}

const OTHER_KEY: &str =
    "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

#[tokio::test(start_paused = true)]
async fn two_rules_with_replica_modifications_replicate_both_ways_and_never_in_a_chain() {
    let rule = |name: &str, pattern: &str, destination: &str, key: &str, modifications: bool| {
        json!({"Name": name, "Match": {"BucketNames": [pattern]}, "DestinationBucket": destination, "CreateDestinationBucket": true,
               "ReplicaKmsKeyArn": key, "ReplicaModifications": modifications})
    };
    for (destination, modifications, rules) in [
        ("prod-orders", true, (1, 1)),
        ("prod-orders", false, (0, 0)),
        ("{bucket}-again", true, (1, 0)),
    ] {
        let there = rule("there", "prod-orders", "orders-there", REPLICA_KEY, true);
        let back = rule("back", "orders-*", destination, OTHER_KEY, modifications);
        let policy = json!({"Rules": [there, back]}).to_string();
        let settings =
            Settings::read(|name| (name == "REPLICATION_POLICY").then(|| policy.clone())).unwrap();
        let mut state = two_buckets();
        state.keys.insert(OTHER_KEY.to_owned(), key(OTHER_KEY));
        let fake = Fake::of(state);
        // One event does both: there is none for the bucket that the function creates.
        Box::pin(handle(
            &sample("create-bucket"),
            Instant::now() + Duration::from_secs(300),
            &fake,
            &settings,
        ))
        .await
        .answer
        .unwrap();
        let state = fake.state.borrow();
        let replication =
            |bucket: &str| state.buckets.get(bucket).and_then(|bucket| bucket.replication.as_ref());
        let count = |bucket: &str| {
            replication(bucket).map_or(0, |configuration| configuration.rules().len())
        };
        assert_eq!((count("prod-orders"), count("orders-there")), rules, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_a_two_way_bucket_cannot_have_is_refused_by_name() {
    let rule = |name: &str, source: &str, destination: &str, key: &str, modifications: bool| {
        json!({"Name": name, "Match": {"BucketNames": [source]}, "DestinationBucket": destination, "ReplicaKmsKeyArn": key,
               "ReplicaModifications": modifications})
    };
    let policy = json!({"Rules": [
        rule("there", "prod-orders", "demo-destination", REPLICA_KEY, true),
        rule("back", "demo-destination", "prod-orders", OTHER_KEY, true),
        rule("backup", "prod-*", "demo-source", OTHER_KEY, false),
    ]});
    let policy = policy.to_string();
    let settings =
        Settings::read(|name| (name == "REPLICATION_POLICY").then(|| policy.clone())).unwrap();
    let mut state = two_buckets();
    state.keys.insert(OTHER_KEY.to_owned(), key(OTHER_KEY));
    let fake = Fake::of(state);
    let answer = Box::pin(handle(
        &sample("create-bucket"),
        Instant::now() + Duration::from_secs(300),
        &fake,
        &settings,
    ))
    .await
    .answer
    .unwrap();
    let ended: Vec<String> = answer["Rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| format!("{} {}", rule["RuleId"], rule["Status"]))
        .collect();
    assert_eq!(
        ended.join(", "),
        r#""s3-kms-replication.backup" "Failed", "s3-kms-replication.there" "Configured", "s3-kms-replication.back" "Configured""#
    );
}

#[tokio::test(start_paused = true)]
async fn a_permissions_boundary_is_given_to_new_roles_and_to_those_without() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let bound = Settings {
        roles: RoleSettings { boundary: Some(boundary.to_owned()), ..settings().roles },
        ..settings()
    };
    let end = Instant::now() + Duration::from_secs(300);
    for before in [false, true] {
        let fake = Fake::of(two_buckets());
        if before {
            ask(&fake, &sample("command-apply")).await.unwrap();
        }
        Box::pin(handle(&sample("command-apply"), end, &fake, &bound)).await.answer.unwrap();
        assert_eq!(
            fake.state.borrow().roles["s3-crr-demo-source"].boundary.as_deref(),
            Some(boundary)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_is_repaired_on_the_next_event() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    let converged = fake.state.borrow().clone();
    type Damage = fn(&mut State);
    let damages: [(&str, Damage); 7] = [
        ("the rule is gone", |state| {
            state.buckets.get_mut("prod-orders").unwrap().replication = None
        }),
        ("the rule is disabled", |state| {
            let rules = &mut state
                .buckets
                .get_mut("prod-orders")
                .unwrap()
                .replication
                .as_mut()
                .unwrap()
                .rules;
            rules[0].status = ReplicationRuleStatus::Disabled;
        }),
        ("the grants are changed", |state| {
            let policies = &mut state.roles.get_mut("s3-crr-prod-orders").unwrap().policies;
            policies
                .values_mut()
                .for_each(|policy| *policy = policy.replace("kms:Decrypt", "kms:*"));
        }),
        ("the trust is changed", |state| {
            let trust = &mut state.roles.get_mut("s3-crr-prod-orders").unwrap().trust;
            *trust = trust.replace("s3.amazonaws.com", "ec2.amazonaws.com");
        }),
        ("the role is gone", |state| drop(state.roles.remove("s3-crr-prod-orders"))),
        ("versioning is suspended", |state| {
            state.buckets.get_mut("prod-orders-replica").unwrap().versioning = Versioning::Suspended
        }),
        ("the created bucket is open", |state| {
            state.buckets.get_mut("prod-orders-replica").unwrap().public_access_blocked = false
        }),
    ];
    for (damage, change) in damages {
        change(&mut fake.state.borrow_mut());
        ask(&fake, &sample("delete-bucket-replication")).await.unwrap();
        assert_eq!(*fake.state.borrow(), converged, "{damage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_bucket_takes_its_role_with_it_but_only_when_it_is_not_there() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    ask(&fake, &sample("delete-bucket")).await.unwrap();
    assert!(
        fake.state.borrow().roles.contains_key("s3-crr-prod-orders"),
        "the bucket was created again"
    );
    fake.state.borrow_mut().buckets.remove("prod-orders");
    let answer = ask(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(answer["Skipped"], "the bucket does not exist");
    ask(&fake, &sample("delete-bucket")).await.unwrap();
    assert_eq!(fake.state.borrow().roles, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_there_again_keeps_its_role() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    let bucket = fake.state.borrow_mut().buckets.remove("prod-orders").unwrap();
    // Another writer holds the lease, and gives it back once the bucket is there again.
    fake.state
        .borrow_mut()
        .leases
        .insert("prod-orders".to_owned(), ("another".to_owned(), u64::MAX));
    let delete = sample("delete-bucket");
    let again = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.state.borrow_mut().buckets.insert("prod-orders".to_owned(), bucket);
        fake.state.borrow_mut().leases.clear();
    };
    let (answer, ()) = tokio::join!(ask(&fake, &delete), again);
    assert_eq!(answer.unwrap()["Retired"]["Stages"], json!([]));
    assert!(fake.state.borrow().roles.contains_key("s3-crr-prod-orders"));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_created_for_one_source_keeps_its_key_when_another_comes() {
    let mut state = two_buckets();
    let other_key = "arn:aws:kms:us-west-2:111122223333:key/other";
    state.keys.insert(other_key.to_owned(), key(other_key));
    let fake = Fake::of(state);
    let made = json!({"DestinationBucket": "central", "DestinationRegion": "us-west-2", "CreateDestinationBucket": true});
    create(&fake, made.clone()).await;
    let created = fake.state.borrow().buckets["central"].clone();
    assert_eq!(
        created.encryption,
        Encryption::Kms { key: Some(REPLICA_KEY.to_owned()), bucket_key: true }
    );
    let mut other = custom_resource("Create", made);
    other["LogicalResourceId"] = json!("Other");
    let properties = other["ResourceProperties"].as_object_mut().unwrap();
    properties.insert("SourceBucket".to_owned(), json!("prod-orders"));
    properties.insert("ReplicaKmsKeyArn".to_owned(), json!(other_key));
    ask(&fake, &other).await.unwrap();
    assert!(
        fake.answers.borrow().iter().all(|answer| answer.contains("SUCCESS")),
        "{:?}",
        fake.answers
    );
    assert_eq!(fake.state.borrow().buckets["central"], created);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_an_error_only_where_a_retry_can_help() {
    let undisturbed = Fake::of(two_buckets());
    ask(&undisturbed, &sample("create-bucket")).await.unwrap();
    // All but those when all is done: the rule is looked at, and the lease given back.
    let calls = undisturbed.calls.take();
    let put = calls.iter().position(|call| call.starts_with("! PutBucketReplication")).unwrap();
    let calls = (0..calls.len()).filter(|index| ![put + 1, put + 2].contains(index));
    for (index, (retry, is_error)) in calls
        .flat_map(|index| [(index, (Retry::NextInvocation, true)), (index, (Retry::Never, false))])
    {
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((index, Fault::Refused("Whatever", retry))));
        let answer = ask(&fake, &sample("create-bucket")).await;
        assert_eq!(answer.is_err(), is_error, "{retry:?} in call {index}");
        if let Ok(answer) = answer {
            assert!(answer.to_string().contains("Whatever"), "{answer}");
        }
    }
    // Also when it is not the first try that fails.
    let fake = Fake::of(two_buckets());
    fake.refusals.set(Some(("PutBucketReplication", 1, "NoSuchBucket", Retry::Replan)));
    fake.fault.set(Some((put + 4, Fault::Hangs)));
    let error = ask(&fake, &sample("create-bucket")).await.unwrap_err().to_string();
    assert!(
        error.starts_with("ran out of time") && error.contains("; done before: CreateBucket on"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_failed_are_named_and_the_others_are_done() {
    let fake = Fake::of(two_buckets());
    let answer = ask(&fake, &sample("sqs-batch")).await.unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a11"}]})
    );
    assert!(fake.state.borrow().buckets["prod-orders"].replication.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_plan_changes_nothing_and_shows_what_apply_does() {
    let fake = Fake::of(two_buckets());
    let planned = ask(&fake, &sample("command-plan")).await.unwrap();
    assert_eq!(fake.writes(), Vec::<String>::new());
    assert_snapshot!("plan_text", planned["Text"].as_str().unwrap());
    let mut without_text = planned.clone();
    without_text.as_object_mut().unwrap().remove("Text");
    assert_json_snapshot!("plan", without_text);
    let applied = ask(&fake, &sample("command-apply")).await.unwrap();
    assert_eq!(applied["Stages"], planned["Stages"]);
    let again = ask(&fake, &sample("command-plan")).await.unwrap();
    assert_eq!(
        (&again["Stages"], &again["Text"]),
        (
            &json!([]),
            &json!(
                "rule `s3-kms-replication.demo-destination` of bucket `demo-source`: Planned\nnothing to do\n"
            )
        )
    );
}

#[tokio::test(start_paused = true)]
async fn dry_run_changes_nothing_whoever_asks() {
    let mut dry_command = sample("command-apply");
    dry_command["DryRun"] = json!(true);
    let mut dry_reconcile = sample("command-reconcile");
    dry_reconcile["DryRun"] = json!(true);
    for payload in
        [custom_resource("Create", json!({"DryRun": "true"})), dry_command, dry_reconcile]
    {
        let fake = Fake::of(two_buckets());
        ask(&fake, &payload).await.unwrap();
        assert_eq!(*fake.state.borrow(), two_buckets());
    }
}

#[tokio::test(start_paused = true)]
async fn reconcile_does_for_an_existing_bucket_what_an_event_does_for_a_new_one() {
    let (by_event, by_command) = (Fake::of(two_buckets()), Fake::of(two_buckets()));
    ask(&by_event, &sample("create-bucket")).await.unwrap();
    ask(&by_command, &sample("command-reconcile")).await.unwrap();
    assert_eq!(by_event.state, by_command.state);
}

#[tokio::test]
async fn a_right_that_not_everybody_needs_is_named_by_the_parameter_that_gives_it() {
    let replicating = || {
        let mut state = with_foreign_rules(FOREIGN_ROLE);
        state.roles.insert("their-replication".to_owned(), foreign_role());
        state
    };
    for (action, properties, state, parameter) in [
        (
            "CreateBucket",
            json!({"DestinationBucket": "new", "CreateDestinationBucket": true}),
            two_buckets(),
            "AllowCreateDestinationBuckets",
        ),
        (
            "PutRolePolicy",
            json!({"ExistingRole": "Extend", "Priority": null}),
            replicating(),
            "ExtendableRoleArns",
        ),
        (
            "PutBucketReplication",
            json!({"ExistingRole": "Extend", "Priority": null}),
            replicating(),
            "ExtendableRoleArns",
        ),
    ] {
        let fake = Fake::of(state);
        fake.refusals.set(Some((action, 1, "AccessDenied", Retry::Never)));
        let answer = create(&fake, properties).await;
        assert!(
            answer["Reason"]
                .as_str()
                .unwrap()
                .contains(&format!("the template's parameter `{parameter}` gives this right")),
            "{answer}"
        );
    }
    let fake = Fake::of(two_buckets());
    fake.refusals.set(Some(("PutRolePolicy", 1, "AccessDenied", Retry::Never)));
    assert!(!create(&fake, json!({})).await["Reason"].as_str().unwrap().contains("parameter"));
}

#[tokio::test(start_paused = true)]
async fn payloads_that_are_not_known_are_errors_that_say_what_is() {
    let mut elsewhere = sample("cloudformation-create");
    elsewhere["ResponseURL"] = json!("https://example.com/steal?X-Amz-Signature=SECRET");
    let mut errors = Vec::new();
    for payload in [
        json!("text"),
        json!({}),
        json!({"Records": [{"s3": {}}]}),
        json!({"Records": 1}),
        json!({"detail-type": "Object Created", "detail": {"eventName": "x"}}),
        json!({"detail-type": "AWS API Call via CloudTrail", "detail": {}}),
        json!({"Action": "Verify"}),
        json!({"Action": "Verify", "SourceBucket": "demo-source", "Name": "dr", "Prefix": "Tax"}),
        json!({"Action": "Verify", "SourceBucket": "demo-source", "Name": "dr", "SourceKmsKeyArns": "alias/x"}),
        json!({"Action": "Destroy"}),
        json!({"Action": "Plan"}),
        json!({"Action": "Delete", "SourceBucket": "demo-source"}),
        json!({"Action": "Apply", "Name": "a b", "SourceBucket": "demo-source"}),
        json!({"Action": "Reconcile", "SourceBucket": "demo-source", "Prefix": "Tax"}),
        elsewhere,
    ] {
        let fake = Fake::of(two_buckets());
        errors.push(ask(&fake, &payload).await.unwrap_err().to_string());
        assert_eq!((fake.calls.borrow().len(), fake.answers.borrow().len()), (0, 0));
    }
    assert_snapshot!(errors.join("\n"));
}
