//! The life of a resource of Terraform: what the provider sends, what is done, and what Terraform keeps.

use insta::{assert_json_snapshot, assert_snapshot};
use proptest::prelude::*;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::Retry;
use serde_json::{Value, json};

use crate::support::*;

/// The input of the sample resource, with some members changed or, when `null`, absent.
fn input(changes: Value) -> Value {
    let mut input = sample("terraform-create");
    let input_members = input.as_object_mut().unwrap();
    input_members.remove("tf");
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => input_members.remove(name),
            value => input_members.insert(name.clone(), value.clone()),
        };
    }
    input
}

/// What the provider sends: the input, and in it the action and the input before.
fn payload(action: &str, input: &Value, before: Option<&Value>) -> Value {
    merged(input.clone(), json!({"tf": {"action": action, "prev_input": before}}))
}

async fn create_resource(fake: &Fake, input: &Value) -> Result<Value, Error> {
    invoke(fake, &payload("create", input, None)).await
}

async fn update_resource(fake: &Fake, input: &Value, before: &Value) -> Result<Value, Error> {
    invoke(fake, &payload("update", input, Some(before))).await
}

async fn delete_resource(fake: &Fake, input: &Value) -> Result<Value, Error> {
    invoke(fake, &payload("delete", input, Some(input))).await
}

/// The ids of a bucket's rules.
fn rules(fake: &Fake, bucket: &str) -> Vec<String> {
    let state = fake.state.borrow();
    let configuration = state.buckets[bucket].replication.iter();
    let rules = configuration.flat_map(|configuration| configuration.rules());
    rules.map(|rule| rule.id().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn samples_create_update_and_delete_a_rule() {
    let fake = Fake::new(two_buckets());
    let created = invoke(&fake, &sample("terraform-create")).await.unwrap();
    let updated = invoke(&fake, &sample("terraform-update")).await.unwrap();
    assert_eq!(created, updated, "the result has nothing that an update in place changes");
    assert_eq!(rules(&fake, "demo-source"), ["s3-kms-replication.demo"]);
    let deleted = invoke(&fake, &sample("terraform-delete")).await.unwrap();
    assert_eq!(rules(&fake, "demo-source"), [""; 0]);
    assert!(!fake.state.borrow().roles.contains_key(OWN_ROLE_NAME));
    assert_json_snapshot!([created, deleted]);
}

#[tokio::test(start_paused = true)]
async fn same_input_gives_the_same_result_whatever_had_to_be_done() {
    for (changes, status) in
        [(json!({}), "Configured"), (json!({"Verify": true, "Action": "Apply"}), "Verified")]
    {
        let (fake, input) = (Fake::new(two_buckets()), input(changes));
        let first = create_resource(&fake, &input).await.unwrap();
        assert_eq!(first["Status"], status);
        assert_eq!(create_resource(&fake, &input).await.unwrap(), first);
        assert_eq!(update_resource(&fake, &input, &input).await.unwrap(), first);
        let removed = delete_resource(&fake, &input).await.unwrap();
        assert_eq!(delete_resource(&fake, &input).await.unwrap(), removed, "nothing was there");
    }
}

#[tokio::test(start_paused = true)]
async fn update_to_another_rule_applies_it_and_then_deletes_the_earlier_one() {
    let unnamed = json!({"Name": null});
    for (before, after, bucket, rule) in [
        (json!({}), json!({"Name": "other"}), "demo-source", "s3-kms-replication.other"),
        (
            json!({}),
            json!({"SourceBucket": "prod-orders"}),
            "prod-orders",
            "s3-kms-replication.demo",
        ),
        (
            unnamed.clone(),
            json!({"Name": null, "DestinationBucket": "new", "CreateDestinationBucket": true}),
            "demo-source",
            "s3-kms-replication.new",
        ),
        (unnamed, json!({"Name": "dr"}), "demo-source", "s3-kms-replication.dr"),
    ] {
        let (before, after) = (input(before), input(after));
        let fake = Fake::new(two_buckets());
        create_resource(&fake, &before).await.unwrap();
        fake.clear();
        let updated = update_resource(&fake, &after, &before).await.unwrap();
        assert_eq!(updated["Id"], format!("{bucket}/{rule}"));
        assert_eq!(rules(&fake, bucket), [rule]);
        assert!(bucket == "demo-source" || rules(&fake, "demo-source").is_empty());
        let created = Fake::new(two_buckets());
        assert_eq!(create_resource(&created, &after).await.unwrap(), updated);

        let (applied, deleted) =
            (fake.position("PutRolePolicy"), fake.position("DeleteRolePolicy"));
        assert!(applied < deleted, "{}", lines(&fake.writes()));
        delete_resource(&fake, &after).await.unwrap();
        assert!(fake.state.borrow().roles.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn update_in_place_deletes_nothing() {
    for changes in [
        json!({"Prefix": "Invoices"}),
        json!({"DestinationBucket": "new", "CreateDestinationBucket": true}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}),
    ] {
        let fake = Fake::new(two_buckets());
        create_resource(&fake, &input(json!({}))).await.unwrap();
        fake.clear();
        update_resource(&fake, &input(changes), &input(json!({}))).await.unwrap();
        assert_eq!(fake.count("DeleteRolePolicy") + fake.count("DeleteBucketReplication"), 0);
        assert_eq!(rules(&fake, "demo-source"), ["s3-kms-replication.demo"]);
    }
}

#[tokio::test(start_paused = true)]
async fn update_of_an_imported_resource_or_after_a_refused_input_deletes_nothing() {
    let fake = Fake::new(two_buckets());
    create_resource(&fake, &input(json!({}))).await.unwrap();
    create_resource(&fake, &input(json!({"Name": "theirs"}))).await.unwrap();
    let imported = payload("update", &input(json!({})), None);
    invoke(&fake, &imported).await.unwrap();
    // Terraform keeps a refused input as the resource's, though it has never made a rule.
    for refused in [json!({"DryRun": true}), json!({"Action": "Plan"}), json!({"Prefx": "x"})] {
        let refused = merged(input(json!({"Name": "theirs"})), refused);
        update_resource(&fake, &refused, &input(json!({}))).await.unwrap_err();
        update_resource(&fake, &input(json!({})), &refused).await.unwrap();
    }
    assert_eq!(
        rules(&fake, "demo-source"),
        ["s3-kms-replication.demo", "s3-kms-replication.theirs"]
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_of_a_resource_deletes_only_the_rule_that_its_input_names() {
    let fake = Fake::new(with_foreign_role());
    let extend = |name: &str| input(json!({"Name": name, "ExistingRole": "Extend"}));
    create_resource(&fake, &extend("first")).await.unwrap();
    let with_first = fake.state.borrow().clone();
    create_resource(&fake, &extend("second")).await.unwrap();
    // An update that was refused and kept may have left values that no rule can have.
    let unusable = merged(extend("second"), json!({"Priority": -1, "ReplicaKmsKeyArn": null}));
    delete_resource(&fake, &unusable).await.unwrap();
    assert_eq!(*fake.state.borrow(), with_first);
    delete_resource(&fake, &extend("third")).await.unwrap();
    delete_resource(&fake, &input(json!({"SourceBucket": "gone"}))).await.unwrap();
    assert_eq!(*fake.state.borrow(), with_first);
}

#[tokio::test(start_paused = true)]
async fn failed_create_is_completed_by_the_next_one() {
    let undisturbed = Fake::new(two_buckets());
    let expected = create_resource(&undisturbed, &input(json!({}))).await.unwrap();
    let calls = undisturbed.calls.borrow().len();
    for index in 0..calls {
        let fake = Fake::new(two_buckets());
        fake.fail_call(index, Fault::Refused("AccessDenied", Retry::Never));
        let _ = create_resource(&fake, &input(json!({}))).await;
        fake.stop_failing();
        assert_eq!(create_resource(&fake, &input(json!({}))).await.unwrap(), expected);
        fake.state.borrow_mut().leases.clear();
        assert!(fake.state == undisturbed.state, "after a failure of call {index}");
    }
}

#[tokio::test(start_paused = true)]
async fn earlier_rule_that_cannot_be_deleted_is_named_with_what_to_do() {
    let fake = Fake::new(two_buckets());
    create_resource(&fake, &input(json!({}))).await.unwrap();
    fake.refuse("DeleteBucketReplication", usize::MAX, "AccessDenied", Retry::Never);
    let moved = input(json!({"SourceBucket": "prod-orders"}));
    let error = update_resource(&fake, &moved, &input(json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.changed_nothing()), ("CallFailed", false));
    assert_snapshot!(error);
    assert_eq!(rules(&fake, "prod-orders"), ["s3-kms-replication.demo"]);
    assert_eq!(rules(&fake, "demo-source"), ["s3-kms-replication.demo"]);
}

#[tokio::test(start_paused = true)]
async fn pending_canary_is_an_error_and_the_next_create_continues_with_it() {
    let fake = Fake::new(two_buckets());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let verified = input(json!({"Verify": true}));
    let pending = create_resource(&fake, &verified).await.unwrap_err();
    assert_eq!(pending.kind(), "VerifyPending");
    fake.replicator.borrow_mut().pending = 0;
    assert_eq!(create_resource(&fake, &verified).await.unwrap()["Status"], "Verified");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_unusable_request_about_a_resource_is_refused_without_a_call() {
    let added = |action: Value, before: Value| json!({"action": action, "prev_input": before});
    let with = |changes: Value| merged(payload("create", &input(json!({})), None), changes);
    let mut errors = Vec::new();
    for payload in [
        with(json!({"tf": added(json!("read"), json!(null))})),
        with(json!({"tf": added(json!(1), json!(null))})),
        with(json!({"tf": added(json!("update"), json!("{}"))})),
        with(json!({"tf": added(json!("delete"), json!(["demo"]))})),
        with(json!({"again": added(json!("create"), json!(null))})),
        with(json!({"tf": {"action": "create"}})),
        with(json!({"tf": {"action": "create", "prev_input": null, "more": 1}})),
        with(json!({"Prefx": "Tax"})),
        with(json!({"Action": "Plan"})),
        with(json!({"DryRun": true})),
        with(json!({"SourceBucket": null})),
        with(json!({"Name": "a b"})),
        with(json!({"Priority": "high"})),
        json!({"tf": added(json!("delete"), json!(null))}),
        payload("delete", &input(json!({"DryRun": true})), None),
        payload("delete", &input(json!({"Nmae": "x"})), None),
    ] {
        let fake = Fake::new(two_buckets());
        errors.push(invoke(&fake, &payload).await.unwrap_err().to_string());
        assert_eq!(fake.calls.borrow().len(), 0);
    }
    assert_snapshot!(errors.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn object_of_the_provider_may_have_any_name_and_tags_are_no_such_object() {
    let fake = Fake::new(two_buckets());
    let mut renamed = sample("terraform-create");
    let change = renamed.as_object_mut().unwrap().remove("tf").unwrap();
    renamed["lifecycle"] = change;
    let tags = json!({"action": "create", "prev_input": "none"});
    let renamed = merged(renamed, json!({"Tags": tags}));
    assert_eq!(invoke(&fake, &renamed).await.unwrap()["Status"], "Configured");
    let command = merged(sample("command-apply"), json!({"Tags": tags}));
    assert!(invoke(&fake, &command).await.unwrap()["Stages"].is_array());
}

/// An input of a resource that moves between sources, names and destinations.
fn any_input() -> impl Strategy<Value = Value> {
    let sources = prop::sample::select(vec!["demo-source", "prod-orders"]);
    let names = prop::option::of(prop::sample::select(vec!["one", "two"]));
    let destinations = prop::sample::select(vec!["demo-destination", "other"]);
    let prefixes = prop::sample::select(vec!["", "Tax"]);
    (sources, names, destinations, prefixes).prop_map(|(source, name, destination, prefix)| {
        input(json!({
            "SourceBucket": source, "Name": name, "DestinationBucket": destination, "Prefix": prefix,
            "CreateDestinationBucket": true, "ExistingRole": "Extend",
        }))
    })
}

/// Takes a resource through these inputs, and holds what is left against the last one.
async fn check_life(inputs: &[Value]) {
    let fake = Fake::new(with_foreign_role());
    let mut result = create_resource(&fake, &inputs[0]).await.unwrap();
    for inputs in inputs.windows(2) {
        result = update_resource(&fake, &inputs[1], &inputs[0]).await.unwrap();
    }
    let last = inputs.last().unwrap();
    let of_bucket = |bucket: &str| {
        let rules = rules(&fake, bucket).into_iter().filter(|rule| !rule.starts_with("theirs"));
        rules.map(|rule| format!("{bucket}/{rule}")).collect::<Vec<_>>()
    };
    let ours = [of_bucket("demo-source"), of_bucket("prod-orders")].concat();
    assert_eq!(ours, [result["Id"].as_str().unwrap()]);
    fake.clear();
    assert_eq!(create_resource(&fake, last).await.unwrap(), result);
    assert_eq!(fake.writes(), []);

    delete_resource(&fake, last).await.unwrap();
    let foreign = with_foreign_role();
    assert_eq!(fake.state.borrow().roles, foreign.roles);
    let replication = |state: &State| state.buckets["demo-source"].replication.clone();
    assert_eq!(replication(&fake.state.borrow()), replication(&foreign));
    assert_eq!(rules(&fake, "prod-orders"), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_2_updates_of_a_resource_leave_its_last_rule_and_all_foreign_rules(
        inputs in prop::collection::vec(any_input(), 1..6)
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        runtime.build().unwrap().block_on(check_life(&inputs));
    }
}
