//! The job that replicates existing objects: it starts after the rule, is left alone while it runs, and loses its rights at its end.

use std::time::Duration;

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::model::{Job, ReplicationStatus, Retry, Role};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::*;

/// Whether the role can be used by a job.
fn has_rights(state: &State) -> bool {
    let has = |role: &Role| {
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

/// Updates the custom resource, and forgets the calls before.
async fn update_again(fake: &Fake, changes: Value) -> Value {
    fake.clear();
    update(fake, merged(json!({"Prefix": "Tax"}), changes)).await
}

fn status(fake: &Fake, id: &str) -> String {
    fake.state.borrow().jobs[id].job.status.to_string()
}

fn ends(fake: &Fake, id: &str, status: &str) {
    fake.state.borrow_mut().jobs.get_mut(id).unwrap().job.status = JobStatus::from(status);
}

#[tokio::test(start_paused = true)]
async fn job_is_started_after_its_rule_and_not_written_again_while_it_runs() {
    let fake = Fake::new(with_report_bucket());
    let began = Instant::now();
    let answer = create(&fake, job_properties()).await;
    assert!(began.elapsed() >= Duration::from_secs(10), "IAM has time to spread the new trust");
    assert_eq!(
        (answer["Status"].as_str(), answer["Data"]["JobId"].as_str()),
        (Some("SUCCESS"), Some("job-1")),
        "{answer}"
    );
    insta::assert_snapshot!(lines(&fake.writes()));

    let answer = update_again(&fake, job_properties()).await;
    assert_eq!(
        (fake.writes().len(), answer["Data"]["JobId"].as_str()),
        (0, Some("job-1")),
        "a job that runs is left alone"
    );
    assert!(has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn ended_job_loses_its_rights_and_the_same_request_starts_no_second_job() {
    let fake = Fake::new(with_report_bucket());
    create(&fake, job_properties()).await;
    ends(&fake, "job-1", "Complete");
    fake.calls.borrow_mut().clear();
    invoke(&fake, &job_status_changed("job-1", "Complete")).await.unwrap();
    insta::assert_snapshot!(lines(&fake.writes()));
    assert!(!has_rights(&fake.state.borrow()));

    fake.calls.borrow_mut().clear();
    invoke(&fake, &job_status_changed("job-1", "Complete")).await.unwrap();
    assert_eq!(fake.writes().len(), 0, "the same event again changes nothing");
    let answer = update_again(&fake, job_properties()).await;
    assert_eq!(
        (fake.writes().len(), answer["Data"]["JobId"].as_str()),
        (0, Some("job-1")),
        "the same request starts no second job"
    );
    assert_eq!(fake.count("DescribeJob"), 0, "nor is the first job read");
}

#[tokio::test(start_paused = true)]
async fn plan_shows_the_job_and_its_rights() {
    let fake = Fake::new(with_report_bucket());
    let plan = merged(sample("command-plan"), job_properties());
    let answer = invoke(&fake, &plan).await.unwrap();
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
async fn invariant_4_delete_leaves_no_running_job_in_any_job_state() {
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
        let fake = Fake::new(with_report_bucket());
        create(&fake, job_properties()).await;
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
            writes[0].operation == "UpdateJobStatus",
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
async fn invariant_4_delete_leaves_the_role_as_another_rule_with_a_job_needs_it() {
    let fake = Fake::new(with_report_bucket());
    let other = merged(sample("command-apply"), job_properties());
    invoke(&fake, &other).await.unwrap();
    assert_eq!(
        create(&fake, merged(job_properties(), json!({"Priority": null}))).await["Data"]["JobId"],
        "job-2"
    );
    ends(&fake, "job-2", "Complete");
    invoke(&fake, &job_status_changed("job-2", "Complete")).await.unwrap();
    assert!(has_rights(&fake.state.borrow()), "the other job runs on");
    invoke(&fake, &sample("command-delete")).await.unwrap();
    let role = fake.state.borrow().roles[OWN_ROLE_NAME].clone();
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
async fn changed_job_request_cancels_the_running_job_and_starts_another() {
    let fake = Fake::new(with_report_bucket());
    create(&fake, job_properties()).await;
    let answer =
        update_again(&fake, merged(job_properties(), json!({"ReportPrefix": "again"}))).await;
    assert_eq!(answer["Data"]["JobId"], "job-2");
    insta::assert_snapshot!(lines(&fake.writes()));
    fake.calls.borrow_mut().clear();
    invoke(&fake, &job_status_changed("job-1", "Cancelled")).await.unwrap();
    assert_eq!(fake.writes().len(), 0, "the end of the first is not that of the second");
    ends(&fake, "job-2", "Complete");
    assert_eq!(
        update_again(&fake, job_properties()).await["Data"]["JobId"],
        "job-3",
        "an earlier request is new again after another one"
    );
}

#[tokio::test(start_paused = true)]
async fn job_that_is_no_longer_requested_runs_to_its_end() {
    let fake = Fake::new(with_report_bucket());
    create(&fake, job_properties()).await;
    update_again(&fake, json!({})).await;
    assert_eq!((fake.writes().len(), status(&fake, "job-1").as_str()), (0, "Active"));
    ends(&fake, "job-1", "Failed");
    let answer = update_again(&fake, json!({})).await;
    assert_eq!(
        answer["Reason"],
        "job `job-1` has failed; S3 shows the reason, and the job's report the result for each object"
    );
    assert!(!has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_impossible_job_is_refused_without_writes() {
    let foreign = with_foreign_role().with_bucket("reports", Bucket::new("us-east-1"));
    let mut reasons = Vec::new();
    for (state, changes) in [
        (foreign, json!({"ExistingRole": "Extend", "Priority": null})),
        (two_buckets(), json!({})),
        (with_report_bucket(), json!({"ReportBucket": null})),
        (with_report_bucket(), json!({"ReportBucket": "Reports"})),
        (with_report_bucket(), json!({"ReportPrefix": "x".repeat(513)})),
        (with_report_bucket(), json!({"ReplicateExistingObjects": "false"})),
        (with_report_bucket(), json!({"ReplicateExistingObjects": null, "ReportBucket": null})),
        (with_report_bucket(), json!({"ReplicateExistingObjects": "yes"})),
    ] {
        let fake = Fake::new(state.clone());
        let answer = create(&fake, merged(job_properties(), changes)).await;
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
async fn denied_job_call_names_the_parameter_that_gives_the_right() {
    for action in ["CreateJob", "DescribeJob"] {
        let fake = Fake::new(with_report_bucket());
        let create = custom_resource("Create", job_properties());
        if action == "DescribeJob" {
            invoke(&fake, &create).await.unwrap();
        }
        fake.refuse(action, usize::MAX, "AccessDenied", Retry::Never);
        fake.answers.borrow_mut().clear();
        invoke(&fake, &create).await.unwrap();
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
async fn event_of_a_foreign_or_running_job_changes_nothing() {
    let fake = Fake::new(with_report_bucket());
    create(&fake, job_properties()).await;
    let job = Job { description: "reports/theirs".to_owned(), status: JobStatus::Complete };
    fake.state.borrow_mut().jobs.insert(
        "theirs".to_owned(),
        StartedJob {
            token: "token".to_owned(),
            role: "theirs".to_owned(),
            region: "us-east-1".to_owned(),
            job,
        },
    );
    let mut abroad = job_status_changed("job-1", "Complete");
    abroad["detail"]["recipientAccountId"] = json!("444455556666");
    for (event, reason) in [
        (
            job_status_changed("theirs", "Complete"),
            "job `theirs` was not started by s3-kms-replication",
        ),
        (
            job_status_changed("gone", "Complete"),
            "job `gone` was not started by s3-kms-replication",
        ),
        (job_status_changed("job-1", "Active"), "a job that is `Active` has not ended"),
        (abroad, "the event is of account 444455556666, not of 111122223333"),
    ] {
        fake.calls.borrow_mut().clear();
        assert_eq!(invoke(&fake, &event).await.unwrap()["Skipped"], reason);
        assert_eq!(fake.writes().len(), 0);
    }
    let early = invoke(&fake, &job_status_changed("job-1", "Complete")).await.unwrap_err();
    assert!(
        early.is_transient() && has_rights(&fake.state.borrow()),
        "an event that S3 does not bear out yet comes again"
    );
    insta::assert_snapshot!(early, @"DescribeJob on job `job-1`: Active: the event says that the job has ended, but S3 reports that it has not");
}

#[tokio::test(start_paused = true)]
async fn policy_rule_starts_one_job_for_a_matching_bucket() {
    let rule = json!({"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "{bucket}-replica",
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr", "CreateDestinationBucket": true,
        "ReplicateExistingObjects": true, "ReportBucket": "arn:aws:s3:::reports"});
    let policy = json!({"Rules": [rule]}).to_string();
    let settings = environment(&[
        ("REPLICATION_POLICY", policy.as_str()),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
    ]);
    let fake = Fake::new(with_report_bucket());
    let event = sample("create-bucket");
    let invoke = async |event: &Value| invoke_with(&fake, event, &settings).await.unwrap();
    assert_eq!(invoke(&event).await["Rules"][0]["JobId"], "job-1");
    let reports = |role: &Role| {
        role.policies.values().any(|policy| policy.contains("arn:aws:s3:::reports/job-*"))
    };
    assert!(
        reports(&fake.state.borrow().roles["s3-crr-prod-orders"]),
        "without a prefix, reports are at the top"
    );
    assert_eq!(invoke(&event).await["Rules"][0]["Status"], "Unchanged");
    ends(&fake, "job-1", "Complete");
    assert_eq!(
        invoke(&json!({"Action": "Reconcile", "SourceBucket": "prod-orders"})).await["Rules"][0]["Status"],
        "Configured"
    );
    assert!(!has_rights(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn deleted_bucket_loses_its_role_with_the_rights_of_its_job() {
    let fake = Fake::new(with_report_bucket());
    create(&fake, job_properties()).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    invoke(&fake, &deleted_demo_source()).await.unwrap();
    assert!(fake.state.borrow().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn invariant_3_end_of_a_job_converges_after_a_fault_in_any_call() {
    let before = {
        let fake = Fake::new(with_report_bucket());
        create(&fake, job_properties()).await;
        ends(&fake, "job-1", "Complete");
        fake.state.take()
    };
    let undisturbed = Fake::new(before.clone());
    invoke(&undisturbed, &job_status_changed("job-1", "Complete")).await.unwrap();
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
        let fake = Fake::new(before.clone());
        fake.fail_call(index, fault);
        let _ = invoke(&fake, &job_status_changed("job-1", "Complete")).await;
        fake.stop_failing();
        fake.state.borrow_mut().leases.clear();
        invoke(&fake, &job_status_changed("job-1", "Complete")).await.unwrap();
        assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index} of {calls}");
    }
}

/// A state in which the source has no objects.
fn empty_source() -> State {
    let mut state = with_report_bucket();
    state.bucket_mut("demo-source").objects.clear();
    state
}

/// The walk-through's rule, with a job.
fn apply_with_job(changes: Value) -> Value {
    merged(merged(sample("command-apply"), job_properties()), changes)
}

#[tokio::test(start_paused = true)]
async fn empty_bucket_with_a_catch_up_starts_no_job_and_later_objects_need_none() {
    let (fake, settings) = (Fake::new(empty_source()), settings_with_queue());
    let answer = invoke_with(&fake, &apply_with_job(json!({})), &settings).await.unwrap();
    assert!(fake.state.borrow().jobs.is_empty() && !has_rights(&fake.state.borrow()));
    insta::assert_snapshot!(lines(&fake.writes()));
    insta::assert_snapshot!(format!("{:#}\n{:#}", answer["Kept"], answer["Warnings"]));
    fake.clear();

    let written = Object::new("Tax/2", Some(ReplicationStatus::Completed), now());
    fake.state.borrow_mut().bucket_mut("demo-source").objects.push(written);
    let again = invoke_with(&fake, &apply_with_job(json!({})), &settings).await.unwrap();
    assert_eq!((again["Status"].as_str(), fake.writes().len()), (Some("Unchanged"), 0));
    let other = apply_with_job(json!({"ReportPrefix": "again"}));
    let answer = invoke_with(&fake, &other, &settings).await.unwrap();
    assert_eq!(answer["JobId"], "job-1", "another request is not fulfilled");
}

#[tokio::test(start_paused = true)]
async fn empty_bucket_without_a_catch_up_gets_its_job_by_the_next_request_and_a_warning_says_so() {
    let fake = Fake::new(empty_source());
    let answer = create(&fake, job_properties()).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("s3-kms-replication replay --source-bucket demo-source"), "{reason}");

    let fake = Fake::new(empty_source());
    let first = invoke(&fake, &apply_with_job(json!({}))).await.unwrap();
    assert!(fake.state.borrow().jobs.is_empty() && !has_rights(&fake.state.borrow()));
    insta::assert_snapshot!(format!("{:#}\n{:#}", first["Kept"], first["Warnings"]));
    fake.clear();
    let second = invoke(&fake, &apply_with_job(json!({}))).await.unwrap();
    assert_eq!((second["Status"].as_str(), fake.writes().len()), (Some("Unchanged"), 0));
    assert_eq!(second["Warnings"], first["Warnings"]);

    let missed = Object::new("Tax/2", None, now());
    fake.state.borrow_mut().bucket_mut("demo-source").objects.push(missed);
    let third = invoke(&fake, &apply_with_job(json!({}))).await.unwrap();
    assert_eq!(third["JobId"], "job-1");
}

#[tokio::test(start_paused = true)]
async fn only_objects_under_the_prefix_and_delete_markers_too_make_a_job() {
    for (key, is_marker, jobs) in [("Tax/1", false, 1), ("Tax/1", true, 1), ("Other/1", false, 0)] {
        let mut object = Object::new(key, None, now());
        if is_marker {
            object.content = None;
        }
        let mut state = with_report_bucket();
        state.bucket_mut("demo-source").objects = vec![object];
        let fake = Fake::new(state);
        create(&fake, merged(job_properties(), json!({"Prefix": "Tax"}))).await;
        assert_eq!(fake.state.borrow().jobs.len(), jobs, "{key}, delete marker: {is_marker}");
    }
}

#[tokio::test(start_paused = true)]
async fn job_is_started_where_the_list_of_versions_is_denied() {
    let fake = Fake::new(empty_source());
    fake.refuse("ListObjectVersions", usize::MAX, "AccessDenied", Retry::Never);
    assert_eq!(create(&fake, job_properties()).await["Data"]["JobId"], "job-1");
}
