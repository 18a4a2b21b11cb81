//! The report of the job that replicates existing objects.

use super::{BucketName, Invalid, Properties, grantable_prefix};

/// S3's limit for the prefix of a report, in characters.
const MAX_PREFIX: usize = 512;

/// The place of a job's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// A bucket of the source's account.
    pub bucket: BucketName,
    /// Prefix of the report's objects, without the slash that S3 appends; empty for no prefix.
    pub prefix: String,
}

impl Report {
    /// Reads the report from `properties`; `None` if existing objects are not replicated.
    ///
    /// # Errors
    /// The property that cannot be accepted.
    pub fn from_properties(properties: &Properties) -> Result<Option<Self>, Invalid> {
        let flag = "ReplicateExistingObjects";
        let given = [
            ("ReportBucket", &properties.report_bucket),
            ("ReportPrefix", &properties.report_prefix),
        ];
        if properties.replicate_existing_objects != Some(true) {
            return match given.into_iter().find(|(_, value)| value.is_some()) {
                Some((property, _)) => Err(Invalid::new(property, format!("needs `{flag}`"))),
                None => Ok(None),
            };
        }
        let missing = || Invalid::new("ReportBucket", format!("is required with `{flag}`"));
        Self::place(properties, missing).map(Some)
    }

    /// Reads the report of a job that is requested for a rule that exists.
    ///
    /// # Errors
    /// The property that cannot be accepted.
    pub fn of_replay(properties: &Properties) -> Result<Self, Invalid> {
        Self::place(properties, || Invalid::new("ReportBucket", "is required"))
    }

    fn place(properties: &Properties, missing: impl FnOnce() -> Invalid) -> Result<Self, Invalid> {
        let bucket = properties.report_bucket.as_deref().ok_or_else(missing)?;
        let bucket = BucketName::parse_name_or_arn(bucket)
            .map_err(|problem| Invalid::new("ReportBucket", problem))?;
        let prefix = properties.report_prefix.as_deref().unwrap_or_default().trim_end_matches('/');
        match prefix.len() {
            _ if grantable_prefix(prefix) != prefix => Err(Invalid::new(
                "ReportPrefix",
                format!("is `{prefix}`; allowed are printable ASCII characters"),
            )),
            0..=MAX_PREFIX => Ok(Self { bucket, prefix: prefix.to_owned() }),
            length => Err(Invalid::new(
                "ReportPrefix",
                format!("has {length} characters; S3 allows at most {MAX_PREFIX}"),
            )),
        }
    }
}
