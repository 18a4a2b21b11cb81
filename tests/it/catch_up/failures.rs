//! A catch-up in which a call fails: its message comes again, and its error tells no key.

use super::*;

#[tokio::test(start_paused = true)]
async fn invariant_7_error_of_a_catch_up_names_no_object_and_its_message_comes_again() {
    let fake = bucket_with(&[(None, false)]).await;
    fake.refuse("HeadObject", usize::MAX, "InternalError", Retry::Soon);
    let record = json!({"messageId": "m-1", "body": message(json!({})).to_string()});
    let answer = invoke_with_queue(&fake, &json!({"Records": [record]})).await.unwrap();
    assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "m-1");
    let error = invoke_with_queue(&fake, &message(json!({}))).await.unwrap_err().to_string();
    assert!(error.contains("on a version in bucket `demo-source`"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    fake.refuse("ListObjectVersions", usize::MAX, "AccessDenied", Retry::Never);
    let error = invoke_with_queue(&fake, &message(json!({}))).await.unwrap_err().to_string();
    assert!(error.contains("`AllowCatchUp` gives this right"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn invariant_3_catch_up_that_fails_in_any_call_and_comes_again_starts_one_job() {
    let before = bucket_with(&[(None, true), (None, false)]).await.state.take();
    let message = message(with_report());
    let undisturbed = Fake::new(before.clone());
    invoke_with_queue(&undisturbed, &message).await.unwrap();
    assert_eq!(undisturbed.state.borrow().jobs.len(), 1);
    let calls = undisturbed.calls.borrow().len();
    for fault in [Fault::Refused("AccessDenied", Retry::Never), Fault::AnswerLost, Fault::Hangs] {
        for index in 0..calls {
            let fake = Fake::new(before.clone());
            fake.fail_call(index, fault);
            let _ = invoke_with_queue(&fake, &message).await;
            fake.stop_failing();
            fake.state.borrow_mut().leases.clear();
            invoke_with_queue(&fake, &message).await.unwrap();
            assert_eq!(fake.state, undisturbed.state, "{fault:?} in call {index} of {calls}");
        }
    }
}
