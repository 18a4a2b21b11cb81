use std::collections::BTreeMap;

use super::role::INLINE_POLICY_LIMIT;
use super::*;

fn role(policies: &[&str]) -> Role {
    let source = BucketName::parse("demo").unwrap();
    Role {
        name: RoleName::of_source(&source),
        arn: "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo".to_owned(),
        trust: grants::trust().to_string(),
        boundary: None,
        tags: BTreeMap::from([(OWNER_TAG.to_owned(), source.to_string())]),
        policies: policies.iter().map(|name| ((*name).to_owned(), "{}".to_owned())).collect(),
        attached: Vec::new(),
    }
}

fn actions(plan: &Plan) -> Vec<&'static str> {
    plan.steps().map(Step::action).collect()
}

#[test]
fn the_role_of_a_bucket_that_is_gone_goes_with_all_our_policies() {
    let source = BucketName::parse("demo").unwrap();
    let roles = |role| Roles { named_ours: Some(role), serving: None };
    let ours = role(&["s3-kms-replication.a", "s3-kms-replication.b"]);
    assert_eq!(actions(&retire(&source, &roles(ours), Vec::new(), Vec::new())), ["DeleteRolePolicy", "DeleteRolePolicy", "DeleteRole"]);
    assert_eq!(actions(&retire(&source, &Roles { named_ours: None, serving: None }, Vec::new(), Vec::new())), [""; 0]);
}

#[test]
fn a_role_that_others_use_or_own_stays() {
    let source = BucketName::parse("demo").unwrap();
    let retired = |role| retire(&source, &Roles { named_ours: Some(role), serving: None }, Vec::new(), Vec::new());
    assert_eq!(actions(&retired(role(&["s3-kms-replication.a", "theirs"]))), ["DeleteRolePolicy"]);
    assert_eq!(actions(&retired(Role { attached: vec!["arn:aws:iam::aws:policy/Theirs".to_owned()], ..role(&[]) })), [""; 0]);
    assert_eq!(actions(&retired(Role { tags: BTreeMap::new(), ..role(&["s3-kms-replication.a"]) })), [""; 0]);
}

#[test]
fn a_policy_in_a_role_of_others_goes_although_there_is_a_role_of_ours() {
    let ours = RuleAddress { source: BucketName::parse("demo").unwrap(), id: RuleId::named("a").unwrap() };
    let in_theirs = PolicyName::in_shared_role(&ours);
    let arn = "arn:aws:iam::111122223333:role/theirs";
    let theirs =
        Role { name: RoleName::of_arn(arn).unwrap(), arn: arn.to_owned(), tags: BTreeMap::new(), ..role(&[in_theirs.as_str(), "theirs"]) };
    let location = Location {
        bucket: ours.source.clone(),
        region: Region::parse("us-east-1").unwrap(),
        owner: crate::spec::Account::parse("111122223333").unwrap(),
        access: crate::spec::Access::Own,
    };
    let rule = ReplicationRule::builder()
        .id("theirs")
        .status(aws_sdk_s3::types::ReplicationRuleStatus::Enabled)
        .destination(aws_sdk_s3::types::Destination::builder().bucket("arn:aws:s3:::x").build().unwrap())
        .build()
        .unwrap();
    let replication = ReplicationConfiguration::builder().role(arn).rules(rule).build().unwrap();
    let roles = Roles { named_ours: Some(role(&["s3-kms-replication.a"])), serving: Some(theirs) };
    let plan = remove(&ours, &Remains { source: Some((location, Some(replication))), roles, alarm: None, policies: Vec::new(), job: None });
    let done: Vec<String> = plan.steps().map(|step| format!("{} {}", step.action(), step.resource())).collect();
    assert_eq!(
        done,
        [
            "DeleteRolePolicy inline policy `s3-kms-replication.a` of role `s3-crr-demo`".to_owned(),
            format!("DeleteRolePolicy inline policy `{in_theirs}` of role `theirs`"),
            "DeleteRole role `s3-crr-demo`".to_owned(),
        ]
    );
}

#[test]
fn ten_thousand_two_hundred_and_forty_characters_are_allowed_and_not_one_more() {
    let document = grants::trust();
    let rule = RuleId::named("a").unwrap();
    let name = PolicyName::of_rule(&rule);
    let room = INLINE_POLICY_LIMIT - document.to_string().len();
    let with = |length: usize, job: Option<&Step>| {
        let mut role = role(&["theirs", name.as_str()]);
        // White space is not counted, and neither is the policy that is replaced.
        role.policies.insert("theirs".to_owned(), format!("{} \n\t", "x".repeat(length)));
        check_policy_size(&ServingRole::Theirs(&role), &name, &document, job)
    };
    let rights = Step::PutRolePolicy { role: role(&[]).name, policy: PolicyName::of_job(&rule), was: None, document: document.clone() };
    assert_eq!(with(room, None), Ok(()));
    assert_eq!(with(room - document.to_string().len(), Some(&rights)), Ok(()));
    let total = INLINE_POLICY_LIMIT + 1;
    assert!(with(room - document.to_string().len() + 1, Some(&rights)).is_err());
    assert_eq!(with(room + 1, None), Err(Refusal::PoliciesTooLong { role: role(&[]).name, total, limit: INLINE_POLICY_LIMIT }));
}

#[test]
fn changes_are_said_in_words() {
    let change = |was: Option<&str>, will: Option<&str>| {
        Change { path: "Prefix".to_owned(), was: was.map(str::to_owned), will: will.map(str::to_owned) }.to_string()
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
#[expect(deprecated, reason = "a V1 rule has its prefix nowhere else")]
fn the_prefix_of_a_v1_rule_is_shown() {
    let destination = aws_sdk_s3::types::Destination::builder().bucket("arn:aws:s3:::x").build().unwrap();
    let rule =
        ReplicationRule::builder().prefix("logs/").status(aws_sdk_s3::types::ReplicationRuleStatus::Enabled).destination(destination);
    assert!(text::rule_lines(&rule.build().unwrap()).contains(&("Prefix".to_owned(), "logs/".to_owned())));
}

#[test]
fn what_changes_about_an_alarm_is_shown() {
    let alarm = Alarm {
        name: "demo/s3-kms-replication.a".to_owned(),
        region: crate::spec::Region::parse("us-east-1").unwrap(),
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
    let step = Step::PutAlarm { was: Some(Box::new(alarm.clone())), alarm: Box::new(enabled) };
    let changes = |step: &Step| step.changes().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(changes(&step), ["ActionsEnabled: false => true"]);
    let paths: Vec<String> = Step::DeleteAlarm { alarm: Box::new(alarm) }.changes().into_iter().map(|change| change.path).collect();
    assert_eq!(paths, ["Metric", "Condition", "AlarmActions", "ActionsEnabled", "Dimensions.RuleId"]);
}

#[test]
fn a_removed_rule_is_seen_to_be_gone() {
    let destination = aws_sdk_s3::types::Destination::builder().bucket("arn:aws:s3:::x").build().unwrap();
    let rule = ReplicationRule::builder().id("s3-kms-replication.a").status(aws_sdk_s3::types::ReplicationRuleStatus::Enabled);
    let was = ReplicationConfiguration::builder().role("r").rules(rule.destination(destination).build().unwrap()).build().unwrap();
    let location = Location {
        bucket: BucketName::parse("demo").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        owner: crate::spec::Account::parse("111122223333").unwrap(),
        access: Access::Own,
    };
    let step = Step::DeleteReplication { location, was: was.clone(), rule: RuleId::named("a").unwrap() };
    assert!(step.shows_in(None) && !step.shows_in(Some(&was)));
    assert!(step.replaces(Some(&was)) && !step.replaces(None));
}
