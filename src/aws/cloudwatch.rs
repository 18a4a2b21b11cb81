//! CloudWatch: the alarms on S3's replication metrics.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, ComparisonOperator, Dimension, MetricAlarm, Statistic};

use super::sdk_error::{self, Cause};
use crate::model::{Alarm, ApiError, Region};

/// The alarms with these names, at most a hundred, that exist.
pub(super) async fn alarms(
    client: &Client,
    names: &[String],
    region: &Region,
) -> Result<Vec<Alarm>, ApiError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = client
        .describe_alarms()
        .set_alarm_names(Some(names.to_vec()))
        .alarm_types(AlarmType::MetricAlarm)
        .max_records(100);
    let answer = request.send().await.map_err(|error| {
        sdk_error::of("DescribeAlarms", format!("alarm `{}`", names.join("`, `")), error)
    })?;
    Ok(answer
        .metric_alarms
        .unwrap_or_default()
        .into_iter()
        .map(|found| alarm(found, region.clone()))
        .collect())
}

fn alarm(found: MetricAlarm, region: Region) -> Alarm {
    let dimension = |dimension: Dimension| Some((dimension.name?, dimension.value?));
    Alarm {
        name: found.alarm_name.unwrap_or_default(),
        region,
        namespace: found.namespace.unwrap_or_default(),
        metric: found.metric_name.unwrap_or_default(),
        dimensions: found
            .dimensions
            .unwrap_or_default()
            .into_iter()
            .filter_map(dimension)
            .collect(),
        statistic: found.statistic.map(|statistic| statistic.to_string()).unwrap_or_default(),
        period: found.period.unwrap_or_default(),
        periods: found.evaluation_periods.unwrap_or_default(),
        comparison: found
            .comparison_operator
            .map(|operator| operator.to_string())
            .unwrap_or_default(),
        threshold: found.threshold.unwrap_or_default(),
        missing_data: found.treat_missing_data.unwrap_or_default(),
        actions: found.alarm_actions.unwrap_or_default(),
        actions_enabled: found.actions_enabled.unwrap_or_default(),
    }
}

pub(super) async fn put(client: &Client, alarm: &Alarm) -> Result<(), Cause> {
    let dimensions = alarm
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let request = client
        .put_metric_alarm()
        .alarm_name(&alarm.name)
        .alarm_description("S3 failed to replicate objects by this rule; made and removed with it by s3-kms-replication")
        .namespace(&alarm.namespace)
        .metric_name(&alarm.metric)
        .set_dimensions(Some(dimensions.collect()))
        .statistic(Statistic::from(alarm.statistic.as_str()))
        .period(alarm.period)
        .evaluation_periods(alarm.periods)
        .comparison_operator(ComparisonOperator::from(alarm.comparison.as_str()))
        .threshold(alarm.threshold)
        .treat_missing_data(&alarm.missing_data)
        .set_alarm_actions(Some(alarm.actions.clone()))
        .actions_enabled(alarm.actions_enabled);
    request.send().await?;
    Ok(())
}

/// An alarm that is gone is no error to CloudWatch.
pub(super) async fn delete(client: &Client, name: &str) -> Result<(), Cause> {
    client.delete_alarms().alarm_names(name).send().await?;
    Ok(())
}
