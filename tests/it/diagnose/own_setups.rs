//! What this program sets up: every combination of properties, in buckets of every kind.

use super::*;
use s3_kms_replication::model::Encryption;

/// Properties that can be given or not, each by itself.
fn options() -> Vec<Value> {
    vec![
        json!({"Prefix": null}),
        json!({"Tags": {"class": "a"}}),
        json!({"DeleteMarkerReplication": true}),
        json!({"ReplicaModifications": true}),
        json!({"ReplicationTimeControl": true}),
        json!({"StorageClass": "STANDARD_IA"}),
        json!({"SourceKmsKeyArns": [SOURCE_KEY]}),
        json!({"DestinationBucket": "demo-new", "CreateDestinationBucket": true}),
    ]
}

/// Every combination of the options that S3 accepts: it does not replicate delete markers for a rule that filters by tags.
fn combinations() -> Vec<Value> {
    let all = options().into_iter().fold(vec![json!({})], |combinations, option| {
        let with = combinations.iter().map(|given| merged(given.clone(), option.clone()));
        let with: Vec<Value> = with.collect();
        combinations.into_iter().chain(with).collect()
    });
    let has = |given: &Value, name: &str| given.get(name).is_some();
    all.into_iter()
        .filter(|given| !(has(given, "Tags") && has(given, "DeleteMarkerReplication")))
        .collect()
}

/// What is done to the two buckets before the rule is made.
type Prepare = fn(&mut State);

/// Kinds of buckets.
const KINDS: [(&str, Prepare); 6] = [
    ("without S3 Bucket Keys", |_| {}),
    ("S3 Bucket Key at the source", |state| bucket_key(state, "demo-source", SOURCE_KEY)),
    ("S3 Bucket Key at the destination", |state| {
        bucket_key(state, "demo-destination", REPLICA_KEY)
    }),
    ("S3 Bucket Keys at both", |state| {
        bucket_key(state, "demo-source", SOURCE_KEY);
        bucket_key(state, "demo-destination", REPLICA_KEY);
    }),
    ("DSSE-KMS at the source", |state| {
        state.bucket_mut("demo-source").encryption = dual_layer(SOURCE_KEY);
    }),
    ("S3 Object Lock at both", |state| {
        for bucket in ["demo-source", "demo-destination"] {
            state.bucket_mut(bucket).object_lock = true;
        }
    }),
];

fn dual_layer(key: &str) -> Encryption {
    Encryption::Kms { key: Some(key.to_owned()), bucket_key: false, dual_layer: true }
}

fn bucket_key(state: &mut State, bucket: &str, key: &str) {
    state.bucket_mut(bucket).encryption = Encryption::with_bucket_key(key);
}

/// The diagnosis says that all rules work, and nothing worse than a note.
fn assert_works_with_notes(diagnosis: &Diagnosis, made_by: &str) {
    assert_eq!(diagnosis.verdict, Some(Verdict::Works), "{made_by}: {}", diagnosis.text);
    let findings = diagnosis.rules.iter().flat_map(|rule| &rule.findings);
    let worse: Vec<_> = findings.filter(|finding| finding.severity != Severity::Note).collect();
    assert!(worse.is_empty(), "{made_by}: {}", diagnosis.text);
}

#[tokio::test(start_paused = true)]
async fn every_rule_of_this_program_works() {
    let mut count = 0;
    for (kind, prepare) in KINDS {
        for properties in combinations() {
            // S3 creates a bucket without Object Lock, which the planner refuses as a destination of one with it.
            let creates = properties.get("CreateDestinationBucket").is_some();
            if creates && kind == "S3 Object Lock at both" {
                continue;
            }
            let mut state = two_buckets();
            prepare(&mut state);
            let fake = Fake::new(state);
            invoke(&fake, &merged(sample("command-apply"), properties.clone())).await.unwrap();
            let diagnosis = diagnosed(fake.state.take(), &Access::Own).await;
            assert_works_with_notes(&diagnosis, &format!("{kind}, {properties}"));
            count += 1;
        }
    }
    print_count(count, "rules of this program that work by a diagnosis");
}

#[tokio::test(start_paused = true)]
async fn every_rule_of_this_program_across_accounts_works() {
    for changes in
        [json!({}), json!({"ReplicaOwner": "Destination"}), json!({"ReplicationTimeControl": true})]
    {
        let fake = Fake::new(two_accounts());
        let properties = merged(other_account_properties(), changes.clone());
        invoke(&fake, &merged(sample("command-apply"), properties)).await.unwrap();
        let diagnosis = diagnosed(fake.state.take(), &abroad()).await;
        assert_works_with_notes(&diagnosis, &changes.to_string());
    }
}
