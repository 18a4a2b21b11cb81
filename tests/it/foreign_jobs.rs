//! Jobs of others, and notes that others have written: no job but the rule's own is cancelled, and no rights are lost by another's job.

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::model::Job;
use serde_json::json;

use crate::support::*;

fn started(description: &str, region: &str, status: JobStatus) -> StartedJob {
    let job = Job { description: description.to_owned(), status };
    let (token, role) = ("token".to_owned(), "any".to_owned());
    StartedJob { token, role, region: region.to_owned(), job }
}

/// The state while the job of the custom resource's rule runs.
async fn with_running_job() -> State {
    let fake = Fake::new(with_report_bucket());
    assert_eq!(create(&fake, job_properties()).await["Data"]["JobId"], "job-1");
    fake.state.take()
}

/// Changes the note of the job in the tag of the role.
fn note(state: &mut State, change: impl Fn(&str) -> String) {
    let tags = &mut state.role_mut(OWN_ROLE_NAME).tags;
    let (_, note) = tags.iter_mut().find(|(name, _)| name.contains("-job.")).unwrap();
    *note = change(note);
}

#[tokio::test(start_paused = true)]
async fn job_of_others_in_the_note_is_never_cancelled() {
    let running = with_running_job().await;
    let again = json!({"Prefix": "Tax", "ReportPrefix": "again"});
    let mut points = 0;
    for description in ["", "reports/theirs", "demo-source/s3-kms-replication.other", "theirs"] {
        for request in [
            custom_resource("Delete", json!({})),
            custom_resource("Update", merged(job_properties(), again.clone())),
            custom_resource("Update", json!({"Prefix": "Tax"})),
        ] {
            let mut state = running.clone();
            let theirs = started(description, "us-east-1", JobStatus::Active);
            state.jobs.insert("theirs".to_owned(), theirs.clone());
            note(&mut state, |note| note.replace("job-1", "theirs"));
            let fake = Fake::new(state);
            invoke(&fake, &request).await.unwrap();
            assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
            assert_eq!(fake.state.borrow().jobs["theirs"], theirs, "{description}");
            points += 1;
        }
    }
    print_count(points, "requests with a job of others in the note");
}

#[tokio::test(start_paused = true)]
async fn malformed_note_is_no_note_and_stops_neither_apply_nor_delete() {
    let running = with_running_job().await;
    let mut points = 0;
    let hash = "0123456789abcdef0123456789abcdef";
    for text in [
        "/".to_owned(),
        String::new(),
        "x".repeat(100_000),
        format!("{hash}/"),
        format!("{hash}/{}", "x".repeat(100_000)),
        format!("{hash}/../jobs"),
        format!("{hash}/job 1"),
        format!("{}/job-1", hash.to_uppercase()),
        format!("{hash}0/job-1"),
        "/job-1".to_owned(),
    ] {
        for (request, job) in [
            (custom_resource("Delete", json!({})), None),
            (custom_resource("Update", json!({"Prefix": "Tax"})), None),
            (
                custom_resource("Update", merged(job_properties(), json!({"Prefix": "Tax"}))),
                Some("job-1"),
            ),
        ] {
            let mut state = running.clone();
            note(&mut state, |_| text.clone());
            let fake = Fake::new(state);
            invoke(&fake, &request).await.unwrap();
            let answer = only_answer(&fake);
            assert_eq!(answer["Status"], "SUCCESS", "{text:.50}: {answer}");
            assert_eq!(
                answer["Data"]["JobId"].as_str(),
                job,
                "S3 knows the token of the same request"
            );
            assert_eq!((fake.count("DescribeJob"), fake.count("UpdateJobStatus")), (0, 0));
            points += 1;
        }
    }
    print_count(points, "requests with a malformed note");
}

#[tokio::test(start_paused = true)]
async fn end_of_a_job_in_another_region_strips_no_rights_of_the_running_job() {
    let running = with_running_job().await;
    let rule = running.jobs["job-1"].job.description.clone();
    let mut gone = running.clone();
    gone.buckets.remove("demo-source");
    for state in [running, gone] {
        let mut state = state.clone();
        let theirs = started(&rule, "eu-west-1", JobStatus::Complete);
        state.jobs.insert("their-job".to_owned(), theirs);
        let fake = Fake::new(state.clone());
        let mut event = job_status_changed("their-job", "Complete");
        event["detail"]["awsRegion"] = json!("eu-west-1");
        event["region"] = json!("eu-west-1");
        invoke(&fake, &event).await.unwrap();
        assert_eq!((fake.writes(), &*fake.state.borrow()), (Vec::new(), &state));
    }
}

#[tokio::test(start_paused = true)]
async fn job_event_of_the_buckets_region_ends_the_rights_wherever_the_function_runs() {
    let mut state = with_running_job().await;
    state.jobs.get_mut("job-1").unwrap().job.status = JobStatus::Complete;
    let fake = Fake::new(state);
    let settings = environment(&[("LOCK_TABLE", "leases"), ("AWS_REGION", "eu-west-1")]);
    invoke_with(&fake, &job_status_changed("job-1", "Complete"), &settings).await.unwrap();
    assert_eq!(fake.count("DeleteRolePolicy"), 1);
}

#[tokio::test(start_paused = true)]
async fn two_different_requests_at_once_end_with_one_live_job_and_its_note() {
    let configured = {
        let fake = Fake::new(with_report_bucket());
        invoke(&fake, &sample("command-apply")).await.unwrap();
        fake.state.take()
    };
    let mut points = 0;
    for state in [with_report_bucket(), configured] {
        for pauses in 0..40 {
            let fake = Fake::new(state.clone());
            let request = |prefix: &str| {
                let properties = merged(job_properties(), json!({"ReportPrefix": prefix}));
                merged(sample("command-apply"), properties)
            };
            let (one, two) = (request("one"), request("two"));
            let later = async {
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                invoke(&fake, &two).await
            };
            let (first, second) = tokio::join!(invoke(&fake, &one), later);
            let (first, second) = (first.unwrap(), second.unwrap());
            let state = fake.state.borrow();
            let live: Vec<&String> =
                state.jobs.iter().filter(|(_, job)| !job.has_ended()).map(|(id, _)| id).collect();
            assert_eq!(live.len(), 1, "after {pauses} pauses: {first} {second}");
            let tags = &state.roles[OWN_ROLE_NAME].tags;
            assert!(tags.values().any(|note| note.ends_with(&format!("/{}", live[0]))), "{tags:?}");
            points += 1;
        }
    }
    print_count(points, "pairs of requests for jobs");
}
