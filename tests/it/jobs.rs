//! The job that replicates the objects that are there already: started after the rule, left alone while it runs, and its rights gone with it.

use aws_sdk_s3control::types::JobStatus;
use serde_json::json;

use s3_kms_replication::model::Retry;

use crate::fake::{Bucket, Fake, Fault, State};
use crate::invariants::{FOREIGN_ROLE, foreign_role, with_foreign_rules};
use crate::*;

const ROLE: &str = "s3-crr-demo-source";

/// Two buckets, and one for reports.
pub fn buckets() -> State {
    let mut state = two_buckets();
    state.buckets.insert("reports".to_owned(), Bucket::new("us-east-1"));
    state
}

pub fn properties() -> Value {
    json!({"ReplicateExistingObjects": "true", "ReportBucket": "reports", "ReportPrefix": "crr/"})
}

/// Whether the role can be used by a job.
pub fn has_rights(state: &State) -> bool {
    let has = |role: &s3_kms_replication::model::Role| {
        (
            role.trust.contains("batchoperations"),
            role.policies.keys().any(|name| name.starts_with("s3-kms-replication-job.")),
        )
    };
    let roles: Vec<(bool, bool)> =
        state.roles.values().map(has).filter(|has| *has != (false, false)).collect();
    assert!(roles.iter().all(|has| *has == (true, true)), "trust and grants go together");
    !roles.is_empty()
}

fn status(fake: &Fake, id: &str) -> String {
    fake.state.borrow().jobs[id].1.status.to_string()
}

fn ends(fake: &Fake, id: &str, status: &str) {
    fake.state.borrow_mut().jobs.get_mut(id).unwrap().1.status = JobStatus::from(status);
}

/// The event by which S3 says what has become of a job.
pub fn ended(id: &str, status: &str) -> Value {
    let mut event = sample("job-status-changed");
    event["detail"]["serviceEventDetails"]["jobId"] = json!(id);
    event["detail"]["serviceEventDetails"]["status"] = json!(status);
    event
}

async fn update(fake: &Fake, changes: Value) -> Value {
    fake.calls.borrow_mut().clear();
    fake.answers.borrow_mut().clear();
    let mut request = custom_resource("Update", json!({"Prefix": "Tax"}));
    request["ResourceProperties"]
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    ask(fake, &request).await.unwrap();
    only_answer(fake)
}

fn with(more: Value) -> Value {
    let mut properties = properties();
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    properties
}

#[tokio::test(start_paused = true)]
async fn a_job_is_started_after_its_rule_and_left_alone_while_it_runs() {
    let fake = Fake::of(buckets());
    let began = Instant::now();
    let answer = create(&fake, properties()).await;
    assert!(began.elapsed() >= Duration::from_secs(10), "IAM has time to spread the new trust");
    assert_eq!(
        (answer["Status"].as_str(), answer["Data"]["JobId"].as_str()),
        (Some("SUCCESS"), Some("job-1")),
        "{answer}"
    );
    insta::assert_snapshot!(fake.writes().join("\n"));

    let answer = update(&fake, properties()).await;
    assert_eq!(
        (fake.writes().len(), answer["Data"]["JobId"].as_str()),
        (0, Some("job-1")),
        "a job that runs is left alone"
    );
    assert!(has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn the_rights_of_a_job_go_with_its_end_and_the_same_request_starts_no_other() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    ends(&fake, "job-1", "Complete");
    fake.calls.borrow_mut().clear();
    ask(&fake, &ended("job-1", "Complete")).await.unwrap();
    insta::assert_snapshot!(fake.writes().join("\n"));
    assert!(!has_rights(&fake.state.borrow()));

    fake.calls.borrow_mut().clear();
    ask(&fake, &ended("job-1", "Complete")).await.unwrap();
    assert_eq!(fake.writes().len(), 0, "twice is once");
    let answer = update(&fake, properties()).await;
    assert_eq!(
        (fake.writes().len(), answer["Data"]["JobId"].as_str()),
        (0, Some("job-1")),
        "the same request starts no second job"
    );
    assert!(
        !fake.calls.borrow().iter().any(|call| call.starts_with("DescribeJob")),
        "nor does it ask about the first"
    );
}

#[tokio::test(start_paused = true)]
async fn the_plan_says_that_a_job_would_start_and_with_which_rights() {
    let fake = Fake::of(buckets());
    let mut plan = sample("command-plan");
    plan.as_object_mut().unwrap().extend(properties().as_object().unwrap().clone());
    let answer = ask(&fake, &plan).await.unwrap();
    let actions =
        answer["Stages"].as_array().unwrap().iter().flat_map(|stage| stage.as_array().unwrap());
    let of_job: Vec<&Value> = actions
        .filter(|action| {
            let resource = action["Resource"].as_str().unwrap();
            resource.contains("s3-kms-replication-job.")
                || ["CreateJob", "CreateRole"].contains(&action["Action"].as_str().unwrap())
        })
        .collect();
    insta::assert_json_snapshot!(of_job);
    assert_eq!(fake.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_removed_has_no_job_left_whatever_its_state() {
    for state in [
        "Active",
        "Suspended",
        "Cancelling",
        "Completing",
        "Complete",
        "Failed",
        "Cancelled",
        "Forgotten",
    ] {
        let fake = Fake::of(buckets());
        create(&fake, properties()).await;
        if state == "Forgotten" {
            fake.state.borrow_mut().jobs.clear();
        } else {
            ends(&fake, "job-1", state);
        }
        fake.calls.borrow_mut().clear();
        assert_eq!(delete(&fake).await["Status"], "SUCCESS");
        let writes = fake.writes();
        let is_cancelled = ["Active", "Suspended"].contains(&state);
        assert_eq!(
            writes[0].starts_with("UpdateJobStatus"),
            is_cancelled,
            "{state}: first of {writes:#?}"
        );
        assert!(
            fake.state.borrow().roles.is_empty()
                && fake.state.borrow().buckets["demo-source"].replication.is_none()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_serves_another_rule_is_left_as_that_rule_needs_it() {
    let fake = Fake::of(buckets());
    let mut other = sample("command-apply");
    other.as_object_mut().unwrap().extend(properties().as_object().unwrap().clone());
    ask(&fake, &other).await.unwrap();
    assert_eq!(create(&fake, with(json!({"Priority": null}))).await["Data"]["JobId"], "job-2");
    ends(&fake, "job-2", "Complete");
    ask(&fake, &ended("job-2", "Complete")).await.unwrap();
    assert!(has_rights(&fake.state.borrow()), "the other job runs on");
    ask(&fake, &sample("command-delete")).await.unwrap();
    let role = fake.state.borrow().roles[ROLE].clone();
    assert!(!has_rights(&fake.state.borrow()));
    assert_eq!(status(&fake, "job-1"), "Cancelled");
    assert_eq!(
        role.tags.len(),
        2,
        "the mark of ours, and the note of the job of the rule that stays: {:?}",
        role.tags
    );
    delete(&fake).await;
    assert!(fake.state.borrow().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_anew_cancels_the_job_that_runs_and_starts_another() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    let answer = update(&fake, with(json!({"ReportPrefix": "again"}))).await;
    assert_eq!(answer["Data"]["JobId"], "job-2");
    insta::assert_snapshot!(fake.writes().join("\n"));
    fake.calls.borrow_mut().clear();
    ask(&fake, &ended("job-1", "Cancelled")).await.unwrap();
    assert_eq!(fake.writes().len(), 0, "the end of the first is not that of the second");
    ends(&fake, "job-2", "Complete");
    assert_eq!(
        update(&fake, properties()).await["Data"]["JobId"],
        "job-3",
        "what was asked before something else is asked anew"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_no_longer_asked_for_runs_to_its_end() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    update(&fake, json!({})).await;
    assert_eq!((fake.writes().len(), status(&fake, "job-1").as_str()), (0, "Active"));
    ends(&fake, "job-1", "Failed");
    let answer = update(&fake, json!({})).await;
    assert_eq!(
        answer["Reason"],
        "job `job-1` has failed; S3 shows the reason, and the job's report the result for each object"
    );
    assert!(!has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn what_stands_against_a_job_is_said_before_anything_is_changed() {
    let mut foreign = with_foreign_rules(FOREIGN_ROLE);
    foreign.roles.insert("their-replication".to_owned(), foreign_role());
    foreign.buckets.insert("reports".to_owned(), Bucket::new("us-east-1"));
    let mut reasons = Vec::new();
    for (state, changes) in [
        (foreign, json!({"ExistingRole": "Extend", "Priority": null})),
        (two_buckets(), json!({})),
        (buckets(), json!({"ReportBucket": null})),
        (buckets(), json!({"ReportBucket": "Reports"})),
        (buckets(), json!({"ReportPrefix": "x".repeat(513)})),
        (buckets(), json!({"ReplicateExistingObjects": "false"})),
        (buckets(), json!({"ReplicateExistingObjects": null, "ReportBucket": null})),
        (buckets(), json!({"ReplicateExistingObjects": "yes"})),
    ] {
        let fake = Fake::of(state.clone());
        let answer = create(&fake, with(changes)).await;
        reasons.push(format!(
            "{}: {}",
            answer["Status"].as_str().unwrap(),
            answer["Reason"].as_str().unwrap()
        ));
        assert_eq!((fake.writes().len(), &*fake.state.borrow()), (0, &state));
    }
    insta::assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_missing_are_named_by_their_parameter() {
    for action in ["CreateJob", "DescribeJob"] {
        let fake = Fake::of(buckets());
        let create = custom_resource("Create", properties());
        if action == "DescribeJob" {
            ask(&fake, &create).await.unwrap();
        }
        fake.refusals.set(Some((action, 9, "AccessDenied", Retry::Never)));
        fake.answers.borrow_mut().clear();
        ask(&fake, &create).await.unwrap();
        let reason = only_answer(&fake)["Reason"].as_str().unwrap().to_owned();
        assert!(
            reason.contains(
                "the template's parameter `AllowReplicateExistingObjects` gives this right"
            ),
            "{reason}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_other_jobs_and_of_jobs_that_run_change_nothing() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    let job = s3_kms_replication::model::Job {
        description: "reports/theirs".to_owned(),
        status: JobStatus::Complete,
    };
    fake.state.borrow_mut().jobs.insert("theirs".to_owned(), ("token".to_owned(), job));
    let mut abroad = ended("job-1", "Complete");
    abroad["detail"]["recipientAccountId"] = json!("444455556666");
    for (event, reason) in [
        (ended("theirs", "Complete"), "job `theirs` is not one of ours"),
        (ended("gone", "Complete"), "job `gone` is not one of ours"),
        (ended("job-1", "Active"), "a job that is `Active` has not ended"),
        (abroad, "the event is of account 444455556666, not of 111122223333"),
    ] {
        fake.calls.borrow_mut().clear();
        assert_eq!(ask(&fake, &event).await.unwrap()["Skipped"], reason);
        assert_eq!(fake.writes().len(), 0);
    }
    let early = ask(&fake, &ended("job-1", "Complete")).await.unwrap_err();
    assert!(
        early.is_transient() && has_rights(&fake.state.borrow()),
        "an event that S3 does not bear out yet comes again"
    );
    insta::assert_snapshot!(early, @"DescribeJob on job `job-1`: Active: its event says that it has ended");
}

#[tokio::test(start_paused = true)]
async fn a_policy_starts_one_job_for_each_bucket_that_matches() {
    let rule = json!({"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "{bucket}-replica",
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr", "CreateDestinationBucket": true,
        "ReplicateExistingObjects": true, "ReportBucket": "arn:aws:s3:::reports"});
    let policy = json!({"Rules": [rule]}).to_string();
    let variables = [
        ("REPLICATION_POLICY", policy.as_str()),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
    ];
    let settings = Settings::read(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    })
    .unwrap();
    let fake = Fake::of(buckets());
    let event = sample("create-bucket");
    let ask = async |event: &Value| {
        Box::pin(handle(event, Instant::now() + Duration::from_secs(300), &fake, &settings))
            .await
            .answer
            .unwrap()
    };
    assert_eq!(ask(&event).await["Rules"][0]["JobId"], "job-1");
    let reports = |role: &s3_kms_replication::model::Role| {
        role.policies.values().any(|policy| policy.contains("arn:aws:s3:::reports/job-*"))
    };
    assert!(
        reports(&fake.state.borrow().roles["s3-crr-prod-orders"]),
        "without a prefix, reports are at the top"
    );
    assert_eq!(ask(&event).await["Rules"][0]["Status"], "Unchanged");
    ends(&fake, "job-1", "Complete");
    assert_eq!(
        ask(&json!({"Action": "Reconcile", "SourceBucket": "prod-orders"})).await["Rules"][0]["Status"],
        "Configured"
    );
    assert!(!has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn the_role_of_a_bucket_that_is_gone_goes_with_the_rights_of_its_job() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    let mut deleted = sample("create-bucket");
    deleted["detail"]["eventName"] = json!("DeleteBucket");
    deleted["detail"]["requestParameters"]["bucketName"] = json!("demo-source");
    ask(&fake, &deleted).await.unwrap();
    assert!(fake.state.borrow().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_followed_to_its_end_whatever_fails() {
    let before = {
        let fake = Fake::of(buckets());
        create(&fake, properties()).await;
        ends(&fake, "job-1", "Complete");
        fake.state.take()
    };
    let undisturbed = Fake::of(before.clone());
    ask(&undisturbed, &ended("job-1", "Complete")).await.unwrap();
    let calls = undisturbed.calls.borrow().len();
    let faults = [
        Fault::Refused("AccessDenied", Retry::Never),
        Fault::AnswerLost,
        Fault::DoneAlready("NoSuchEntity"),
        Fault::Hangs,
    ];
    for (fault, index) in
        faults.iter().flat_map(|fault| (0..calls).map(move |index| (*fault, index)))
    {
        let fake = Fake::of(before.clone());
        fake.fault.set(Some((index, fault)));
        let _ = ask(&fake, &ended("job-1", "Complete")).await;
        fake.fault.set(None);
        fake.state.borrow_mut().leases.clear();
        ask(&fake, &ended("job-1", "Complete")).await.unwrap();
        assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index} of {calls}");
    }
}
