//! Invariant 3, by breaking every call: after a failure anywhere, the same request again ends where an undisturbed one ends.

use serde_json::json;

use s3_kms_replication::model::{Retry, Role};

use crate::fake::{Bucket, Fake, Fault, State};
use crate::invariants::{FOREIGN_ROLE, foreign_role, with_foreign_rules};
use crate::jobs;
use crate::*;

const FAULTS: [Fault; 6] = [
    Fault::Refused("AccessDenied", Retry::Never),
    Fault::Refused("SlowDown", Retry::NextInvocation),
    Fault::Refused("OperationAborted", Retry::Soon),
    Fault::AnswerLost,
    Fault::DoneAlready("EntityAlreadyExists"),
    Fault::Hangs,
];

/// What a holder that died left behind is over by now.
fn later(mut state: State) -> State {
    state.leases.clear();
    state
}

/// The state with the jobs that run, by numbers, and without those that have ended.
fn with_jobs_that_run(mut state: State) -> State {
    let jobs = std::mem::take(&mut state.jobs).into_iter();
    for (number, (id, job)) in jobs.filter(|(_, (_, job))| !job.has_ended()).enumerate() {
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

async fn after(before: &State, request: &Value) -> (State, usize) {
    let fake = Fake::of(before.clone());
    let _ = ask(&fake, request).await;
    (fake.state.take(), fake.calls.borrow().len())
}

/// Every rule of ours has its role, and the role the grants that this very rule needs.
fn rules_have_their_grants(state: &State) -> bool {
    state.buckets.values().filter_map(|bucket| bucket.replication.as_ref()).all(|configuration| {
        let role = state.roles.values().find(|role| role.arn == configuration.role());
        let mut ours = configuration
            .rules()
            .iter()
            .filter(|rule| rule.id().is_some_and(|id| id.starts_with("s3-kms-replication.")));
        ours.all(|rule| {
            let policies = role.into_iter().flat_map(|role| &role.policies);
            let policy = policies
                .filter(|(name, _)| name.starts_with(rule.id().unwrap()))
                .map(|(_, policy)| policy)
                .next();
            let replicas = format!(
                "{}/{}*",
                rule.destination().unwrap().bucket(),
                rule.filter().unwrap().prefix().unwrap_or_default()
            );
            let admitted = rule.destination().unwrap().account().is_none()
                || cross_account::has_statement(state, rule);
            policy
                .is_some_and(|policy| policy.contains(&replicas) && policy.contains("kms:Decrypt"))
                && admitted
        })
    })
}

/// The rules of others in every bucket, in order, and the roles that are not ours.
fn of_others(state: &State) -> (Vec<Vec<ReplicationRule>>, Vec<Role>) {
    let foreign =
        |rule: &ReplicationRule| rule.id().is_some_and(|id| !id.starts_with("s3-kms-replication."));
    let rules = |bucket: &Bucket| {
        bucket
            .replication
            .iter()
            .flat_map(|configuration| configuration.rules.clone())
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
async fn invariant_3_failing_after_any_call_and_running_again_ends_in_the_same_state() {
    let foreign = {
        let mut state = with_foreign_rules(FOREIGN_ROLE);
        state.roles.insert("their-replication".to_owned(), foreign_role());
        state
    };
    let mut points = 0;
    let setups = [
        ("", two_buckets(), json!({})),
        (", with foreign rules", foreign, json!({"ExistingRole": "Extend"})),
        (", to another account", cross_account::buckets(), cross_account::properties()),
        (", with a job", jobs::buckets(), jobs::properties()),
    ];
    for (others, new, properties) in setups {
        let request = |request_type, changes: Value| {
            let mut request =
                custom_resource(request_type, json!({"Priority": null, "AlarmTopicArn": TOPIC}));
            for more in [&properties, &changes] {
                request["ResourceProperties"]
                    .as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
            }
            signed(request, "20261122T080000Z")
        };
        let create = request("Create", json!({}));
        let mut request_to_delete = signed_later(&request("Delete", json!({})), 3);
        request_to_delete["ResourceProperties"] = create["ResourceProperties"].clone();
        let (configured, _) = after(&new, &create).await;
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
            let (undisturbed, calls) = after(before, &request).await;
            for (fault, index) in
                FAULTS.iter().flat_map(|fault| (0..calls).map(move |index| (*fault, index)))
            {
                let point = format!("{flow}{others}, {fault:?} in call {index} of {calls}");
                let fake = Fake::of(before.clone());
                fake.fault.set(Some((index, fault)));
                let _ = ask(&fake, &request).await;
                fake.fault.set(None);
                assert!(rules_have_their_grants(&fake.state.borrow()), "{point}");
                assert_eq!(of_others(&fake.state.borrow()), of_others(before), "{point}");
                assert_eq!(
                    cross_account::statements_of_others(&fake.state.borrow()),
                    cross_account::statements_of_others(before),
                    "{point}"
                );

                let fake = Fake::of(later(fake.state.take()));
                let mut again = request.clone();
                if flow == "Update to another bucket" {
                    // As CloudFormation does when the Update has failed: back to the old properties, and only then once more.
                    let mut back = signed_later(&request, 1);
                    back["OldResourceProperties"] = request["ResourceProperties"].clone();
                    back["ResourceProperties"] = create["ResourceProperties"].clone();
                    let _ = ask(&fake, &back).await;
                    let rolled_back = with_jobs_that_run(fake.state.borrow().clone());
                    assert_eq!(
                        rolled_back,
                        versioned(with_jobs_that_run(before.clone()), &rolled_back),
                        "{point}, then rolled back"
                    );
                    again = signed_later(&request, 2);
                }
                let _ = ask(&fake, &again).await;
                let ended = with_jobs_that_run(fake.state.borrow().clone());
                assert_eq!(ended, with_jobs_that_run(undisturbed.clone()), "{point}, then again");
                assert!(
                    flow != "Delete"
                        || fake
                            .state
                            .borrow()
                            .jobs
                            .values()
                            .all(|(_, job)| job.status.as_str() == "Cancelled"),
                    "{point}"
                );
                if request["RequestType"] == "Create" {
                    fake.answers.borrow_mut().clear();
                    ask(&fake, &request_to_delete).await.unwrap();
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
    count(points, "fault points");
    assert!(points >= 300);
}

#[tokio::test(start_paused = true)]
async fn what_aws_has_yet_to_notice_is_waited_for_and_nothing_else_is_tried_again() {
    for (code, retry, succeeds, tries) in [
        ("InvalidRequest", Retry::Soon, true, 4),
        ("NoSuchEntity", Retry::Replan, true, 3),
        ("SlowDown", Retry::NextInvocation, false, 1),
        ("AccessDenied", Retry::Never, false, 1),
    ] {
        let fake = Fake::of(two_buckets());
        fake.refusals.set(Some((
            "PutBucketReplication",
            if retry == Retry::Replan { 2 } else { 3 },
            code,
            retry,
        )));
        let answer = create(&fake, json!({})).await;
        assert_eq!(answer["Status"], if succeeds { "SUCCESS" } else { "FAILED" }, "{code}");
        assert_eq!(
            fake.writes().iter().filter(|call| call.starts_with("PutBucketReplication")).count(),
            tries,
            "{code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_after_two_minutes_and_the_answer_says_what_was_waited_for() {
    let fake = Fake::of(two_buckets());
    fake.refusals.set(Some(("PutBucketReplication", usize::MAX, "InvalidRequest", Retry::Soon)));
    let started = Instant::now();
    let answer = create(&fake, json!({})).await;
    assert!(answer["Reason"].as_str().unwrap().contains("InvalidRequest"));
    assert!((120..140).contains(&started.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_written_rule_is_read_back_until_it_is_seen() {
    let fake = Fake::of(two_buckets());
    let reads = |fake: &Fake| {
        fake.calls.borrow().iter().filter(|call| call.starts_with("GetBucketReplication")).count()
    };
    create(&fake, json!({})).await;
    let at_once = reads(&fake);
    let fake = Fake::of(two_buckets());
    // The read of the plan, and then three that come too early.
    fake.stale_reads.set(4);
    assert_eq!(create(&fake, json!({})).await["Status"], "SUCCESS");
    assert_eq!(reads(&fake), at_once + 3);
}

#[tokio::test(start_paused = true)]
async fn what_one_more_try_mends_is_mended_within_the_request() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    for fault in
        [Fault::Refused("OperationAborted", Retry::Soon), Fault::DoneAlready("EntityAlreadyExists")]
    {
        let writes = undisturbed
            .calls
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, call)| call.starts_with("! "))
            .map(|(at, _)| at)
            .collect::<Vec<_>>();
        for index in writes {
            let fake = Fake::of(two_buckets());
            fake.fault.set(Some((index, fault)));
            assert_eq!(
                create(&fake, json!({})).await["Status"],
                "SUCCESS",
                "{fault:?} in call {index}"
            );
            assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_sent_again_while_that_can_help() {
    for (failures, sent) in [
        (vec![Retry::NextInvocation; 3], true),
        (vec![Retry::NextInvocation; 100], false),
        (vec![Retry::Never], false),
    ] {
        let fake = Fake::of(two_buckets());
        fake.answer_failures.replace(failures);
        let end = Instant::now() + Duration::from_secs(300);
        let answered = ask(&fake, &custom_resource("Create", json!({}))).await;
        assert_eq!((answered.is_ok(), fake.answers.borrow().len()), (sent, usize::from(sent)));
        assert!(Instant::now() < end, "giving up leaves time to say so");
    }
}
