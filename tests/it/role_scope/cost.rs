//! What the role of all buckets costs: calls and rounds of an event, and of walks over many buckets.

use super::*;

/// The rounds of an event about `bucket` in a process that has handled another bucket, with the number of its calls.
async fn rounds_of_event(fake: &Fake, bucket: &str, policy: &str) -> String {
    fake.clear();
    fake.record_times();
    invoke_with(fake, &created(bucket), &with_scope("Policy", policy)).await.unwrap();
    let calls = u32::try_from(fake.calls.borrow().len()).unwrap();
    print_count(calls, &format!("calls of an event about {bucket} in RoleScope Policy"));
    format!("{calls} calls\n{}", fake.rounds())
}

#[tokio::test(start_paused = true)]
async fn new_bucket_and_its_next_event_take_the_recorded_rounds() {
    let fixed = RULES
        .replace("copy-{bucket}", "copies")
        .replace("\"CreateDestinationBucket\": true", "\"ExistingDestination\": \"Use\"");
    for (destination, policy) in [("created", RULES), ("existing", &fixed)] {
        let copies = Bucket { versioning: Versioning::Enabled, ..Bucket::new("us-west-2") };
        let bucket = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
        let state = buckets().with_bucket("copies", copies).with_bucket("prod-notes", bucket);
        let fake = Fake::new(state);
        invoke_with(&fake, &created("prod-bills"), &with_scope("Policy", policy)).await.unwrap();
        let new = rounds_of_event(&fake, "prod-notes", policy).await;
        insta::assert_snapshot!(format!("new_bucket_with_{destination}_destination"), new);
        let again = rounds_of_event(&fake, "prod-notes", policy).await;
        insta::assert_snapshot!(format!("next_event_with_{destination}_destination"), again);
    }
}

/// Walks in batches, over 10,000 buckets with `make scale`.
#[tokio::test(start_paused = true)]
async fn many_buckets_are_walked_in_batches_and_have_one_role() {
    let size: usize = std::env::var("IN_PROCESS").map_or(1_000, |size| size.parse().unwrap());
    let names: Vec<String> = (0..size).map(|number| format!("prod-b{number:05}")).collect();
    let bucket = || Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
    let state = names.iter().fold(two_buckets(), |state, name| state.with_bucket(name, bucket()));
    let fake = Fake::new(state);
    for (walk, changed, unchanged) in [("first", size, 0), ("second", 0, size)] {
        // With the account of the function's role, the calls are those that the function sends.
        fake.record_times();
        let (mut invocations, mut counts) = (0, [0, 0]);
        for batch in names.chunks(25) {
            let batch = json!({"Action": "Reconcile", "SourceBuckets": batch});
            let answer = invoke_with(&fake, &batch, &policy_scope()).await.unwrap();
            assert_eq!((&answer["Failures"], &answer["NotDone"]), (&json!([]), &json!([])));
            for (count, name) in counts.iter_mut().zip(["Changed", "Unchanged"]) {
                *count += usize::try_from(answer[name].as_u64().unwrap()).unwrap();
            }
            invocations += 1;
        }
        assert_eq!((invocations, counts), (size / 25, [changed, unchanged]));
        let calls = u32::try_from(fake.calls.borrow().len()).unwrap();
        print_count(calls, &format!("calls of the {walk} walk over {size} buckets"));
        assert_eq!(fake.writes().is_empty(), walk == "second");
        fake.clear();
    }
    let state = fake.state.take();
    assert_eq!(state.roles.keys().collect::<Vec<_>>(), [&shared_role(&state)]);
    assert!(rules_have_their_grants(&state));
}
