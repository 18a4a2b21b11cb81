//! CloudWatch alarms.

use std::collections::BTreeMap;

use super::Region;

/// A CloudWatch alarm on one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Its name, of which a Region of an account has one.
    pub name: String,
    /// Its Region.
    pub region: Region,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric.
    pub metric: String,
    /// The metric's dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// CloudWatch's word for what is made of a period's values.
    pub statistic: String,
    /// Length of a period, in seconds.
    pub period: i32,
    /// How many periods in a row it takes.
    pub periods: i32,
    /// CloudWatch's word for how the statistic is compared to the threshold.
    pub comparison: String,
    /// The threshold.
    pub threshold: f64,
    /// CloudWatch's word for what a period without values means.
    pub missing_data: String,
    /// ARNs of the SNS topics, or of whatever else, that are told.
    pub actions: Vec<String>,
    /// Whether they are told at all.
    pub actions_enabled: bool,
}
