//! The alarm on what a rule fails to replicate: made, kept right and taken away with the rule.

use s3_kms_replication::model::Retry;
use serde_json::json;

use crate::fake::Fake;
use crate::*;

const NAME: &str = "demo-source/s3-kms-replication.demo-Replication-a6e2a683";

fn alarm_of(fake: &Fake) -> Option<s3_kms_replication::model::Alarm> {
    fake.state.borrow().alarms.values().next().cloned()
}

fn deleted_bucket() -> Value {
    let mut deleted = sample("create-bucket");
    deleted["detail"]["eventName"] = json!("DeleteBucket");
    deleted["detail"]["requestParameters"]["bucketName"] = json!("demo-source");
    deleted
}

#[tokio::test]
async fn an_alarm_comes_and_goes_with_its_property_and_with_its_rule() {
    let fake = Fake::of(two_buckets());
    assert_eq!(create(&fake, json!({"AlarmTopicArn": TOPIC})).await["Status"], "SUCCESS");
    let alarm = alarm_of(&fake).unwrap();
    let dimensions = alarm
        .dimensions
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        dimensions,
        format!(
            "DestinationBucket=demo-destination RuleId={} SourceBucket=demo-source",
            NAME.split_once('/').unwrap().1
        )
    );
    assert_eq!(
        (alarm.name.as_str(), alarm.metric.as_str(), alarm.actions),
        (NAME, "OperationsFailedReplication", vec![TOPIC.to_owned()])
    );
    let position =
        |action: &str| fake.writes().iter().position(|call| call.starts_with(action)).unwrap();
    assert!(position("PutMetricAlarm") < position("PutBucketReplication"), "the rule comes last");

    ask(&fake, &custom_resource("Update", json!({}))).await.unwrap();
    assert_eq!(alarm_of(&fake), None);
    ask(&fake, &custom_resource("Update", json!({"AlarmTopicArn": TOPIC}))).await.unwrap();
    assert!(alarm_of(&fake).is_some());
    delete(&fake).await;
    assert_eq!(alarm_of(&fake), None);
}

#[tokio::test]
async fn an_alarm_that_was_changed_by_hand_is_repaired_and_one_that_is_right_is_left_alone() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    let right = alarm_of(&fake).unwrap();
    let writes = fake.writes().len();
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    assert_eq!(fake.writes().len(), writes);

    fake.state.borrow_mut().alarms.values_mut().for_each(|alarm| alarm.threshold = 100.0);
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    assert_eq!(alarm_of(&fake), Some(right));
}

#[tokio::test]
async fn an_alarm_that_could_never_ring_is_refused_before_anything_is_changed() {
    for (properties, reason) in [
        (
            json!({"AlarmTopicArn": TOPIC.replace("us-east-1", "us-west-2")}),
            "is not in us-east-1, the Region of bucket `demo-source`",
        ),
        (json!({"AlarmTopicArn": TOPIC, "Metrics": "false"}), "`AlarmTopicArn` needs `Metrics`"),
        (
            json!({"AlarmTopicArn": format!("{TOPIC}.fifo")}),
            "a standard SNS topic is named by its ARN",
        ),
    ] {
        let fake = Fake::of(two_buckets());
        let answer = create(&fake, properties).await;
        assert!(answer["Reason"].as_str().unwrap().contains(reason), "{answer}");
        assert_eq!(fake.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_alarms_of_a_deleted_bucket_go_with_its_role() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    ask(&fake, &deleted_bucket()).await.unwrap();
    assert_eq!((alarm_of(&fake), fake.state.borrow().roles.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn no_alarm_outlives_its_rule_whatever_fails_when_the_bucket_is_deleted() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    fake.refusals.set(Some(("DeleteAlarms", 1, "AccessDenied", Retry::Never)));
    let deleted = deleted_bucket();
    let _ = ask(&fake, &deleted).await;
    assert!(alarm_of(&fake).is_some());
    ask(&fake, &deleted).await.unwrap();
    assert_eq!((alarm_of(&fake), fake.state.borrow().roles.len()), (None, 0));
}

#[tokio::test]
async fn an_alarm_goes_with_its_resource_when_rule_and_role_were_removed_by_hand() {
    let fake = Fake::of(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().roles.clear();
    fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().replication = None;
    delete(&fake).await;
    assert_eq!(alarm_of(&fake), None);
}

#[tokio::test]
async fn a_bucket_without_an_alarm_to_think_of_costs_cloudwatch_no_call() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("create-bucket")).await.unwrap();
    assert!(!fake.calls.borrow().iter().any(|call| call.starts_with("DescribeAlarms")));
}
