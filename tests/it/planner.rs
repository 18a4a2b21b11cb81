//! Tables for the pure planner: a snapshot and a spec, and the named stages with their actions, or the refusal.

mod names_and_overlaps;
mod refusals;
mod upgrade;

use aws_sdk_s3control::types::JobStatus;
use insta::assert_snapshot;
use s3_kms_replication::model::{Alarm, BucketName, Encryption, Role, Versioning};
use s3_kms_replication::plan::{self, Detail, Line, Plan, Roles};
use s3_kms_replication::spec::Spec;
use serde_json::json;

use crate::support::*;

type Change = fn(&mut State);

/// Edits the XML of the source's replication configuration, whose first rule is ours.
fn edit(state: &mut State, from: &str, to: &str) {
    state.edit_replication("demo-source", from, to);
}

fn own_role(state: &mut State) -> &mut Role {
    state.role_mut(OWN_ROLE_NAME)
}

fn alarm_mut(state: &mut State) -> &mut Alarm {
    state.alarms.values_mut().next().unwrap()
}

fn with(mut state: State, change: Change) -> State {
    change(&mut state);
    state
}

fn planned(state: &State, spec: &Spec) -> String {
    match plan_apply(state, spec) {
        Ok(plan) => plan_text(&plan),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

#[tokio::test]
async fn apply_plans_named_stages_for_every_starting_state() {
    let (base, other) = (spec(json!({})), spec(json!({"Name": "other", "Prefix": "Vat"})));
    let created = spec(json!({
        "DestinationBucket": "new", "DestinationRegion": "us-west-2", "CreateDestinationBucket": true,
    }));
    let extend = spec(json!({"ExistingRole": "Extend"}));
    let abroad = spec(other_account_properties());
    let alarm = spec(json!({"AlarmTopicArn": TOPIC}));
    let mut unencrypted = two_buckets();
    unencrypted.bucket_mut("demo-source").encryption = Encryption::S3;
    let mut table = Table::default();
    for (case, state, spec) in [
        ("new bucket", two_buckets(), &base),
        ("new bucket without KMS", unencrypted, &base),
        ("destination to create", two_buckets(), &created),
        ("existing role with another rule", applied(two_buckets(), &[&other]).await, &base),
        ("foreign rules with our role", with_foreign_rules(OWN_ROLE), &base),
        ("foreign role, Extend", with_foreign_role(), &extend),
        ("alarm", two_buckets(), &alarm),
        ("destination in another account", two_accounts(), &abroad),
        ("unchanged", applied(two_buckets(), &[&base]).await, &base),
    ] {
        table.add(case, &planned(&state, spec));
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn invariant_3_executed_plan_is_followed_by_an_empty_plan() {
    for (state, changes) in [
        (two_buckets(), json!({})),
        (two_buckets(), json!({"DestinationBucket": "new", "CreateDestinationBucket": true})),
        (two_buckets(), json!({"AlarmTopicArn": TOPIC, "Tags": {"a": "b"}})),
        (with_foreign_role(), json!({"ExistingRole": "Extend"})),
        (two_accounts(), other_account_properties()),
        (with_report_bucket(), job_properties()),
    ] {
        let spec = spec(changes);
        let state = applied(state, &[&spec]).await;
        assert_eq!(plan_apply(&state, &spec).unwrap().stages, [], "{}", spec.destination);
    }
}

#[tokio::test]
async fn drift_of_any_single_element_plans_its_repair_alone() {
    let spec = spec(json!({
        "AlarmTopicArn": TOPIC, "CreateDestinationBucket": true, "DestinationBucket": "new",
        "DestinationRegion": "us-west-2", "Tags": {"a": "1"}, "StorageClass": "STANDARD_IA",
    }));
    let converged = applied(two_buckets(), &[&spec]).await;
    let drifts: Vec<(&str, Change)> = vec![
        ("source versioning", |state| {
            state.bucket_mut("demo-source").versioning = Versioning::Suspended;
        }),
        ("destination versioning", |state| {
            state.bucket_mut("new").versioning = Versioning::Suspended;
        }),
        ("destination encryption", |state| state.bucket_mut("new").encryption = Encryption::S3),
        ("public access", |state| state.bucket_mut("new").public_access_blocked = false),
        ("trust", |state| own_role(state).trust = "{}".to_owned()),
        ("policy missing", |state| own_role(state).policies.clear()),
        ("policy changed", |state| {
            for policy in own_role(state).policies.values_mut() {
                *policy = policy.replace("kms:Decrypt", "kms:*");
            }
        }),
        ("role missing", |state| drop(state.roles.remove(OWN_ROLE_NAME))),
        ("rule missing", |state| state.bucket_mut("demo-source").replication = None),
        ("rule: status", |state| {
            edit(state, "</Filter><Status>Enabled", "</Filter><Status>Disabled");
        }),
        ("rule: filter", |state| {
            edit(state, "<Prefix>Tax</Prefix>", "");
        }),
        ("rule: delete markers", |state| {
            edit(
                state,
                "<DeleteMarkerReplication><Status>Disabled",
                "<DeleteMarkerReplication><Status>Enabled",
            );
        }),
        ("rule: source selection", |state| {
            state.remove_element("demo-source", "SourceSelectionCriteria");
        }),
        ("rule: destination bucket", |state| {
            edit(
                state,
                "<Destination><Bucket>arn:aws:s3:::",
                "<Destination><Bucket>arn:aws:s3:::other-",
            );
        }),
        ("rule: storage class", |state| {
            edit(state, ">STANDARD_IA<", ">GLACIER<");
        }),
        ("rule: replica key", |state| {
            state.remove_element("demo-source", "EncryptionConfiguration");
        }),
        ("rule: metrics", |state| {
            edit(state, "<Metrics><Status>Enabled", "<Metrics><Status>Disabled");
        }),
        ("rule: unknown element", |state| edit(state, "</Bucket>", "</Bucket><Newer>x</Newer>")),
        ("rule: account", |state| {
            edit(state, "</Bucket>", &format!("</Bucket><Account>{OTHER_ACCOUNT}</Account>"));
        }),
        ("alarm missing", |state| state.alarms.clear()),
        ("alarm threshold", |state| alarm_mut(state).threshold = 9.0),
        ("alarm actions", |state| alarm_mut(state).actions.clear()),
        ("alarm dimensions", |state| alarm_mut(state).dimensions.clear()),
        ("alarm disabled", |state| alarm_mut(state).actions_enabled = false),
    ];
    let mut table = Table::default();
    for (drift, change) in drifts {
        let mut state = converged.clone();
        change(&mut state);
        let plan = plan_apply(&state, &spec).unwrap();
        let repaired = executed(state, &plan).await;
        assert_eq!(repaired, converged, "{drift}");
        table.add(drift, &format!("{}\n{}", plan_text(&plan), changes_text(&plan)));
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn missing_or_other_permissions_boundary_is_set() {
    let base = spec(json!({}));
    let mut settings = role_settings();
    settings.boundary = Some("arn:aws:iam::111122223333:policy/bound".to_owned());
    let converged = applied(two_buckets(), &[&base]).await;
    let mut table = Table::default();
    for (case, boundary) in [
        ("missing", None),
        ("other", Some("arn:aws:iam::111122223333:policy/other".to_owned())),
        ("as configured", settings.boundary.clone()),
    ] {
        let mut state = converged.clone();
        own_role(&mut state).boundary = boundary;
        let (plan, _) = plan::apply(&base, &apply_snapshot(&state, &base), &settings).unwrap();
        table.add(case, &format!("{}\n{}", plan_text(&plan), changes_text(&plan)));
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn changed_rule_is_written_between_wider_and_narrower_grants() {
    let base = spec(json!({}));
    let converged = applied(two_buckets(), &[&base]).await;
    let abroad = spec(other_account_properties());
    let admitted = applied(two_accounts(), &[&abroad]).await;
    let rename = json!({"Prefix": "Vat", "Name": "demo-destination"});
    let mut table = Table::default();
    table.add("prefix", &planned(&converged, &spec(rename)));
    table.add(
        "destination",
        &planned(
            &converged,
            &spec(json!({
                "Name": "demo-destination", "DestinationBucket": "new",
                "CreateDestinationBucket": true,
            })),
        ),
    );
    table.add("priority", &planned(&converged, &spec(json!({"Priority": 9}))));
    let moved = merged(other_account_properties(), json!({"Prefix": "Vat"}));
    table.add("prefix in another account", &planned(&admitted, &spec(moved)));
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn text_has_a_sign_before_each_action_and_value_and_hides_what_stays() {
    let base = spec(json!({}));
    let state = applied(with_foreign_rules(OWN_ROLE), &[&base]).await;
    let moved = spec(json!({"Prefix": "Vat", "Name": "demo-destination"}));
    let changed = plan_apply(&state, &moved).unwrap();
    let deleted = plan::delete(&base.rule, &delete_snapshot(&state, &base));
    let mut drifted = state.clone();
    own_role(&mut drifted).trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com","s3.amazonaws.com"]},"Action":"sts:AssumeRole"}]}"#.to_owned();
    let repaired = plan_apply(&drifted, &base).unwrap();
    let text = |plan: &Plan, detail| {
        let lines = plan.lines(detail).into_iter().map(|line| line.to_string());
        lines.chain([plan.summary().to_string()]).collect::<Vec<_>>().join("\n")
    };
    let texts = [
        text(&changed, Detail::Changes),
        text(&deleted, Detail::Changes),
        text(&changed, Detail::Actions),
        text(&repaired, Detail::Documents),
    ];
    assert_snapshot!(texts.join("\n\n"));
}

#[tokio::test]
async fn deletion_with_documents_shows_each_removed_document_in_full() {
    let abroad = spec(other_account_properties());
    let state = applied(two_accounts(), &[&abroad]).await;
    let deleted = plan::delete(&abroad.rule, &delete_snapshot(&state, &abroad));
    let lines = deleted.lines(Detail::Documents).into_iter();
    let shown = lines.filter(|line| matches!(line, Line::Action(..) | Line::Document(_)));
    assert_snapshot!(shown.map(|line| line.to_string()).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn job_is_started_left_replaced_or_ended_by_what_is_asked_and_noted() {
    let (plain, with_job) = (spec(json!({})), spec(job_properties()));
    let other_report = spec(merged(job_properties(), json!({"ReportPrefix": "again/"})));
    let running = applied(with_report_bucket(), &[&with_job]).await;
    let in_status = |status: JobStatus| {
        let mut state = running.clone();
        state.jobs.get_mut("job-1").unwrap().job.status = status;
        state
    };
    let mut table = Table::default();
    for (case, state, spec) in [
        ("new rule with a job", with_report_bucket(), &with_job),
        ("existing rule", applied(with_report_bucket(), &[&plain]).await, &with_job),
        ("running", running.clone(), &with_job),
        ("complete", in_status(JobStatus::Complete), &with_job),
        ("failed", in_status(JobStatus::Failed), &with_job),
        ("running, another report", running.clone(), &other_report),
        ("running, no longer requested", running.clone(), &plain),
        ("complete, no longer requested", in_status(JobStatus::Complete), &plain),
    ] {
        table.add(case, &planned(&state, spec));
    }
    for (case, status) in [
        ("end of a complete job", JobStatus::Complete),
        ("end of a running job", JobStatus::Active),
    ] {
        let snapshot = apply_snapshot(&in_status(status), &with_job);
        let plan = plan::revoke_job_rights(&with_job.rule, &snapshot.roles, snapshot.job.as_ref());
        table.add(case, &plan_text(&plan));
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn delete_plans_the_removal_of_the_rule_first_and_of_the_role_last() {
    let (base, other) = (spec(json!({})), spec(json!({"Name": "other", "Prefix": "Vat"})));
    let extend = spec(json!({"ExistingRole": "Extend"}));
    let (abroad, with_job) = (spec(other_account_properties()), spec(job_properties()));
    let alarm = spec(json!({"AlarmTopicArn": TOPIC}));
    let converged = applied(two_buckets(), &[&base]).await;
    let mut table = Table::default();
    for (case, state, spec) in [
        ("the only rule", converged.clone(), &base),
        ("with another rule of ours", applied(two_buckets(), &[&base, &other]).await, &base),
        ("with foreign rules", applied(with_foreign_rules(OWN_ROLE), &[&base]).await, &base),
        ("in a foreign role", applied(with_foreign_role(), &[&extend]).await, &extend),
        ("with an alarm", applied(two_buckets(), &[&alarm]).await, &alarm),
        ("with a running job", applied(with_report_bucket(), &[&with_job]).await, &with_job),
        ("in another account", applied(two_accounts(), &[&abroad]).await, &abroad),
        (
            "rule already gone",
            with(converged.clone(), |state| state.bucket_mut("demo-source").replication = None),
            &base,
        ),
        (
            "role of another owner",
            with(converged.clone(), |state| own_role(state).tags.clear()),
            &base,
        ),
        (
            "role with an attached policy",
            with(converged.clone(), |state| own_role(state).attached.push("arn".to_owned())),
            &base,
        ),
        (
            "bucket gone",
            with(converged.clone(), |state| drop(state.buckets.remove("demo-source"))),
            &base,
        ),
        ("nothing there", two_buckets(), &base),
    ] {
        table.add(case, &plan_text(&plan::delete(&spec.rule, &delete_snapshot(&state, spec))));
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn deleted_bucket_plans_the_removal_of_what_its_role_shows() {
    let (base, other) =
        (spec(json!({"AlarmTopicArn": TOPIC})), spec(json!({"Name": "other", "Prefix": "Vat"})));
    let state = applied(two_buckets(), &[&base, &other]).await;
    let source = BucketName::parse("demo-source").unwrap();
    let clean_up = |change: Change| -> Plan {
        let mut state = state.clone();
        change(&mut state);
        let roles = Roles { with_own_name: state.roles.get(OWN_ROLE_NAME).cloned(), serving: None };
        let alarms = state.alarms.into_values().collect();
        plan::clean_up_deleted_bucket(&source, &roles, alarms, Vec::new())
    };
    let mut table = Table::default();
    let cases: [(&str, Change); 4] = [
        ("two rules and an alarm", |_| {}),
        ("role with a foreign inline policy", |state| {
            own_role(state).policies.insert("theirs".to_owned(), "{}".to_owned());
        }),
        ("role of another owner", |state| own_role(state).tags.clear()),
        ("no role", |state| state.roles.clear()),
    ];
    for (case, change) in cases {
        table.add(case, &plan_text(&clean_up(change)));
    }
    assert_snapshot!(table.text());
}
