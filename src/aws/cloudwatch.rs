//! CloudWatch: the alarms on S3's replication metrics.
//!
//! It must not know when a rule has an alarm or what its thresholds are: [`crate::plan`] decides that.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, ComparisonOperator, Dimension, MetricAlarm, Statistic};

use super::sdk_error::{self, CallError};
use crate::model::{Alarm, ApiError, Region, RuleAddress};

/// Reads those of the alarms with these names that exist. CloudWatch takes 100 names at most.
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
    let response = request.send().await.map_err(|error| {
        sdk_error::api_error("DescribeAlarms", format!("alarm `{}`", names.join("`, `")), error)
    })?;
    Ok(response
        .metric_alarms
        .unwrap_or_default()
        .into_iter()
        .map(|alarm| from_sdk(alarm, region.clone()))
        .collect())
}

fn from_sdk(alarm: MetricAlarm, region: Region) -> Alarm {
    let name_and_value = |dimension: Dimension| Some((dimension.name?, dimension.value?));
    Alarm {
        name: alarm.alarm_name.unwrap_or_default(),
        region,
        namespace: alarm.namespace.unwrap_or_default(),
        metric: alarm.metric_name.unwrap_or_default(),
        dimensions: alarm
            .dimensions
            .unwrap_or_default()
            .into_iter()
            .filter_map(name_and_value)
            .collect(),
        statistic: alarm.statistic.map(|statistic| statistic.to_string()).unwrap_or_default(),
        period: alarm.period.unwrap_or_default(),
        periods: alarm.evaluation_periods.unwrap_or_default(),
        comparison: alarm
            .comparison_operator
            .map(|operator| operator.to_string())
            .unwrap_or_default(),
        threshold: alarm.threshold.unwrap_or_default(),
        missing_data: alarm.treat_missing_data.unwrap_or_default(),
        actions: alarm.alarm_actions.unwrap_or_default(),
        actions_enabled: alarm.actions_enabled.unwrap_or_default(),
    }
}

/// What the alarm says: the command that replicates the objects once more. CloudWatch takes 1,024 characters.
fn description(alarm: &Alarm) -> String {
    let replay = RuleAddress::parse(&alarm.name).map(|rule| {
        format!("; once the cause is mended, replicate them: {}", rule.replay_command(false))
    });
    format!(
        "S3 failed to replicate objects by this rule; made and removed with it by s3-kms-replication{}",
        replay.unwrap_or_default()
    )
}

/// Creates or replaces an alarm.
pub(super) async fn put(client: &Client, alarm: &Alarm) -> Result<(), CallError> {
    let dimensions = alarm
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let request = client
        .put_metric_alarm()
        .alarm_name(&alarm.name)
        .alarm_description(description(alarm))
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

/// Deletes an alarm. CloudWatch reports no error when it does not exist.
pub(super) async fn delete(client: &Client, name: &str) -> Result<(), CallError> {
    client.delete_alarms().alarm_names(name).send().await?;
    Ok(())
}
