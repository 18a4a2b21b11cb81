//! Invariant 7: no secret is in a log, an answer or an error.

use s3_kms_replication::model::Retry;
use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::*;

/// What is in the sample requests that must be in no output.
const SECRETS: [&str; 3] =
    ["X-Amz-Signature", "EXAMPLE", "cloudformation-custom-resource-response"];

#[test]
fn invariant_7_response_url_is_in_no_log_answer_or_error_after_any_fault() {
    let log = Log::default();
    // Of the whole process, whatever other tests do meanwhile; everybody else's code is held to `info` by `main`.
    let ours = Targets::new().with_target("s3_kms_replication", LevelFilter::TRACE);
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(log.clone()))
        .with(ours)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut outputs = String::new();
    runtime.block_on(async {
        for (second, request) in
            [("Create", json!({})), ("Create", json!({"Prefx": "x"})), ("Delete", json!({}))]
                .into_iter()
                .enumerate()
        {
            let request =
                signed(custom_resource(request.0, request.1), &format!("20261122T08165{second}Z"));
            let undisturbed = Fake::new(two_buckets());
            invoke(&undisturbed, &request).await.unwrap();
            let calls = undisturbed.calls.borrow().len();
            for fault in [
                Fault::Refused("AccessDenied", Retry::Never),
                Fault::AnswerLost,
                Fault::Panic,
                Fault::Hangs,
            ] {
                for index in 0..=calls {
                    let fake = Fake::new(two_buckets());
                    fake.fail_call(index, fault);
                    fake.answer_failures.replace(if index % 2 == 0 {
                        vec![Retry::NextInvocation]
                    } else {
                        vec![Retry::Never]
                    });
                    outputs += &format!(
                        "{:?} {:?}\n",
                        invoke(&fake, &request).await,
                        fake.answers.borrow()
                    );
                }
            }
        }
        let mut elsewhere = sample("cloudformation-create");
        elsewhere["ResponseURL"] = json!("https://example.com/?X-Amz-Signature=EXAMPLE");
        outputs += &format!("{:?}", invoke(&Fake::new(two_buckets()), &elsewhere).await);
    });
    let logged = log.text();
    assert!(
        logged.contains("could not be answered") && logged.contains("ran out of time"),
        "the log was captured"
    );
    for secret in SECRETS {
        assert!(!logged.contains(secret) && !outputs.contains(secret), "{secret}");
    }
}
