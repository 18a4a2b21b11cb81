//! CloudWatch alarms.

use std::collections::BTreeMap;

use super::Region;

/// A CloudWatch alarm on one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Its name, which is unique in an account and a Region.
    pub name: String,
    /// Its Region.
    pub region: Region,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric.
    pub metric: String,
    /// The metric's dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// CloudWatch's name of the statistic over a period, such as `Sum`.
    pub statistic: String,
    /// Length of a period, in seconds.
    pub period: i32,
    /// The number of consecutive periods that must cross the threshold.
    pub periods: i32,
    /// CloudWatch's name of the comparison with the threshold, such as `GreaterThanThreshold`.
    pub comparison: String,
    /// The threshold.
    pub threshold: f64,
    /// CloudWatch's name of the treatment of periods without values, such as `notBreaching`.
    pub missing_data: String,
    /// ARNs of the SNS topics and other targets that the alarm notifies.
    pub actions: Vec<String>,
    /// Whether the alarm notifies its targets.
    pub actions_enabled: bool,
}
