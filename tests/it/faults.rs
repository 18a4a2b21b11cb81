//! Invariant 3, by breaking every call: after a failure anywhere, the same request again ends where an undisturbed one ends.

use serde_json::json;

use s3_kms_replication::cloud::Remedy;

use crate::fake::{Fake, Fault, State};
use crate::*;

const FAULTS: [Fault; 4] = [
    Fault::Refused("AccessDenied", Remedy::None),
    Fault::Refused("SlowDown", Remedy::Later),
    Fault::Refused("OperationAborted", Remedy::Wait),
    Fault::AnswerLost,
];

async fn after(before: &State, request: &Value) -> (State, usize) {
    let fake = Fake::of(before.clone());
    let _ = ask(&fake, request).await;
    (fake.state.take(), fake.calls.borrow().len())
}

/// Every rule of ours has its role, and the role the grants that this very rule needs.
fn rules_have_their_grants(state: &State) -> bool {
    state.buckets.values().filter_map(|bucket| bucket.replication.as_ref()).all(|configuration| {
        let role = state.roles.values().find(|role| role.arn == configuration.role());
        let mut ours = configuration.rules().iter().filter(|rule| rule.id().is_some_and(|id| id.starts_with("s3-kms-replication.")));
        ours.all(|rule| {
            let policy = role.and_then(|role| role.policies.get(rule.id().unwrap()));
            let replicas = format!("{}/{}*", rule.destination().unwrap().bucket(), rule.filter().unwrap().prefix().unwrap());
            policy.is_some_and(|policy| policy.contains(&replicas) && policy.contains("kms:Decrypt"))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn invariant_3_failing_after_any_call_and_running_again_ends_in_the_same_state() {
    let new = two_buckets();
    let (configured, _) = after(&new, &custom_resource("Create", json!({}))).await;
    let flows = [
        ("event on a new bucket", &new, sample("create-bucket")),
        ("Create", &new, custom_resource("Create", json!({}))),
        ("Update", &configured, custom_resource("Update", json!({"StorageClass": "GLACIER_IR", "Priority": "5"}))),
        (
            "Update to another destination",
            &configured,
            custom_resource("Update", json!({"DestinationBucket": "new", "CreateDestinationBucket": true})),
        ),
        ("Delete", &configured, custom_resource("Delete", json!({}))),
    ];
    let mut points = 0;
    for (flow, before, request) in flows {
        let (undisturbed, calls) = after(before, &request).await;
        for (fault, index) in FAULTS.iter().flat_map(|fault| (0..calls).map(move |index| (*fault, index))) {
            let fake = Fake::of(before.clone());
            fake.fault.set(Some((index, fault)));
            let _ = ask(&fake, &request).await;
            assert!(rules_have_their_grants(&fake.state.borrow()), "{flow}, {fault:?} in call {index}");
            fake.fault.set(None);
            let _ = ask(&fake, &request).await;
            assert_eq!(*fake.state.borrow(), undisturbed, "{flow}, {fault:?} in call {index}, then again");
            points += 1;
        }
    }
    println!("{points} fault points");
}
