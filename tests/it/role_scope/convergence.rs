//! Invariant 3, with both scopes of roles and the moves between them.

use super::*;

/// The state without leases, without the times until which roles stay, and with the rules of each bucket in the order of their ids.
fn comparable(mut state: State) -> State {
    state.leases.clear();
    for bucket in state.buckets.values_mut() {
        if let Some(replication) = &bucket.replication {
            let mut rules: Vec<_> = replication.rules().cloned().collect();
            rules.sort_by_key(|rule| rule.id().map(str::to_owned));
            bucket.replication = replicating(replication.role(), rules);
        }
    }
    for role in state.roles.values_mut() {
        role.tags.remove("s3-kms-replication-keep-until");
    }
    state
}

#[tokio::test(start_paused = true)]
async fn invariant_3_role_scope_converges_after_a_failure_of_any_call() {
    let walk = [walked("prod-orders")];
    let own = after(buckets(), &bucket_scope(), &walk).await;
    let shared = after(buckets(), &policy_scope(), &walk).await;
    let mut replaced = after(own.clone(), &policy_scope(), &walk).await;
    a_day_later(&mut replaced);
    let changed = RULES.replace("copy-{bucket}", "dr-{bucket}");
    let mut untagged = shared.clone();
    untagged.bucket_mut("prod-orders").tags.clear();
    let flows = [
        ("event", buckets(), policy_scope(), created("prod-orders")),
        ("from Bucket to Policy", own, policy_scope(), walked("prod-orders")),
        ("from Policy to Bucket", shared.clone(), bucket_scope(), walked("prod-orders")),
        ("removal of the own role", replaced, policy_scope(), walked("prod-orders")),
        ("changed policy", shared.clone(), with_scope("Policy", &changed), walked("prod-orders")),
        ("custom resource", shared, policy_scope(), custom("Create", 0)),
        ("lost tag", untagged, policy_scope(), walked("prod-orders")),
    ];
    let mut points = 0;
    for (flow, before, settings, request) in flows {
        let fake = Fake::new(before.clone());
        invoke_with(&fake, &request, &settings).await.unwrap();
        let calls = fake.calls.borrow().len();
        let undisturbed = comparable(fake.state.take());
        assert_ne!(undisturbed, comparable(before.clone()), "{flow} changes something");
        for (fault, index) in fault_points(calls) {
            let point = format!("{flow}, {fault:?} in call {index} of {calls}");
            let fake = Fake::new(before.clone());
            fake.fail_call(index, fault);
            let _ = invoke_with(&fake, &request, &settings).await;
            fake.stop_failing();
            assert!(rules_have_their_grants(&fake.state.borrow()), "{point}");
            let mut state = fake.state.take();
            state.leases.clear();
            let fake = Fake::new(state);
            let _ = invoke_with(&fake, &request, &settings).await;
            let ended = comparable(fake.state.take());
            for (name, bucket) in &ended.buckets {
                let expected = undisturbed.buckets.get(name);
                assert_eq!(Some(bucket), expected, "{point}: {name}, then again");
            }
            assert_eq!(ended.roles, undisturbed.roles, "{point}, then again");
            assert_eq!(ended, undisturbed, "{point}, then again");
            points += 1;
        }
    }
    print_count(points, "fault points of the role scope");
    assert!(points >= 300, "{points}");
}
