use std::collections::BTreeMap;

use super::role::INLINE_POLICY_LIMIT;
use super::role::check_size;
use super::*;
use crate::iam_policy;
use crate::model::{
    Access, Account, Alarm, BucketName, Encryption, Location, OWNER_TAG, PolicyName, Role,
    RuleAddress, RuleElements,
};

fn role(policies: &[&str]) -> Role {
    let source = BucketName::parse("demo").unwrap();
    Role {
        name: RoleName::of_source(&source),
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
fn the_role_of_a_bucket_that_is_gone_goes_with_all_our_policies() {
    let source = BucketName::parse("demo").unwrap();
    let roles = |role| Roles { named_ours: Some(role), serving: None };
    let ours = role(&["s3-kms-replication.a", "s3-kms-replication.b"]);
    assert_eq!(
        actions(&clean_up_deleted_bucket(&source, &roles(ours), Vec::new(), Vec::new())),
        ["DeleteRolePolicy", "DeleteRolePolicy", "DeleteRole"]
    );
    assert_eq!(
        actions(&clean_up_deleted_bucket(
            &source,
            &Roles { named_ours: None, serving: None },
            Vec::new(),
            Vec::new()
        )),
        [""; 0]
    );
}

#[test]
fn a_role_that_others_use_or_own_stays() {
    let source = BucketName::parse("demo").unwrap();
    let retired = |role| {
        clean_up_deleted_bucket(
            &source,
            &Roles { named_ours: Some(role), serving: None },
            Vec::new(),
            Vec::new(),
        )
    };
    assert_eq!(actions(&retired(role(&["s3-kms-replication.a", "theirs"]))), ["DeleteRolePolicy"]);
    assert_eq!(
        actions(&retired(Role {
            attached: vec!["arn:aws:iam::aws:policy/Theirs".to_owned()],
            ..role(&[])
        })),
        [""; 0]
    );
    assert_eq!(
        actions(&retired(Role { tags: BTreeMap::new(), ..role(&["s3-kms-replication.a"]) })),
        [""; 0]
    );
}

#[test]
fn a_policy_in_a_role_of_others_goes_although_there_is_a_role_of_ours() {
    let ours =
        RuleAddress { source: BucketName::parse("demo").unwrap(), id: RuleId::named("a").unwrap() };
    let in_theirs = PolicyName::in_foreign_role(&ours);
    let arn = "arn:aws:iam::111122223333:role/theirs";
    let theirs = Role {
        name: RoleName::of_arn(arn).unwrap(),
        arn: arn.to_owned(),
        tags: BTreeMap::new(),
        ..role(&[in_theirs.as_str(), "theirs"])
    };
    let location = Location {
        bucket: ours.source.clone(),
        region: Region::parse("us-east-1").unwrap(),
        owner: Account::parse("111122223333").unwrap(),
        access: Access::Own,
    };
    let replication = configuration(arn, "theirs");
    let roles = Roles { named_ours: Some(role(&["s3-kms-replication.a"])), serving: Some(theirs) };
    let plan = delete(
        &ours,
        &DeleteSnapshot {
            source: Some((location, Some(replication))),
            roles,
            alarm: None,
            policies: Vec::new(),
            job: None,
        },
    );
    let done: Vec<String> = plan
        .actions()
        .map(|action| format!("{} {}", action.operation(), action.resource()))
        .collect();
    assert_eq!(
        done,
        [
            "DeleteRolePolicy inline policy `s3-kms-replication.a` of role `s3-crr-demo`"
                .to_owned(),
            format!("DeleteRolePolicy inline policy `{in_theirs}` of role `theirs`"),
            "DeleteRole role `s3-crr-demo`".to_owned(),
        ]
    );
}

#[test]
fn inline_policies_have_at_most_10240_characters_together() {
    let document = iam_policy::trust();
    let rule = RuleId::named("a").unwrap();
    let (of_rule, of_job) = (PolicyName::of_rule(&rule), PolicyName::of_job(&rule));
    let length = document.to_string().len();
    let with = |others: usize, has_job: bool| {
        let mut role = role(&["theirs", of_rule.as_str()]);
        // White space is not counted, and neither is the policy that is replaced.
        role.policies.insert("theirs".to_owned(), format!("{} \n\t", "x".repeat(others)));
        let mut written = vec![(&of_rule, &document)];
        written.extend(has_job.then_some((&of_job, &document)));
        check_size(&role.name, Some(&role.policies), &written)
    };
    let room = INLINE_POLICY_LIMIT - length;
    assert_eq!(with(room, false), Ok(()));
    assert_eq!(with(room - length, true), Ok(()));
    assert!(with(room - length + 1, true).is_err());
    let (total, limit) = (INLINE_POLICY_LIMIT + 1, INLINE_POLICY_LIMIT);
    assert_eq!(
        with(room + 1, false),
        Err(Refusal::PoliciesTooLong { role: role(&[]).name, total, limit })
    );
}

#[test]
fn changes_are_said_in_words() {
    let change = |before: Option<&str>, after: Option<&str>| {
        Change {
            path: "Prefix".to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
        .to_string()
    };
    assert_eq!(change(None, Some("")), "Prefix: (none) => \"\"");
    assert_eq!(change(Some("a"), None), "Prefix: a => (none)");
    let kms = |bucket_key| Encryption::Kms { key: Some("key".to_owned()), bucket_key };
    assert_eq!(
        [Encryption::S3, kms(false), kms(true)].map(|encryption| encryption.to_string()),
        ["SSE-S3", "KMS key", "KMS key with Bucket Key"]
    );
}

#[test]
fn what_changes_about_an_alarm_is_shown() {
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
    assert_eq!(changes(&action), ["ActionsEnabled: false => true"]);
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
fn a_removed_rule_is_seen_to_be_gone() {
    let was = configuration("r", "s3-kms-replication.a");
    let location = Location {
        bucket: BucketName::parse("demo").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        owner: Account::parse("111122223333").unwrap(),
        access: Access::Own,
    };
    let action = Action::DeleteReplication {
        location,
        before: was.clone(),
        rule: RuleId::named("a").unwrap(),
    };
    let Replaces::Replication(write) = action.replaces() else { panic!("{action}") };
    assert!(write.is_reflected_in(None) && !write.is_reflected_in(Some(&was)));
    assert!(write.precondition_holds(Some(&was)) && !write.precondition_holds(None));
}
