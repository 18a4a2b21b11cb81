//! CloudTrail's events, batches of them, and the replication policy that they are held against.

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use s3_kms_replication::model::{Encryption, Retry, Versioning};
use serde_json::{Value, json};

use crate::support::*;

/// An event with a part of its detail replaced.
fn event(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = sample(name);
    change(&mut event["detail"]);
    event
}

#[tokio::test(start_paused = true)]
async fn irrelevant_events_are_skipped_with_a_reason_and_without_reads() {
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
        named("prod-fast--use1-az4--x-s3"),
        named("prod-ap-s3alias"),
        named("test-orders"),
        named("prod-scratch-orders"),
        named("prod-orders-replica"),
        named("audit-111122223333"),
    ] {
        let fake = Fake::new(two_buckets());
        let answer = invoke(&fake, &payload).await.unwrap();
        assert!(
            fake.calls.borrow().iter().all(|call| call.operation == "GetCallerIdentity"),
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
async fn every_matching_rule_is_applied_and_losing_the_tag_removes_its_rule() {
    let state = two_buckets().with_bucket("audit-111122223333", Bucket::new("us-west-2"));
    let audited = state.buckets["prod-orders"].clone().tagged("audit", "true");
    let state = state.with_bucket("prod-orders", audited);
    let fake = Fake::new(state);
    let rules = |fake: &Fake| {
        let rules = fake.state.borrow().rules("prod-orders");
        rules
            .iter()
            .map(|rule| (rule.id().unwrap().to_owned(), rule.priority().unwrap()))
            .collect::<Vec<_>>()
    };
    invoke(&fake, &sample("put-bucket-tagging")).await.unwrap();
    assert_eq!(
        rules(&fake),
        [("s3-kms-replication.dr".to_owned(), 1), ("s3-kms-replication.audit".to_owned(), 2)]
    );

    fake.state.borrow_mut().bucket_mut("prod-orders").tags.clear();
    let answer = invoke(&fake, &sample("tag-resource")).await.unwrap();
    assert_eq!(rules(&fake), [("s3-kms-replication.dr".to_owned(), 1)]);
    assert_eq!(
        [&answer["Rules"][0]["Status"], &answer["Rules"][1]["Status"]],
        ["Unchanged", "Removed"]
    );
}

#[tokio::test(start_paused = true)]
async fn refused_rule_does_not_stop_the_other_rules() {
    let state = two_buckets();
    let audited = state.buckets["prod-orders"].clone().tagged("audit", "true");
    let state = state.with_bucket("prod-orders", audited);
    let fake = Fake::new(state);
    let answer = invoke(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(
        [&answer["Rules"][0]["Status"], &answer["Rules"][1]["Status"]],
        ["Configured", "Failed"]
    );
    assert_snapshot!(answer["Rules"][1]["Error"].as_str().unwrap(), @"`DestinationBucket` `audit-111122223333` does not exist; create it, or set `CreateDestinationBucket` to true");
}

#[tokio::test(start_paused = true)]
async fn new_default_key_is_granted_and_the_earlier_grant_is_kept_and_listed() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
    let new = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
    fake.state.borrow_mut().keys.insert(new.to_owned(), key(new));
    fake.state.borrow_mut().bucket_mut("prod-orders").encryption = kms(new);
    let answer = invoke(&fake, &sample("put-bucket-encryption")).await.unwrap();
    assert_eq!(answer["Rules"][0]["SourceKmsKeyArns"], json!([new, SOURCE_KEY]));
    assert_snapshot!(answer["Rules"][0]["Text"].as_str().unwrap());

    // Back to SSE-S3: objects that were encrypted with either key still replicate.
    fake.state.borrow_mut().bucket_mut("prod-orders").encryption = Encryption::S3;
    let answer = invoke(&fake, &sample("put-bucket-encryption")).await.unwrap();
    assert_eq!(answer["Rules"][0]["Status"], "Unchanged");
    assert_eq!(answer["Rules"][0]["Kept"].as_array().unwrap().len(), 2);
}

const OTHER_KEY: &str =
    "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

#[tokio::test(start_paused = true)]
async fn two_way_rules_are_applied_in_both_directions_and_never_in_a_chain() {
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
        let settings = environment(&[("REPLICATION_POLICY", &policy)]);
        let mut state = two_buckets();
        state.keys.insert(OTHER_KEY.to_owned(), key(OTHER_KEY));
        let fake = Fake::new(state);
        // One event does both: there is none for the bucket that the function creates.
        invoke_with(&fake, &sample("create-bucket"), &settings).await.unwrap();
        let state = fake.state.borrow();
        let replication =
            |bucket: &str| state.buckets.get(bucket).and_then(|bucket| bucket.replication.as_ref());
        let count = |bucket: &str| {
            replication(bucket).map_or(0, |configuration| configuration.rules().count())
        };
        assert_eq!((count("prod-orders"), count("orders-there")), rules, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn third_rule_of_a_two_way_bucket_fails_and_the_two_are_configured() {
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
    let settings = environment(&[("REPLICATION_POLICY", &policy)]);
    let mut state = two_buckets();
    state.keys.insert(OTHER_KEY.to_owned(), key(OTHER_KEY));
    let fake = Fake::new(state);
    let answer = invoke_with(&fake, &sample("create-bucket"), &settings).await.unwrap();
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
async fn invariant_3_every_manual_change_is_repaired_by_the_next_event() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
    // A destination that has replicas already is as well repaired as an empty one.
    fake.state.borrow_mut().bucket_mut("prod-orders-replica").objects.push(Object {
        key: "1".to_owned(),
        version: "1".to_owned(),
        tags: BTreeMap::new(),
        content: None,
    });
    let converged = fake.state.borrow().clone();
    type Damage = fn(&mut State);
    let damages: [(&str, Damage); 7] = [
        ("the rule is gone", |state| state.bucket_mut("prod-orders").replication = None),
        ("the rule is disabled", |state| {
            state.edit_replication(
                "prod-orders",
                "<Status>Enabled</Status>",
                "<Status>Disabled</Status>",
            )
        }),
        ("the grants are changed", |state| {
            let policies = &mut state.role_mut("s3-crr-prod-orders").policies;
            policies
                .values_mut()
                .for_each(|policy| *policy = policy.replace("kms:Decrypt", "kms:*"));
        }),
        ("the trust is changed", |state| {
            let trust = &mut state.role_mut("s3-crr-prod-orders").trust;
            *trust = trust.replace("s3.amazonaws.com", "ec2.amazonaws.com");
        }),
        ("the role is gone", |state| drop(state.roles.remove("s3-crr-prod-orders"))),
        ("versioning is suspended", |state| {
            state.bucket_mut("prod-orders-replica").versioning = Versioning::Suspended
        }),
        ("the created bucket is open", |state| {
            state.bucket_mut("prod-orders-replica").public_access_blocked = false
        }),
    ];
    for (damage, change) in damages {
        change(&mut fake.state.borrow_mut());
        invoke(&fake, &sample("delete-bucket-replication")).await.unwrap();
        assert_eq!(*fake.state.borrow(), converged, "{damage}");
    }
}

#[tokio::test(start_paused = true)]
async fn deleted_bucket_loses_its_role_unless_the_bucket_exists() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
    invoke(&fake, &sample("delete-bucket")).await.unwrap();
    assert!(
        fake.state.borrow().roles.contains_key("s3-crr-prod-orders"),
        "the bucket was created again"
    );
    fake.state.borrow_mut().buckets.remove("prod-orders");
    let answer = invoke(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(answer["Skipped"], "the bucket does not exist");
    invoke(&fake, &sample("delete-bucket")).await.unwrap();
    assert_eq!(fake.state.borrow().roles, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn bucket_that_was_recreated_during_the_cleanup_keeps_its_role() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
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
    let (answer, ()) = tokio::join!(invoke(&fake, &delete), again);
    assert_eq!(answer.unwrap()["Retired"]["Stages"], json!([]));
    assert!(fake.state.borrow().roles.contains_key("s3-crr-prod-orders"));
}

#[tokio::test(start_paused = true)]
async fn created_destination_keeps_its_key_when_a_second_source_uses_it() {
    let mut state = two_buckets();
    let other_key = "arn:aws:kms:us-west-2:111122223333:key/other";
    state.keys.insert(other_key.to_owned(), key(other_key));
    let fake = Fake::new(state);
    let made = json!({"DestinationBucket": "central", "DestinationRegion": "us-west-2", "CreateDestinationBucket": true});
    create(&fake, made.clone()).await;
    let created = fake.state.borrow().buckets["central"].clone();
    assert_eq!(created.encryption, Encryption::with_bucket_key(REPLICA_KEY));
    let mut other = custom_resource("Create", made);
    other["LogicalResourceId"] = json!("Other");
    let properties = other["ResourceProperties"].as_object_mut().unwrap();
    properties.insert("SourceBucket".to_owned(), json!("prod-orders"));
    properties.insert("ReplicaKmsKeyArn".to_owned(), json!(other_key));
    invoke(&fake, &other).await.unwrap();
    assert!(
        fake.answers.borrow().iter().all(|answer| answer.contains("SUCCESS")),
        "{:?}",
        fake.answers
    );
    assert_eq!(fake.state.borrow().buckets["central"], created);
}

#[tokio::test(start_paused = true)]
async fn event_fails_only_where_a_retry_can_help() {
    let undisturbed = Fake::new(two_buckets());
    invoke(&undisturbed, &sample("create-bucket")).await.unwrap();
    // All but the two after the last write, the read-back and the release of the lease, and the look for an earlier verification.
    let put = undisturbed.position("PutBucketReplication");
    let read_state = undisturbed.position("LatestGeneration");
    // After a refused read of the destination, HeadBucket says that the bucket does not exist.
    let missing_destination = (undisturbed.position("GetBucketVersioning"), Retry::Never);
    let calls = (0..undisturbed.calls.take().len())
        .filter(|index| ![put + 1, put + 2, read_state].contains(index));
    for (index, (retry, is_error)) in calls
        .flat_map(|index| [(index, (Retry::NextInvocation, true)), (index, (Retry::Never, false))])
        .filter(|(index, (retry, _))| (*index, *retry) != missing_destination)
    {
        let fake = Fake::new(two_buckets());
        fake.fail_call(index, Fault::Refused("Whatever", retry));
        let answer = invoke(&fake, &sample("create-bucket")).await;
        assert_eq!(answer.is_err(), is_error, "{retry:?} in call {index}");
        if let Ok(answer) = answer {
            assert!(answer.to_string().contains("Whatever"), "{answer}");
        }
    }
    // Also when it is not the first try that fails.
    let fake = Fake::new(two_buckets());
    fake.refuse("PutBucketReplication", 1, "NoSuchBucket", Retry::Replan);
    fake.fail_call(put + 4, Fault::Hangs);
    let error = invoke(&fake, &sample("create-bucket")).await.unwrap_err().to_string();
    assert!(
        error.starts_with("ran out of time") && error.contains("; done before: CreateBucket on"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_11_batch_names_the_failed_messages_and_handles_the_others() {
    let fake = Fake::new(two_buckets());
    let answer = invoke(&fake, &sample("sqs-batch")).await.unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a11"}]})
    );
    assert!(fake.state.borrow().buckets["prod-orders"].replication.is_some());
}
