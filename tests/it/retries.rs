//! What is retried, for how long, and what is read back.

use std::time::Duration;

use s3_kms_replication::model::Retry;
use serde_json::json;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn only_errors_that_time_mends_are_retried() {
    for (code, retry, succeeds, tries) in [
        ("InvalidRequest", Retry::Soon, true, 4),
        ("NoSuchEntity", Retry::Replan, true, 3),
        ("SlowDown", Retry::NextInvocation, false, 1),
        ("AccessControlListNotSupported", Retry::Never, false, 1),
    ] {
        let fake = Fake::new(two_buckets());
        fake.refuse(
            "PutBucketReplication",
            if retry == Retry::Replan { 2 } else { 3 },
            code,
            retry,
        );
        let answer = create(&fake, json!({})).await;
        assert_eq!(answer["Status"], if succeeds { "SUCCESS" } else { "FAILED" }, "{code}");
        assert_eq!(fake.count("PutBucketReplication"), tries, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_end_after_two_minutes_and_the_answer_names_the_last_error() {
    let fake = Fake::new(two_buckets());
    fake.refuse("PutBucketReplication", usize::MAX, "InvalidRequest", Retry::Soon);
    let started = Instant::now();
    let answer = create(&fake, json!({})).await;
    assert!(answer["Reason"].as_str().unwrap().contains("InvalidRequest"));
    assert!((120..140).contains(&started.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn invariant_11_written_rule_is_read_back_until_it_shows() {
    let fake = Fake::new(two_buckets());
    let reads = |fake: &Fake| fake.count("GetBucketReplication");
    create(&fake, json!({})).await;
    let at_once = reads(&fake);
    let fake = Fake::new(two_buckets());
    // The read of the plan, the one before the write, and then three that come too early.
    fake.stale_reads.set(5);
    assert_eq!(create(&fake, json!({})).await["Status"], "SUCCESS");
    assert_eq!(reads(&fake), at_once + 3);
}

#[tokio::test(start_paused = true)]
async fn write_that_conflicts_once_succeeds_within_the_request() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    for fault in
        [Fault::Refused("OperationAborted", Retry::Soon), Fault::DoneAlready("EntityAlreadyExists")]
    {
        let writes = undisturbed
            .calls
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, call)| call.kind == Kind::Write)
            .map(|(at, _)| at)
            .collect::<Vec<_>>();
        for index in writes {
            let fake = Fake::new(two_buckets());
            fake.fail_call(index, fault);
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
async fn invariant_5_callback_is_retried_while_a_retry_can_help() {
    for (failures, sent) in [
        (vec![Retry::NextInvocation; 3], true),
        (vec![Retry::NextInvocation; 100], false),
        (vec![Retry::Never], false),
    ] {
        let fake = Fake::new(two_buckets());
        fake.answer_failures.replace(failures);
        let end = Instant::now() + Duration::from_secs(300);
        let answered = invoke(&fake, &custom_resource("Create", json!({}))).await;
        assert_eq!((answered.is_ok(), fake.answers.borrow().len()), (sent, usize::from(sent)));
        assert!(Instant::now() < end, "giving up leaves time to say so");
    }
}

/// What a request has made itself may not be visible yet; what others have made is not waited for.
#[tokio::test(start_paused = true)]
async fn codes_that_mean_not_visible_yet_are_retried_only_after_this_request_made_the_resource() {
    let created = || {
        let fake = Fake::new(two_buckets());
        async move {
            create(&fake, json!({})).await;
            fake
        }
    };
    for (operation, code, waits) in [
        ("PutRolePolicy", "NoSuchEntity", true),
        ("PutRolePolicy", "AccessDenied", true),
        ("PutBucketReplication", "AccessDenied", true),
        ("PutBucketReplication", "InvalidArgument", true),
        ("PutBucketVersioning", "AccessDenied", false),
    ] {
        for seconds in [1, 10, 60] {
            let fake = Fake::new(two_buckets());
            fake.refuse_for(operation, Duration::from_secs(seconds), code);
            let answer = create(&fake, json!({})).await;
            assert_eq!(
                answer["Status"] == "SUCCESS",
                waits,
                "{operation}, {code}, {seconds} s: {answer}"
            );
        }
        let fake = Fake::new(two_buckets());
        fake.refuse_for(operation, Duration::from_secs(1_000), code);
        let started = Instant::now();
        assert_eq!(create(&fake, json!({})).await["Status"], "FAILED");
        assert!(started.elapsed() < Duration::from_secs(150), "{operation}, {code}");
    }
    for (operation, code) in
        [("PutRolePolicy", "AccessDenied"), ("PutBucketReplication", "AccessDenied")]
    {
        let fake = created().await;
        fake.refuse(operation, 1, code, Retry::Never);
        fake.answers.borrow_mut().clear();
        invoke(&fake, &custom_resource("Update", json!({"Prefix": "Bills"}))).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "FAILED", "{operation}, {code}: nothing was made");
    }
}

/// Each kind of visibility, late by so many seconds, in each flow that makes something.
#[tokio::test(start_paused = true)]
async fn all_flows_converge_when_what_they_made_shows_late() {
    let role = [
        ("PutRolePolicy", "NoSuchEntity"),
        ("PutRolePolicy", "AccessDenied"),
        ("PutBucketReplication", "InvalidArgument"),
        ("PutBucketReplication", "AccessDenied"),
    ];
    let bucket = [
        ("PutBucketVersioning", "NoSuchBucket"),
        ("PutBucketEncryption", "NoSuchBucket"),
        ("PutPublicAccessBlock", "NoSuchBucket"),
    ];
    let resource = custom_resource("Create", json!({}));
    let created_destination = custom_resource(
        "Create",
        json!({"DestinationBucket": "new-replica", "CreateDestinationBucket": "true", "DestinationRegion": "us-west-2"}),
    );
    let with_job = custom_resource(
        "Create",
        json!({"ReplicateExistingObjects": "true", "ReportBucket": "demo-source"}),
    );
    let flows = [
        ("a resource", resource, vec![&role[..]]),
        ("a resource with a new destination", created_destination, vec![&role[..], &bucket[..]]),
        ("a resource with a job", with_job, vec![&role[..]]),
        ("an event", sample("create-bucket"), vec![&role[..], &bucket[..]]),
    ];
    // The sources are versioned: only what a flow has made shows late.
    let versioned = || Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).versioned();
    let state = two_buckets()
        .with_bucket("demo-source", versioned())
        .with_bucket("prod-orders", versioned());
    let mut count = 0;
    for (flow, request, kinds) in flows {
        let undisturbed = Fake::new(state.clone());
        invoke(&undisturbed, &request).await.unwrap();
        for (operation, code) in kinds.concat() {
            assert_ne!(undisturbed.count(operation), 0, "{flow} calls {operation}");
            for seconds in [1, 10, 60] {
                let fake = Fake::new(state.clone());
                fake.refuse_for(operation, Duration::from_secs(seconds), code);
                invoke(&fake, &request).await.unwrap();
                let (state, expected) = (fake.state.borrow(), undisturbed.state.borrow());
                let case = format!("{flow}: {operation}, {code}, {seconds} s");
                assert!(state.buckets == expected.buckets, "{case}");
                assert!(state.roles == expected.roles, "{case}");
                count += 1;
            }
        }
    }
    println!("{count} flows with late visibility converged");
}

/// Invariant 11: S3's foreign writers.
#[tokio::test(start_paused = true)]
async fn invariant_11_rule_that_never_shows_is_no_success() {
    let fake = Fake::new(two_buckets());
    fake.stale_reads.set(usize::MAX);
    let started = Instant::now();
    let answer = create(&fake, json!({})).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("NotVisible"), "{answer}");
    assert!(started.elapsed() <= Duration::from_secs(290));
}
