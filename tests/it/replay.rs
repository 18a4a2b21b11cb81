//! Replay: a job for the objects that S3 failed to replicate.

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::model::Retry;
use serde_json::{Value, json};

use crate::support::*;

fn replay(changes: Value) -> Value {
    let request = json!({"Action": "Replay", "SourceBucket": "demo-source", "Name": "demo-destination", "ReportBucket": "reports"});
    merged(request, changes)
}

/// A bucket with the walk-through's rule, and a bucket for reports.
async fn replicating_bucket() -> Fake {
    let fake = Fake::new(with_report_bucket());
    invoke(&fake, &sample("command-apply")).await.unwrap();
    fake.clear();
    fake
}

async fn end_job(fake: &Fake, id: &str) {
    fake.state.borrow_mut().jobs.get_mut(id).unwrap().job.status = JobStatus::Complete;
    invoke(fake, &job_status_changed(id, "Complete")).await.unwrap();
    fake.clear();
}

#[tokio::test(start_paused = true)]
async fn replay_starts_one_job_for_failed_objects_and_none_beside_it() {
    let fake = replicating_bucket().await;
    let planned = invoke(&fake, &replay(json!({"DryRun": true}))).await.unwrap();
    assert_eq!((planned["Status"].as_str(), fake.writes().len()), (Some("Planned"), 0));
    insta::assert_snapshot!(planned["Text"].as_str().unwrap());

    let started = invoke(&fake, &replay(json!({}))).await.unwrap();
    assert_eq!(
        (started["Status"].as_str(), started["JobId"].as_str()),
        (Some("Started"), Some("job-1"))
    );
    insta::assert_snapshot!(lines(&fake.writes()));
    fake.clear();
    let second = invoke(&fake, &replay(json!({}))).await.unwrap();
    assert_eq!(
        (second["Status"].as_str(), second["JobId"].as_str(), fake.writes().len()),
        (Some("Running"), Some("job-1"), 0)
    );

    end_job(&fake, "job-1").await;
    let role = fake.state.borrow().roles[OWN_ROLE_NAME].clone();
    assert!(!role.trust.contains("batchoperations") && role.policies.len() == 1, "{role:#?}");
    let third = invoke(&fake, &replay(json!({}))).await.unwrap();
    assert_eq!(
        (third["Status"].as_str(), third["JobId"].as_str()),
        (Some("Started"), Some("job-2"))
    );
}

#[tokio::test(start_paused = true)]
async fn rule_to_replay_is_named_as_elsewhere_or_is_the_buckets_only_rule_of_ours() {
    let mut state = with_report_bucket();
    let theirs = with_foreign_role().buckets["demo-source"].replication.clone();
    let named = |bucket: &str| json!({"Name": null, "DestinationBucket": bucket, "DryRun": true});
    let unnamed = replay(json!({"Name": null, "DryRun": true}));
    state.bucket_mut("demo-source").replication = theirs;
    let fake = Fake::new(state);
    let none = invoke(&fake, &unnamed).await.unwrap_err().to_string();

    let fake = replicating_bucket().await;
    for request in [
        unnamed.clone(),
        replay(named("demo-destination")),
        replay(named("arn:aws:s3:::demo-destination")),
    ] {
        let planned = invoke(&fake, &request).await.unwrap();
        assert_eq!(planned["RuleId"], "s3-kms-replication.demo-destination", "{request}");
    }
    let second = merged(sample("command-apply"), json!({"Name": "second", "Prefix": "Two"}));
    invoke(&fake, &second).await.unwrap();
    let several = invoke(&fake, &unnamed).await.unwrap_err().to_string();
    insta::assert_snapshot!([none, several].join("\n"));
}

#[tokio::test(start_paused = true)]
async fn replay_leaves_the_request_for_existing_objects_recorded() {
    let fake = Fake::new(with_report_bucket());
    let apply = merged(sample("command-apply"), job_properties());
    invoke(&fake, &apply).await.unwrap();
    end_job(&fake, "job-1").await;
    invoke(&fake, &replay(json!({}))).await.unwrap();
    end_job(&fake, "job-2").await;
    let again = invoke(&fake, &apply).await.unwrap();
    assert_eq!(
        (again["Status"].as_str(), fake.writes().len()),
        (Some("Unchanged"), 0),
        "the request has had its job"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_9_impossible_replay_is_refused_without_writes() {
    let fake = replicating_bucket().await;
    fake.state.borrow_mut().bucket_mut("demo-destination").versioning =
        s3_kms_replication::model::Versioning::Enabled;
    let mut reasons = Vec::new();
    for changes in [
        json!({"SourceBucket": "gone"}),
        json!({"SourceBucket": "reports"}),
        json!({"SourceBucket": null}),
        json!({"Name": null, "DestinationBucket": "Demo"}),
        json!({"Name": null, "DestinationBucket": "other"}),
        json!({"Name": null, "SourceBucket": "reports"}),
        json!({"Name": "other"}),
        json!({"ReportBucket": null}),
        json!({"ReportBucket": "Reports"}),
        json!({"ReportBucket": "gone"}),
        json!({"ReportPrefix": "x".repeat(513)}),
        json!({"ReplicateExistingObjects": "perhaps"}),
        json!({"Prefix": "Tax"}),
        json!({"Rule": "demo-destination"}),
    ] {
        let before = fake.state.borrow().clone();
        let error = invoke(&fake, &replay(changes.clone())).await.unwrap_err();
        let what: String = changes.to_string().chars().take(50).collect();
        reasons.push(format!("{what}\n  {}: {error}", error.kind()));
        assert_eq!((fake.writes().len(), &*fake.state.borrow()), (0, &before), "{changes}");
    }
    fake.state.borrow_mut().edit_replication(
        "demo-source",
        "</Filter><Status>Enabled</Status>",
        "</Filter><Status>Disabled</Status>",
    );
    let disabled = invoke(&fake, &replay(json!({}))).await.unwrap_err();
    reasons.push(format!("a disabled rule\n  {}: {disabled}", disabled.kind()));
    insta::assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_rule_gets_the_statements_that_its_role_lacks_and_is_not_changed() {
    let mut state = with_foreign_role().with_bucket("reports", Bucket::new("us-east-1"));
    let trusted = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["s3.amazonaws.com","batchoperations.s3.amazonaws.com"]},"Action":"sts:AssumeRole"}]}"#;
    let manifest = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetReplicationConfiguration","s3:PutInventoryConfiguration"],"Resource":"arn:aws:s3:::demo-source"}]}"#;
    let foreign = replay(json!({"Name": "theirs-a"}));
    let fake = Fake::new(state.clone());
    let answer = invoke(&fake, &foreign).await.unwrap();
    assert_eq!((answer["Status"].as_str(), fake.writes().len()), (Some("Foreign"), 0));
    insta::assert_snapshot!(answer["Text"].as_str().unwrap());

    let role = state.role_mut("their-replication");
    role.trust = trusted.to_owned();
    role.policies = [("manifest".to_owned(), manifest.to_owned())].into();
    role.attached.clear();
    let fake = Fake::new(state);
    let answer = invoke(&fake, &foreign).await.unwrap();
    let lacks = answer["Lacks"].as_array().unwrap();
    let sids: Vec<&str> =
        lacks.iter().map(|lack| lack["Statement"]["Sid"].as_str().unwrap()).collect();
    assert_eq!((sids, fake.writes().len()), (vec!["ExistingObjects", "Report"], 0));
}

#[tokio::test(start_paused = true)]
async fn denied_replay_names_the_parameter_that_gives_the_right() {
    let fake = replicating_bucket().await;
    fake.refuse("CreateJob", usize::MAX, "AccessDenied", Retry::Never);
    let error = invoke(&fake, &replay(json!({}))).await.unwrap_err().to_string();
    assert!(error.contains("`AllowReplicateExistingObjects` gives this right"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn invariant_3_replay_that_fails_in_any_call_and_is_repeated_starts_one_job() {
    let before = replicating_bucket().await.state.take();
    let undisturbed = Fake::new(before.clone());
    invoke(&undisturbed, &replay(json!({}))).await.unwrap();
    let calls = undisturbed.calls.borrow().len();
    for fault in [Fault::Refused("AccessDenied", Retry::Never), Fault::AnswerLost, Fault::Hangs] {
        for index in 0..calls {
            let fake = Fake::new(before.clone());
            fake.fail_call(index, fault);
            let _ = invoke(&fake, &replay(json!({}))).await;
            fake.stop_failing();
            fake.state.borrow_mut().leases.clear();
            invoke(&fake, &replay(json!({}))).await.unwrap();
            assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index} of {calls}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_3_replay_that_fails_in_any_call_and_is_changed_starts_the_changed_job() {
    let before = replicating_bucket().await.state.take();
    let undisturbed = Fake::new(before.clone());
    invoke(&undisturbed, &replay(json!({}))).await.unwrap();
    // Once the job is noted, it runs, and no other is started.
    let noted = undisturbed.position("TagRole");
    for changes in [
        json!({"ReplicateExistingObjects": true}),
        json!({"ReportPrefix": "other"}),
        json!({"ReportBucket": "demo-destination"}),
    ] {
        for index in 0..=noted {
            let fake = Fake::new(before.clone());
            fake.fail_call(index, Fault::Refused("AccessDenied", Retry::Never));
            let _ = invoke(&fake, &replay(json!({}))).await;
            fake.stop_failing();
            let former: Vec<String> = fake.state.borrow().jobs.keys().cloned().collect();
            let changed = invoke(&fake, &replay(changes.clone())).await.unwrap();
            assert_eq!(changed["Status"], "Started", "{changes}, call {index}");
            let job = changed["JobId"].as_str().unwrap();
            assert!(!former.iter().any(|id| id == job), "{changes}, call {index}: {former:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn command_for_a_foreign_role_gives_its_arn_to_the_shell_as_one_word() {
    let theirs = "arn:aws:iam::111122223333:role/$(id);id/it's-their-replication";
    let mut state = with_foreign_role().with_bucket("reports", Bucket::new("us-east-1"));
    let role = state.buckets["demo-source"].replication.as_ref().unwrap().role().to_owned();
    state.edit_replication("demo-source", &role, theirs);
    let fake = Fake::new(state);
    let answer = invoke(&fake, &replay(json!({"Name": "theirs-a"}))).await.unwrap();
    let command = answer["Command"].as_str().unwrap();
    let quoted = r"--role-arn 'arn:aws:iam::111122223333:role/$(id);id/it'\''s-their-replication' ";
    assert!(command.contains(quoted), "{command}");
    assert!(!command.contains(r#""Prefix""#), "S3 takes no empty prefix: {command}");
}
