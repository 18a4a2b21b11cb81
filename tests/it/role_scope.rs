//! `RoleScope` Policy: one role for all buckets of the replication policy.

mod changed_policy;
mod convergence;
mod cost;
mod jobs;
mod moves;
mod shared_role;

use s3_kms_replication::config::Settings;
use s3_kms_replication::model::{Retry, Versioning};
use serde_json::{Value, json};

use crate::support::*;

const STACK: &str = "arn:aws:cloudformation:us-east-1:111122223333:stack/crr/6f3c";

const RULES: &str = r#"{"Rules": [{
    "Name": "dr",
    "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "copy-{bucket}",
    "DestinationRegion": "us-west-2",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "CreateDestinationBucket": true,
    "Priority": 1
}, {
    "Name": "audit",
    "Match": {"BucketNames": ["prod-o*"], "BucketTags": {"audit": "true"}, "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "audit-{account}",
    "ExistingDestination": "Use",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "Priority": 2
}]}"#;

fn with_scope(scope: &str, policy: &str) -> Settings {
    environment(&[
        ("REPLICATION_POLICY", policy),
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
        ("ROLE_SCOPE", scope),
        ("STACK_ID", STACK),
    ])
}

fn policy_scope() -> Settings {
    with_scope("Policy", RULES)
}

fn bucket_scope() -> Settings {
    with_scope("Bucket", RULES)
}

/// Two buckets of the policy, of which `prod-orders` has the tag of both rules, and the destination of one.
fn buckets() -> State {
    let audited = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).tagged("audit", "true");
    two_buckets()
        .with_bucket("prod-bills", Bucket::new("us-east-1").encrypted_with(SOURCE_KEY))
        .with_bucket("prod-orders", audited)
        .with_bucket("audit-111122223333", Bucket::new("us-west-2"))
}

fn created(bucket: &str) -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!(bucket);
    event
}

fn walked(bucket: &str) -> Value {
    json!({"Action": "Reconcile", "SourceBucket": bucket})
}

/// A custom resource for a bucket of the policy.
fn custom(request_type: &str, second: u32) -> Value {
    let changes = json!({"SourceBucket": "prod-orders", "Priority": null});
    signed(custom_resource(request_type, changes), &format!("20261122T1200{second:02}Z"))
}

fn serving_role(state: &State, bucket: &str) -> String {
    let replication = state.buckets[bucket].replication.as_ref().unwrap();
    replication.role().rsplit('/').next().unwrap().to_owned()
}

fn shared_role(state: &State) -> String {
    let mut names = state.roles.keys().filter(|name| name.starts_with("s3-crr-us-east-1_"));
    names.next().unwrap().clone()
}

/// Lets the time pass for which replaced roles and grants stay.
fn a_day_later(state: &mut State) {
    let tags = state
        .roles
        .values_mut()
        .filter_map(|role| role.tags.get_mut("s3-kms-replication-keep-until"));
    tags.for_each(|until| *until = (now() - 1).to_string());
    state.leases.clear();
}

/// The state after this process has handled the requests.
async fn after(state: State, settings: &Settings, requests: &[Value]) -> State {
    let fake = Fake::new(state);
    for request in requests {
        invoke_with(&fake, request, settings).await.unwrap();
    }
    fake.state.take()
}

/// Whether the role of every bucket has an inline policy of each rule, which names the beginning of the rule's destination.
fn rules_have_their_grants(state: &State) -> bool {
    state.buckets.values().filter_map(|bucket| bucket.replication.as_ref()).all(|configuration| {
        let role = state.roles.values().find(|role| role.arn == configuration.role());
        configuration.rules().all(|rule| {
            let policies = role.map(|role| &role.policies);
            let policy = policies.and_then(|policies| policies.get(rule.id().unwrap()));
            let arn = rule.destination_bucket().unwrap();
            let pattern = arn.split_once("prod-").map(|(before, _)| format!("{before}prod-*"));
            policy.is_some_and(|policy| {
                let has = |arn: &String| policy.contains(&format!("\"{arn}/"));
                has(&arn.to_owned()) || pattern.as_ref().is_some_and(has)
            })
        })
    })
}
