//! Invariant 3: applying converges, also after a failure of any call.

use s3_kms_replication::model::{ReplicationRule, Role};
use serde_json::{Value, json};

use crate::support::*;

/// The state when every lease has expired.
fn later(mut state: State) -> State {
    state.leases.clear();
    state
}

/// The state with the jobs that run, by numbers, and without those that have ended.
fn with_jobs_that_run(mut state: State) -> State {
    let jobs = std::mem::take(&mut state.jobs).into_iter();
    for (number, (id, job)) in jobs.filter(|(_, job)| !job.has_ended()).enumerate() {
        let number = format!("running {number}");
        for tag in state.roles.values_mut().flat_map(|role| role.tags.values_mut()) {
            *tag = tag.replace(&id, &number);
        }
        state.jobs.insert(number, job);
    }
    state
}

/// The request, made anew some seconds later, when it is one of CloudFormation.
fn signed_later(request: &Value, seconds: u32) -> Value {
    let mut later = request.clone();
    if let Some(url) = request["ResponseURL"].as_str() {
        later["ResponseURL"] = json!(url.replace("T080000Z", &format!("T08000{seconds}Z")));
    }
    later
}

async fn state_and_calls_after(before: &State, request: &Value) -> (State, usize) {
    let fake = Fake::new(before.clone());
    let _ = invoke(&fake, request).await;
    (fake.state.take(), fake.calls.borrow().len())
}

/// Whether every rule of ours has its role, and the role the grants of this rule.
fn rules_have_their_grants(state: &State) -> bool {
    state.buckets.values().filter_map(|bucket| bucket.replication.as_ref()).all(|configuration| {
        let role = state.roles.values().find(|role| role.arn == configuration.role());
        let mut ours = configuration
            .rules()
            .filter(|rule| rule.id().is_some_and(|id| id.starts_with("s3-kms-replication.")));
        ours.all(|rule| {
            let policies = role.into_iter().flat_map(|role| &role.policies);
            let policy = policies
                .filter(|(name, _)| name.starts_with(rule.id().unwrap()))
                .map(|(_, policy)| policy)
                .next();
            let replicas = format!(
                "{}/{}*",
                rule.destination_bucket().unwrap(),
                rule.filter().prefix().unwrap_or_default()
            );
            let admitted = rule.destination_account().is_none() || admits_role(state, rule);
            policy
                .is_some_and(|policy| policy.contains(&replicas) && policy.contains("kms:Decrypt"))
                && admitted
        })
    })
}

/// The foreign rules of every bucket, in order, and the foreign roles.
fn foreign_rules_and_roles(state: &State) -> (Vec<Vec<ReplicationRule>>, Vec<Role>) {
    let foreign =
        |rule: &ReplicationRule| rule.id().is_some_and(|id| !id.starts_with("s3-kms-replication."));
    let rules = |bucket: &Bucket| {
        bucket
            .replication
            .iter()
            .flat_map(|configuration| configuration.rules().cloned())
            .filter(foreign)
            .collect()
    };
    let without_ours = |role: &Role| {
        let mut role = role.clone();
        role.policies.retain(|name, _| !name.starts_with("s3-kms-replication."));
        role
    };
    let roles = state
        .roles
        .values()
        .filter(|role| !role.tags.contains_key("s3-kms-replication"))
        .map(without_ours);
    (
        state.buckets.values().map(rules).filter(|rules: &Vec<_>| !rules.is_empty()).collect(),
        roles.collect(),
    )
}

/// The state as Delete must leave it: as before, but for versioning, which stays, and destinations that were created.
fn versioned(mut state: State, after: &State) -> State {
    for (name, bucket) in &after.buckets {
        let before = state.buckets.entry(name.clone()).or_insert_with(|| bucket.clone());
        before.versioning = bucket.versioning;
    }
    state
}

#[tokio::test(start_paused = true)]
async fn invariant_3_failing_in_any_call_and_running_again_ends_in_the_same_state() {
    let mut points = 0;
    let setups = [
        ("", two_buckets(), json!({})),
        (", with foreign rules", with_foreign_role(), json!({"ExistingRole": "Extend"})),
        (", to another account", two_accounts(), other_account_properties()),
        (", with a job", with_report_bucket(), job_properties()),
    ];
    for (others, new, properties) in setups {
        let request = |request_type, changes: Value| {
            let common = json!({"Priority": null, "AlarmTopicArn": TOPIC});
            let properties = merged(merged(common, properties.clone()), changes);
            signed(custom_resource(request_type, properties), "20261122T080000Z")
        };
        let create = request("Create", json!({}));
        let mut request_to_delete = signed_later(&request("Delete", json!({})), 3);
        request_to_delete["ResourceProperties"] = create["ResourceProperties"].clone();
        let (configured, _) = state_and_calls_after(&new, &create).await;
        let flows = [
            ("event on a new bucket", &new, sample("create-bucket")),
            ("Create", &new, create.clone()),
            (
                "Update",
                &configured,
                request("Update", json!({"StorageClass": "GLACIER_IR", "Priority": "5"})),
            ),
            (
                "Update to another destination",
                &configured,
                request(
                    "Update",
                    json!({"DestinationBucket": "new", "CreateDestinationBucket": true}),
                ),
            ),
            (
                "Update to another bucket",
                &configured,
                request("Update", json!({"SourceBucket": "prod-orders"})),
            ),
            ("Delete", &configured, request("Delete", json!({}))),
        ];
        for (flow, before, request) in flows {
            let (undisturbed, calls) = state_and_calls_after(before, &request).await;
            for (fault, index) in fault_points(calls) {
                let point = format!("{flow}{others}, {fault:?} in call {index} of {calls}");
                let fake = Fake::new(before.clone());
                fake.fail_call(index, fault);
                let _ = invoke(&fake, &request).await;
                let succeeded =
                    fake.answers.borrow().iter().any(|answer| answer.contains("SUCCESS"));
                fake.stop_failing();
                assert!(rules_have_their_grants(&fake.state.borrow()), "{point}");
                assert_eq!(
                    foreign_rules_and_roles(&fake.state.borrow()),
                    foreign_rules_and_roles(before),
                    "{point}"
                );
                assert_eq!(
                    foreign_statements(&fake.state.borrow()),
                    foreign_statements(before),
                    "{point}"
                );

                let generations = fake.generations.take();
                let fake = Fake::new(later(fake.state.take()));
                fake.generations.replace(generations);
                let mut again = request.clone();
                if flow == "Update to another bucket" && !succeeded {
                    // As CloudFormation does when the Update has failed: back to the old properties, and only then once more.
                    let mut back = signed_later(&request, 1);
                    back["OldResourceProperties"] = request["ResourceProperties"].clone();
                    back["ResourceProperties"] = create["ResourceProperties"].clone();
                    let _ = invoke(&fake, &back).await;
                    let rolled_back = with_jobs_that_run(fake.state.borrow().clone());
                    assert_eq!(
                        rolled_back,
                        versioned(with_jobs_that_run(before.clone()), &rolled_back),
                        "{point}, then rolled back"
                    );
                    again = signed_later(&request, 2);
                }
                let _ = invoke(&fake, &again).await;
                let ended = with_jobs_that_run(fake.state.borrow().clone());
                assert_eq!(ended, with_jobs_that_run(undisturbed.clone()), "{point}, then again");
                assert!(
                    flow != "Delete"
                        || fake.state.borrow().jobs.values().all(|started| started
                            .job
                            .status
                            .as_str()
                            == "Cancelled"),
                    "{point}"
                );
                if request["RequestType"] == "Create" {
                    fake.answers.borrow_mut().clear();
                    invoke(&fake, &request_to_delete).await.unwrap();
                    let deleted = with_jobs_that_run(fake.state.borrow().clone());
                    assert_eq!(
                        deleted,
                        versioned(new.clone(), &deleted),
                        "{point}, again, then Delete"
                    );
                }
                points += 1;
            }
        }
    }
    print_count(points, "fault points");
    assert!(points >= 300);
}

#[tokio::test(start_paused = true)]
async fn invariant_3_reapplying_an_unchanged_spec_performs_no_writes() {
    let extend = custom_resource("Create", json!({"ExistingRole": "Extend"}));
    for payload in [
        custom_resource("Create", json!({})),
        extend,
        sample("create-bucket"),
        sample("command-apply"),
    ] {
        let fake = Fake::new(two_buckets());
        invoke(&fake, &payload).await.unwrap();
        let after_once = fake.state.borrow().clone();
        fake.calls.borrow_mut().clear();
        invoke(&fake, &payload).await.unwrap();
        assert_eq!(fake.writes(), []);
        assert_ne!(fake.reads(), [], "the state is read");
        assert_eq!(*fake.state.borrow(), after_once);
        assert!(
            fake.answers.borrow().iter().all(|answer| answer.contains("SUCCESS")),
            "{:?}",
            fake.answers
        );
    }
}
