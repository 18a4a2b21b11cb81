//! Generated cases: any configuration that a bucket may have, and any request for a rule.

use std::cell::Cell;

use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;
use s3_kms_replication::model::{ReplicationRule, Versioning};
use serde_json::{Map, Value, json};

use crate::support::*;
use proptest::prelude::*;

fn filter() -> impl Strategy<Value = String> {
    let tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,3}".prop_map(|prefix| format!("<Prefix>{prefix}</Prefix>")),
        Just(tag.to_owned()),
        "[a-z]{1,3}".prop_map(move |prefix| format!("<And><Prefix>{prefix}</Prefix>{tag}</And>")),
        "[a-z]{1,3}".prop_map(|prefix| format!("<Not><Prefix>{prefix}</Prefix></Not>")),
    ]
}

fn rule(id: String, priority: i32) -> impl Strategy<Value = ReplicationRule> {
    let storage = proptest::option::of(select(vec!["GLACIER", "A_CLASS_OF_TOMORROW"]));
    let unknown = proptest::option::of(Just(("SomethingNewer", "<Status>Enabled</Status>")));
    (filter(), any::<bool>(), storage, unknown).prop_map(
        move |(filter, enabled, storage, unknown)| {
            let mut rule = Rule::new(&id, priority).filter(&filter);
            if !enabled {
                rule = rule.disabled();
            }
            let elements = storage.map(|class| ("StorageClass", class)).into_iter().chain(unknown);
            elements.fold(rule, |rule, (name, value)| rule.destination_element(name, value)).build()
        },
    )
}

/// Up to six rules of others or of ours by other names, with unique ids and priorities in any order.
fn rules() -> impl Strategy<Value = Vec<ReplicationRule>> {
    let ids = vec!["a", "b", "c", "s3-kms-replication.another", "s3-kms-replication.", "z"];
    let priorities = vec![0, 1, 2, 7, 500, i32::MAX - 1, i32::MAX];
    (subsequence(ids, 0..=6).prop_shuffle(), Just(priorities).prop_shuffle()).prop_flat_map(
        |(ids, priorities)| {
            ids.into_iter()
                .zip(priorities)
                .map(|(id, priority)| rule(id.to_owned(), priority))
                .collect::<Vec<_>>()
        },
    )
}

/// Two buckets of which the source has these rules.
fn with_rules(rules: Vec<ReplicationRule>) -> State {
    let mut state = two_buckets();
    if !rules.is_empty() {
        for name in ["demo-source", "demo-destination"] {
            state.bucket_mut(name).versioning = Versioning::Enabled;
        }
        state.bucket_mut("demo-source").replication = replicating(OWN_ROLE, rules);
    }
    state
}

/// Any properties for the custom resource; some of them refused.
fn properties() -> impl Strategy<Value = Value> {
    let boolean = || prop_oneof![Just(json!(true)), Just(json!("false"))];
    let optional = |name: &'static str, value: BoxedStrategy<Value>| {
        proptest::option::of(value).prop_map(move |value| (name, value))
    };
    let priority =
        prop_oneof![(0..10_i64).prop_map(|priority| json!(priority)), Just(json!(i32::MAX))];
    let storage = select(vec!["STANDARD_IA", "GLACIER", "STANDARD"]);
    (
        optional("Prefix", "[a-zé*?$]{0,4}".prop_map(|prefix| json!(prefix)).boxed()),
        optional("Tags", Just(json!({"x": "1", "y": ""})).boxed()),
        optional("Priority", priority.boxed()),
        optional("DeleteMarkerReplication", boolean().boxed()),
        optional("ReplicaModifications", boolean().boxed()),
        optional("ReplicationTimeControl", boolean().boxed()),
        optional("Metrics", boolean().boxed()),
        optional("StorageClass", storage.prop_map(|class| json!(class)).boxed()),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| {
            let given: Map<String, Value> = [a, b, c, d, e, f, g, h]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.unwrap_or(Value::Null)))
                .collect();
            Value::Object(given)
        })
}

fn rules_of(fake: &Fake) -> Vec<ReplicationRule> {
    fake.state.borrow().rules("demo-source")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

const CASES: u32 = 512;

#[test]
fn invariants_2_3_and_4_hold_for_generated_requests_on_generated_configurations() {
    let config =
        ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let accepted = Cell::new(0);
    let tested = TestRunner::new(config).run(&(rules(), properties()), |(rules, properties)| {
        let was_accepted = run(create_again_and_delete(&rules, properties))?;
        accepted.set(accepted.get() + u32::from(was_accepted));
        Ok(())
    });
    tested.unwrap();
    assert!(accepted.get() > CASES / 2, "most requests are accepted: {}", accepted.get());
    print_count(accepted.get(), "generated requests accepted, and taken back again");
    print_count(CASES - accepted.get(), "generated requests refused");
}

#[test]
fn invariants_2_and_3_hold_for_generated_configurations_in_each_role_scope() {
    let config =
        ProptestConfig { cases: CASES / 4, failure_persistence: None, ..ProptestConfig::default() };
    let tested = TestRunner::new(config).run(
        &(rules(), select(vec!["Bucket", "Policy"]), select(vec!["Bucket", "Policy"])),
        |(rules, first, second)| run(walk_in_two_scopes(&rules, first, second)),
    );
    tested.unwrap();
}

/// The rules of others stay when a walk of each scope covers the bucket, and the last walk again writes nothing.
async fn walk_in_two_scopes(
    rules: &[ReplicationRule],
    first: &str,
    second: &str,
) -> Result<(), TestCaseError> {
    let policy = r#"{"Rules": [{"Name": "dr", "Match": {"BucketNames": ["demo-source"]}, "DestinationBucket": "demo-destination", "ExistingDestination": "Use", "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}]}"#;
    let walk = json!({"Action": "Reconcile", "SourceBucket": "demo-source"});
    let mut state = with_rules(rules.to_vec());
    for scope in [first, second, second] {
        let settings = environment(&[
            ("REPLICATION_POLICY", policy),
            ("LOCK_TABLE", "leases"),
            ("ROLE_SCOPE", scope),
            ("STACK_ID", "arn:aws:cloudformation:us-east-1:111122223333:stack/crr/6f3c"),
        ]);
        let fake = Fake::new(state);
        let _ = invoke_with(&fake, &walk, &settings).await;
        let after = rules_of(&fake);
        prop_assert_eq!(&after[..rules.len()], rules, "the rules of others stay, in order");
        prop_assert!(after.len() <= rules.len() + 1);
        state = fake.state.take();
    }
    let is_own = state.buckets["demo-source"]
        .replication
        .as_ref()
        .is_none_or(|replication| replication.role() == OWN_ROLE);
    prop_assert_eq!(is_own, second == "Bucket" || !rules.is_empty());
    Ok(())
}

/// Whether the request was accepted.
async fn create_again_and_delete(
    rules: &[ReplicationRule],
    properties: Value,
) -> Result<bool, TestCaseError> {
    let before = with_rules(rules.to_vec());
    let fake = Fake::new(before.clone());
    let answer = create(&fake, properties.clone()).await;
    if answer["Status"] == "FAILED" {
        prop_assert_eq!(
            &*fake.state.borrow(),
            &before,
            "a refusal changes nothing: {}",
            answer["Reason"]
        );
        return Ok(false);
    }
    let after = rules_of(&fake);
    prop_assert_eq!(&after[..rules.len()], rules, "the rules of others stay, in order");
    prop_assert_eq!(after.len(), rules.len() + 1);
    let mut priorities: Vec<_> = after.iter().map(|rule| rule.priority().unwrap()).collect();
    priorities.sort_unstable();
    priorities.dedup();
    prop_assert_eq!(priorities.len(), after.len(), "priorities are unique");

    fake.calls.take();
    create(&fake, properties).await;
    prop_assert_eq!(fake.writes(), [], "the plan after it is empty");

    delete(&fake).await;
    prop_assert_eq!(
        fake.state.borrow().roles.len(),
        usize::from(!rules.is_empty()),
        "our role goes unless a rule needs it"
    );
    prop_assert_eq!(rules_of(&fake), rules, "what is left is what was there");
    Ok(true)
}
