//! Plans whose cases need no fake.

use std::collections::BTreeMap;

use super::inline_policy::check_size;
use super::*;
use crate::iam_policy::{self, INLINE_POLICY_LIMIT};
use crate::model::{
    Access, Account, Alarm, BucketLocation, BucketName, Encryption, InlinePolicyName, OWNER_TAG,
    Role, RuleAddress, RuleElements,
};

fn role(policies: &[&str]) -> Role {
    let source = BucketName::parse("demo").unwrap();
    Role {
        name: RoleName::for_source(&source),
        arn: "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo".to_owned(),
        trust: iam_policy::trust().to_string(),
        boundary: None,
        tags: BTreeMap::from([(OWNER_TAG.to_owned(), source.to_string())]),
        policies: policies.iter().map(|name| ((*name).to_owned(), "{}".to_owned())).collect(),
        attached: Vec::new(),
    }
}

fn configuration(role: &str, rule_id: &str) -> ReplicationConfiguration {
    let rule = RuleElements {
        id: rule_id.to_owned(),
        destination_bucket: "arn:aws:s3:::x".to_owned(),
        ..RuleElements::default()
    };
    ReplicationConfiguration::new(role, &rule.into_rule().unwrap()).unwrap()
}

fn actions(plan: &Plan) -> Vec<&'static str> {
    plan.actions().map(Action::operation).collect()
}

#[test]
fn an_own_role_is_deleted_with_its_policies_when_its_bucket_is_deleted() {
    let source = BucketName::parse("demo").unwrap();
    let roles = |role| Roles { with_own_name: Some(role), serving: None };
    let own = role(&["s3-kms-replication.a", "s3-kms-replication.b"]);
    assert_eq!(
        actions(&clean_up_deleted_bucket(&source, &roles(own), Vec::new(), Vec::new())),
        ["DeleteRolePolicy", "DeleteRolePolicy", "DeleteRole"]
    );
    assert_eq!(
        actions(&clean_up_deleted_bucket(
            &source,
            &Roles { with_own_name: None, serving: None },
            Vec::new(),
            Vec::new()
        )),
        [""; 0]
    );
}

#[test]
fn a_role_stays_if_it_is_foreign_or_has_foreign_policies() {
    let source = BucketName::parse("demo").unwrap();
    let clean_up = |role| {
        clean_up_deleted_bucket(
            &source,
            &Roles { with_own_name: Some(role), serving: None },
            Vec::new(),
            Vec::new(),
        )
    };
    assert_eq!(
        actions(&clean_up(role(&["s3-kms-replication.a", "foreign"]))),
        ["DeleteRolePolicy"]
    );
    assert_eq!(
        actions(&clean_up(Role {
            attached: vec!["arn:aws:iam::aws:policy/Foreign".to_owned()],
            ..role(&[])
        })),
        [""; 0]
    );
    assert_eq!(
        actions(&clean_up(Role { tags: BTreeMap::new(), ..role(&["s3-kms-replication.a"]) })),
        [""; 0]
    );
}

#[test]
fn a_policy_in_a_foreign_role_is_deleted_even_if_an_own_role_exists() {
    let rule_address =
        RuleAddress { source: BucketName::parse("demo").unwrap(), id: RuleId::named("a").unwrap() };
    let in_foreign = InlinePolicyName::for_rule_in_foreign_role(&rule_address);
    let arn = "arn:aws:iam::111122223333:role/foreign";
    let foreign = Role {
        name: RoleName::from_arn(arn).unwrap(),
        arn: arn.to_owned(),
        tags: BTreeMap::new(),
        ..role(&[in_foreign.as_str(), "foreign"])
    };
    let location = BucketLocation {
        bucket: rule_address.source.clone(),
        region: Region::parse("us-east-1").unwrap(),
        owner: Account::parse("111122223333").unwrap(),
        access: Access::Own,
    };
    let replication = configuration(arn, "foreign");
    let roles =
        Roles { with_own_name: Some(role(&["s3-kms-replication.a"])), serving: Some(foreign) };
    let plan = delete(
        &rule_address,
        &DeleteSnapshot {
            source: Some((location, Some(replication))),
            roles,
            alarm: None,
            resource_policies: Vec::new(),
            job: None,
        },
    );
    let planned: Vec<String> = plan
        .actions()
        .map(|action| format!("{} {}", action.operation(), action.resource()))
        .collect();
    assert_eq!(
        planned,
        [
            "DeleteRolePolicy inline policy `s3-kms-replication.a` of role `s3-crr-demo`"
                .to_owned(),
            format!("DeleteRolePolicy inline policy `{in_foreign}` of role `foreign`"),
            "DeleteRole role `s3-crr-demo`".to_owned(),
        ]
    );
}

#[test]
fn inline_policies_of_a_role_have_at_most_10240_characters_in_total() {
    let document = iam_policy::trust();
    let rule = RuleId::named("a").unwrap();
    let (rule_policy, job_policy) =
        (InlinePolicyName::for_rule(&rule), InlinePolicyName::for_job(&rule));
    let length = document.to_string().len();
    let check = |others: usize, has_job: bool| {
        let mut role = role(&["foreign", rule_policy.as_str()]);
        // Neither white space nor the replaced policy is counted.
        role.policies.insert("foreign".to_owned(), format!("{} \n\t", "x".repeat(others)));
        let mut written = vec![(&rule_policy, &document)];
        written.extend(has_job.then_some((&job_policy, &document)));
        check_size(&role.name, Some(&role.policies), &written)
    };
    let room = INLINE_POLICY_LIMIT - length;
    assert_eq!(check(room, false), Ok(()));
    assert_eq!(check(room - length, true), Ok(()));
    assert!(check(room - length + 1, true).is_err());
    let (total, limit) = (INLINE_POLICY_LIMIT + 1, INLINE_POLICY_LIMIT);
    assert_eq!(
        check(room + 1, false),
        Err(Refusal::InlinePoliciesTooLong { role: role(&[]).name, total, limit })
    );
}

#[test]
fn a_change_is_displayed_with_its_sign_and_the_values_before_and_after() {
    let change = |before: Option<&str>, after: Option<&str>| {
        Change {
            path: "Prefix".to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
        .to_string()
    };
    assert_eq!(change(None, Some("")), "+ Prefix: \"\"");
    assert_eq!(change(Some(""), Some("a")), "~ Prefix: \"\" => a");
    assert_eq!(change(Some("a"), None), "- Prefix: a");
    let kms =
        |bucket_key| Encryption::Kms { key: Some("key".to_owned()), bucket_key, dual_layer: false };
    assert_eq!(
        [Encryption::S3, kms(false), kms(true)].map(|encryption| encryption.to_string()),
        ["SSE-S3", "KMS key", "KMS key with Bucket Key"]
    );
}

#[test]
fn the_changes_of_an_alarm_name_only_the_values_that_differ() {
    let alarm = Alarm {
        name: "demo/s3-kms-replication.a".to_owned(),
        region: Region::parse("us-east-1").unwrap(),
        namespace: "AWS/S3".to_owned(),
        metric: "OperationsFailedReplication".to_owned(),
        dimensions: BTreeMap::from([("RuleId".to_owned(), "a".to_owned())]),
        statistic: "Sum".to_owned(),
        period: 300,
        periods: 1,
        comparison: "GreaterThanThreshold".to_owned(),
        threshold: 0.0,
        missing_data: "notBreaching".to_owned(),
        actions: vec!["arn:aws:sns:us-east-1:111122223333:alarms".to_owned()],
        actions_enabled: false,
    };
    let enabled = Alarm { actions_enabled: true, ..alarm.clone() };
    let action =
        Action::PutAlarm { before: Some(Box::new(alarm.clone())), alarm: Box::new(enabled) };
    let changes =
        |action: &Action| action.changes().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(changes(&action), ["~ ActionsEnabled: false => true"]);
    let paths: Vec<String> = Action::DeleteAlarm { alarm: Box::new(alarm) }
        .changes()
        .into_iter()
        .map(|change| change.path)
        .collect();
    assert_eq!(
        paths,
        ["Metric", "Condition", "AlarmActions", "ActionsEnabled", "Dimensions.RuleId"]
    );
}

#[test]
fn the_deletion_of_the_last_rule_is_reflected_when_the_configuration_is_gone() {
    let before = configuration("r", "s3-kms-replication.a");
    let location = BucketLocation {
        bucket: BucketName::parse("demo").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        owner: Account::parse("111122223333").unwrap(),
        access: Access::Own,
    };
    let action = Action::DeleteReplication {
        location,
        before: before.clone(),
        rule: RuleId::named("a").unwrap(),
    };
    let Replaces::Replication(write) = action.replaces() else { panic!("{action}") };
    assert!(write.is_reflected_in(None) && !write.is_reflected_in(Some(&before)));
    assert!(write.precondition_holds(Some(&before)) && !write.precondition_holds(None));
}
