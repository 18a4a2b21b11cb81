//! Roles of 0.1.0, as they are found after an upgrade.

use serde_json::json;

use super::own_role;
use crate::support::*;

/// The bucket with the rule of the walk-through's command as 0.1.0 left it.
async fn made_by_0_1_0() -> State {
    let mut state = applied(two_buckets(), &[&spec(json!({}))]).await;
    for policy in own_role(&mut state).policies.values_mut() {
        for added in [
            "\"s3:GetObjectVersionAnnotationForReplication\",",
            "\"StringEqualsIfExists\":{\"aws:ResourceAccount\":\"111122223333\"},",
        ] {
            assert!(policy.contains(added), "{policy}");
            *policy = policy.replace(added, "");
        }
    }
    state
}

#[tokio::test]
async fn invariant_3_new_grants_reach_roles_of_0_1_0_as_drift() {
    let spec = spec(json!({}));
    let plan = plan_apply(&made_by_0_1_0().await, &spec).unwrap();
    let operations: Vec<_> = plan.actions().map(|action| action.operation()).collect();
    assert_eq!(operations, ["PutRolePolicy"]);
    insta::assert_snapshot!(changes_text(&plan));
    let upgraded = executed(made_by_0_1_0().await, &plan).await;
    assert_eq!(plan_apply(&upgraded, &spec).unwrap().stages, []);
}
