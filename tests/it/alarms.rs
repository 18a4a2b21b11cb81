//! The alarm on what a rule fails to replicate: created, repaired and deleted with the rule.

use s3_kms_replication::model::{Alarm, Retry};
use serde_json::json;

use crate::support::*;

const NAME: &str = "demo-source/s3-kms-replication.demo-Replication-a6e2a683";

fn alarm_of(fake: &Fake) -> Option<Alarm> {
    fake.state.borrow().alarms.values().next().cloned()
}

#[tokio::test]
async fn alarm_is_created_and_deleted_with_its_property_and_its_rule() {
    let fake = Fake::new(two_buckets());
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
    assert!(
        fake.position("PutMetricAlarm") < fake.position("PutBucketReplication"),
        "the rule is written last"
    );

    invoke(&fake, &custom_resource("Update", json!({}))).await.unwrap();
    assert_eq!(alarm_of(&fake), None);
    invoke(&fake, &custom_resource("Update", json!({"AlarmTopicArn": TOPIC}))).await.unwrap();
    assert!(alarm_of(&fake).is_some());
    delete(&fake).await;
    assert_eq!(alarm_of(&fake), None);
}

#[tokio::test]
async fn invariant_3_changed_alarm_is_repaired_and_unchanged_alarm_is_not_written() {
    let fake = Fake::new(two_buckets());
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
async fn invariant_9_alarm_that_could_never_fire_is_refused_without_writes() {
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
        let fake = Fake::new(two_buckets());
        let answer = create(&fake, properties).await;
        assert!(answer["Reason"].as_str().unwrap().contains(reason), "{answer}");
        assert_eq!(fake.writes(), []);
    }
}

#[tokio::test]
async fn deleted_bucket_loses_its_alarms_and_its_role() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    invoke(&fake, &deleted_demo_source()).await.unwrap();
    assert_eq!((alarm_of(&fake), fake.state.borrow().roles.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_alarm_of_a_deleted_bucket_is_deleted_on_the_next_event_after_a_failure() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().buckets.remove("demo-source");
    fake.refuse("DeleteAlarms", 1, "AccessDenied", Retry::Never);
    let deleted = deleted_demo_source();
    let _ = invoke(&fake, &deleted).await;
    assert!(alarm_of(&fake).is_some());
    invoke(&fake, &deleted).await.unwrap();
    assert_eq!((alarm_of(&fake), fake.state.borrow().roles.len()), (None, 0));
}

#[tokio::test]
async fn invariant_4_delete_removes_the_alarm_when_rule_and_role_are_already_gone() {
    let fake = Fake::new(two_buckets());
    create(&fake, json!({"AlarmTopicArn": TOPIC})).await;
    fake.state.borrow_mut().roles.clear();
    fake.state.borrow_mut().bucket_mut("demo-source").replication = None;
    delete(&fake).await;
    assert_eq!(alarm_of(&fake), None);
}

#[tokio::test]
async fn bucket_without_an_alarm_causes_no_cloudwatch_call() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("create-bucket")).await.unwrap();
    assert_eq!(fake.count("DescribeAlarms"), 0);
}
