//! The commands, and payloads that nothing accepts.

use insta::{assert_json_snapshot, assert_snapshot};
use s3_kms_replication::config::Settings;
use s3_kms_replication::model::Retry;
use s3_kms_replication::spec::RoleSettings;
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn permissions_boundary_is_set_on_new_and_existing_roles() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let bound = Settings {
        roles: RoleSettings { boundary: Some(boundary.to_owned()), ..settings().roles },
        ..settings()
    };
    for before in [false, true] {
        let fake = Fake::new(two_buckets());
        if before {
            invoke(&fake, &sample("command-apply")).await.unwrap();
        }
        invoke_with(&fake, &sample("command-apply"), &bound).await.unwrap();
        assert_eq!(
            fake.state.borrow().roles["s3-crr-demo-source"].boundary.as_deref(),
            Some(boundary)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn plan_performs_no_writes_and_lists_the_stages_of_apply() {
    let fake = Fake::new(two_buckets());
    let planned = invoke(&fake, &sample("command-plan")).await.unwrap();
    assert_eq!(fake.writes(), []);
    assert_snapshot!("plan_text", planned["Text"].as_str().unwrap());
    let mut without_text = planned.clone();
    without_text.as_object_mut().unwrap().remove("Text");
    assert_json_snapshot!("plan", without_text);
    let applied = invoke(&fake, &sample("command-apply")).await.unwrap();
    assert_eq!(applied["Stages"], planned["Stages"]);
    let again = invoke(&fake, &sample("command-plan")).await.unwrap();
    assert_eq!(
        (&again["Stages"], &again["Text"]),
        (
            &json!([]),
            &json!(
                "rule `s3-kms-replication.demo-destination` of bucket `demo-source`: nothing to do\n"
            )
        )
    );
}

#[tokio::test(start_paused = true)]
async fn dry_run_performs_no_writes_for_any_kind_of_request() {
    let mut dry_command = sample("command-apply");
    dry_command["DryRun"] = json!(true);
    let mut dry_reconcile = sample("command-reconcile");
    dry_reconcile["DryRun"] = json!(true);
    for payload in
        [custom_resource("Create", json!({"DryRun": "true"})), dry_command, dry_reconcile]
    {
        let fake = Fake::new(two_buckets());
        invoke(&fake, &payload).await.unwrap();
        assert_eq!(*fake.state.borrow(), two_buckets());
    }
}

#[tokio::test(start_paused = true)]
async fn reconcile_ends_in_the_same_state_as_the_event_of_a_new_bucket() {
    let (by_event, by_command) = (Fake::new(two_buckets()), Fake::new(two_buckets()));
    invoke(&by_event, &sample("create-bucket")).await.unwrap();
    invoke(&by_command, &sample("command-reconcile")).await.unwrap();
    assert_eq!(by_event.state, by_command.state);
}

#[tokio::test]
async fn denied_optional_right_names_the_parameter_that_gives_it() {
    for (action, properties, state, parameter) in [
        (
            "CreateBucket",
            json!({"DestinationBucket": "new", "CreateDestinationBucket": true}),
            two_buckets(),
            "AllowCreateDestinationBuckets",
        ),
        (
            "PutRolePolicy",
            json!({"ExistingRole": "Extend", "Priority": null}),
            with_foreign_role(),
            "ExtendableRoleArns",
        ),
        (
            "PutBucketReplication",
            json!({"ExistingRole": "Extend", "Priority": null}),
            with_foreign_role(),
            "ExtendableRoleArns",
        ),
    ] {
        let fake = Fake::new(state);
        fake.refuse(action, usize::MAX, "AccessDenied", Retry::Never);
        let answer = create(&fake, properties).await;
        assert!(
            answer["Reason"]
                .as_str()
                .unwrap()
                .contains(&format!("the template's parameter `{parameter}` gives this right")),
            "{answer}"
        );
    }
    let fake = Fake::new(two_buckets());
    fake.refuse("PutRolePolicy", usize::MAX, "AccessDenied", Retry::Never);
    assert!(!create(&fake, json!({})).await["Reason"].as_str().unwrap().contains("parameter"));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_unknown_payload_is_an_error_that_names_what_is_allowed() {
    let mut elsewhere = sample("cloudformation-create");
    elsewhere["ResponseURL"] = json!("https://example.com/steal?X-Amz-Signature=SECRET");
    let mut errors = Vec::new();
    for payload in [
        json!("text"),
        json!({}),
        json!({"Records": [{"s3": {}}]}),
        json!({"Records": 1}),
        json!({"detail-type": "Object Created", "detail": {"eventName": "x"}}),
        json!({"detail-type": "AWS API Call via CloudTrail", "detail": {}}),
        json!({"Action": "Verify"}),
        json!({"Action": "Verify", "SourceBucket": "demo-source", "Name": "dr", "Prefix": "Tax"}),
        json!({"Action": "Verify", "SourceBucket": "demo-source", "Name": "dr", "SourceKmsKeyArns": "alias/x"}),
        json!({"Action": "Destroy"}),
        json!({"Action": "Plan"}),
        json!({"Action": "Delete", "SourceBucket": "demo-source"}),
        json!({"Action": "Delete", "Name": "a b", "SourceBucket": "demo-source"}),
        json!({"Action": "Reconcile", "SourceBucket": "demo-source", "Prefix": "Tax"}),
        elsewhere,
    ] {
        let fake = Fake::new(two_buckets());
        errors.push(invoke(&fake, &payload).await.unwrap_err().to_string());
        assert_eq!((fake.calls.borrow().len(), fake.answers.borrow().len()), (0, 0));
    }
    assert_snapshot!(errors.join("\n"));
}
