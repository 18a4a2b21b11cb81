//! Catch-ups: the message by which the function asks itself to look for objects that a rule has missed.

use serde_json::{Map, Value, json};

use super::{BucketName, Invalid, Object, Properties, Report, RuleAddress, RuleId};

/// A look for objects that a rule has missed, some time after the rule was made or repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// The rule.
    pub rule: RuleAddress,
    /// When the rule was about to be made or repaired, in seconds since the epoch.
    pub time: u64,
    /// Whether the rule is new, so that no version older than `time` was replicated by it.
    pub is_new: bool,
    /// The place of the report of a job for what was missed; `None` if nobody asked for a job.
    pub report: Option<Report>,
    /// Whether something was pending before, so that nothing is waited for any more.
    pub is_second: bool,
}

impl CatchUp {
    /// The value of `Action` in the message.
    pub const ACTION: &str = "CatchUp";

    /// The message.
    pub fn to_message(&self) -> String {
        let Self { rule, time, is_new, report, is_second } = self;
        let mut message = json!({
            "Action": Self::ACTION,
            "SourceBucket": rule.source,
            "RuleId": rule.id,
            "Time": time,
            "IsNew": is_new,
            "IsSecond": is_second,
        });
        if let (Some(Report { bucket, prefix }), Some(message)) = (report, message.as_object_mut())
        {
            message.insert("ReportBucket".to_owned(), json!(bucket));
            message.insert("ReportPrefix".to_owned(), json!(prefix));
        }
        message.to_string()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The property that cannot be accepted.
    pub fn parse(message: &Map<String, Value>) -> Result<Self, Invalid> {
        let missing = |property: &'static str| move || Invalid::new(property, "is required");
        let mut reader = Object::new(message);
        reader.take("Action");
        let source = reader.text("SourceBucket")?.ok_or_else(missing("SourceBucket"))?;
        let source =
            BucketName::parse(&source).map_err(|problem| Invalid::new("SourceBucket", problem))?;
        let id = reader.text("RuleId")?.ok_or_else(missing("RuleId"))?;
        let id = RuleId::parse(&id).ok_or_else(|| {
            Invalid::new("RuleId", format!("is `{id}`, which is no rule of ours"))
        })?;
        let time = reader.integer("Time")?.and_then(|time| u64::try_from(time).ok());
        let catch_up = Self {
            rule: RuleAddress { source, id },
            time: time.ok_or_else(missing("Time"))?,
            is_new: reader.boolean("IsNew")?.ok_or_else(missing("IsNew"))?,
            is_second: reader.boolean("IsSecond")?.ok_or_else(missing("IsSecond"))?,
            report: match reader.text("ReportBucket")? {
                None => None,
                report_bucket => Some(Report::of_replay(&Properties {
                    report_bucket,
                    report_prefix: reader.text("ReportPrefix")?,
                    ..Properties::default()
                })?),
            },
        };
        reader.finish()?;
        Ok(catch_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CatchUp, Invalid> {
        CatchUp::parse(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap())
    }

    #[test]
    fn message_is_read_as_it_was_written() {
        let rule = RuleAddress::parse("orders/s3-kms-replication.dr").unwrap();
        let report = |prefix: &str| Report {
            bucket: BucketName::parse("reports").unwrap(),
            prefix: prefix.to_owned(),
        };
        for (report, is_new, is_second) in [
            (None, true, false),
            (Some(report("")), false, true),
            (Some(report("crr")), true, true),
        ] {
            let catch_up = CatchUp { rule: rule.clone(), time: 5, is_new, report, is_second };
            assert_eq!(read(&catch_up.to_message()), Ok(catch_up));
        }
    }

    #[test]
    fn message_that_this_program_does_not_write_is_refused() {
        let whole = json!({"Action": "CatchUp", "SourceBucket": "orders", "RuleId": "s3-kms-replication.dr", "Time": 5, "IsNew": true, "IsSecond": false});
        for (property, value) in [
            ("SourceBucket", json!(null)),
            ("SourceBucket", json!("Or_ders")),
            ("RuleId", json!("theirs")),
            ("Time", json!(-1)),
            ("IsNew", json!("perhaps")),
            ("IsSecond", json!(null)),
            ("ReportBucket", json!("R")),
            ("Prefix", json!("x")),
        ] {
            let mut message = whole.clone();
            message[property] = value;
            assert_eq!(read(&message.to_string()).unwrap_err().property, property);
        }
    }
}
