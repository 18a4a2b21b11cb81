//! The alarm on failed replication. S3 reports failures only in the metric and in each object's status.
//!
//! It must not know how CloudWatch is called.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html>: S3 publishes the metric in the source bucket's Region.

use std::collections::BTreeMap;

use super::{Action, ApplySnapshot, Refusal};
use crate::model::{Alarm, TopicArn};
use crate::spec::Spec;

/// The action that creates, updates or deletes the alarm; `None` if the alarm is right.
pub(super) fn action(spec: &Spec, snapshot: &ApplySnapshot) -> Result<Option<Action>, Refusal> {
    let region = &snapshot.source.location.region;
    let before = snapshot.alarm.clone();
    let Some(topic) = &spec.alarm_topic else {
        return Ok(before.map(|alarm| Action::DeleteAlarm { alarm: Box::new(alarm) }));
    };
    if topic.region() != region {
        return Err(Refusal::TopicInOtherRegion {
            topic: topic.to_string(),
            bucket: spec.rule.source.clone(),
            region: region.clone(),
        });
    }
    let alarm = wanted(spec, topic);
    Ok((before.as_ref() != Some(&alarm))
        .then(|| Action::PutAlarm { before: before.map(Box::new), alarm: Box::new(alarm) }))
}

/// The alarm, which notifies of one or more failed operations in five minutes.
fn wanted(spec: &Spec, topic: &TopicArn) -> Alarm {
    let dimensions = [
        ("SourceBucket", spec.rule.source.to_string()),
        ("DestinationBucket", spec.destination.to_string()),
        ("RuleId", spec.rule.id.to_string()),
    ];
    Alarm {
        name: spec.rule.to_string(),
        region: topic.region().clone(),
        namespace: "AWS/S3".to_owned(),
        metric: "OperationsFailedReplication".to_owned(),
        dimensions: dimensions
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        statistic: "Sum".to_owned(),
        period: 300,
        periods: 1,
        comparison: "GreaterThanThreshold".to_owned(),
        threshold: 0.0,
        missing_data: "notBreaching".to_owned(),
        actions: vec![topic.to_string()],
        actions_enabled: true,
    }
}
