//! The verdict about a rule and the answer about a bucket.

use std::fmt;
use std::fmt::Write;

use serde::Serialize;

use super::evidence::Unread;
use super::finding::{Finding, Severity};

/// What a diagnosis does not examine unless IAM's simulator is asked.
pub const NOT_EXAMINED: [&str; 2] = ["service control policies (SCPs)", NOT_SIMULATED[0]];

/// What a diagnosis never examines.
pub(super) const NOT_SIMULATED: [&str; 1] = ["resource control policies (RCPs)"];

/// Whether a rule replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Something that was seen makes S3 fail objects.
    Fails,
    /// What could not be read decides.
    Unknown,
    /// Everything but SCPs and RCPs was read, and allows objects that are written now under the bucket's default encryption.
    Works,
}

impl Verdict {
    /// The verdict from what was found and what could not be read.
    pub fn of(findings: &[Finding], unread: &[Unread]) -> Self {
        if findings.iter().any(|finding| finding.severity.is_failure()) {
            Self::Fails
        } else if unread.iter().all(|unread| !unread.decides) {
            Self::Works
        } else {
            Self::Unknown
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fails => "fails",
            Self::Unknown => "unknown",
            Self::Works => "works",
        })
    }
}

/// The diagnosis of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleDiagnosis {
    /// The rule's `ID`; empty if it has none.
    pub rule_id: String,
    /// The destination bucket, as the rule names it.
    pub destination_bucket_arn: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The findings, the most severe first.
    pub findings: Vec<Finding>,
    /// What could not be read, or does not decide.
    pub unread: Vec<Unread>,
}

impl RuleDiagnosis {
    pub(super) fn new(
        rule_id: String,
        destination_bucket_arn: String,
        mut findings: Vec<Finding>,
        mut unread: Vec<Unread>,
    ) -> Self {
        findings.sort_by_key(|finding| (finding.severity, finding.code));
        unread.sort();
        unread.dedup();
        let verdict = Verdict::of(&findings, &unread);
        Self { rule_id, destination_bucket_arn, verdict, findings, unread }
    }

    /// The first finding, or else what could not be read, as one line; empty if everything is right.
    pub fn summary(&self) -> String {
        let finding = self.findings.iter().find(|finding| finding.severity != Severity::Note);
        let unread = self.unread.iter().find(|unread| unread.decides);
        match (finding, unread) {
            (Some(finding), _) => format!("{}: {}", finding.code, finding.message),
            (None, Some(unread)) => unread.to_string(),
            (None, None) => String::new(),
        }
    }
}

/// The diagnosis of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Diagnosis {
    /// The source bucket.
    pub source_bucket: String,
    /// The worst verdict of the rules; a bucket without rules has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The rules, in order.
    pub rules: Vec<RuleDiagnosis>,
    /// Why there are no rules, if the bucket's replication configuration could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// What a diagnosis does not examine.
    pub not_examined: &'static [&'static str],
    /// The answer for a person.
    pub text: String,
}

impl Diagnosis {
    /// A diagnosis of these rules.
    pub fn new(
        source_bucket: String,
        rules: Vec<RuleDiagnosis>,
        not_examined: &'static [&'static str],
    ) -> Self {
        let verdict = rules.iter().map(|rule| rule.verdict).min();
        Self { verdict, rules, not_examined, ..Self::empty(source_bucket) }.with_text()
    }

    /// The diagnosis of a bucket whose replication configuration could not be read.
    pub fn unread(source_bucket: String, unread: Unread) -> Self {
        let (verdict, unread) = (Some(Verdict::Unknown), vec![unread]);
        Self { verdict, unread, ..Self::empty(source_bucket) }.with_text()
    }

    fn empty(source_bucket: String) -> Self {
        Self {
            source_bucket,
            verdict: None,
            rules: Vec::new(),
            unread: Vec::new(),
            not_examined: &NOT_EXAMINED,
            text: String::new(),
        }
    }

    fn with_text(mut self) -> Self {
        let bucket = &self.source_bucket;
        let mut text = String::new();
        for rule in &self.rules {
            rule.write(&mut text, bucket);
        }
        if let Some(verdict) = self.verdict.filter(|_| self.rules.is_empty()) {
            let _ = writeln!(text, "bucket `{bucket}`: {verdict}");
            write_unread(&mut text, &self.unread);
        }
        if self.verdict.is_none() {
            let _ = writeln!(text, "bucket `{bucket}` has no replication rule");
        } else {
            let _ = writeln!(text, "not examined: {}", self.not_examined.join(", "));
        }
        self.text = text;
        self
    }
}

impl RuleDiagnosis {
    fn write(&self, text: &mut String, bucket: &str) {
        let name = if self.rule_id.is_empty() { "without an id" } else { &self.rule_id };
        let _ = writeln!(
            text,
            "rule `{name}` of bucket `{bucket}` to `{}`: {}",
            self.destination_bucket_arn, self.verdict
        );
        self.findings.iter().for_each(|finding| write_finding(text, finding));
        write_unread(text, &self.unread);
        text.push('\n');
    }
}

fn write_unread(text: &mut String, unread: &[Unread]) {
    for (decides, heading) in [(true, "not known, and needed"), (false, "not known")] {
        for unread in unread.iter().filter(|unread| unread.decides == decides) {
            let _ = writeln!(text, "  {heading}: {unread}");
        }
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    let _ = writeln!(text, "  {} ({}): {}", finding.code, finding.severity.text(), finding.message);
    for line in &finding.evidence {
        let _ = writeln!(text, "    seen: {line}");
    }
    if let Some(code) = finding.s3_failure_code {
        let _ = writeln!(text, "    S3's failure code: {code}");
    }
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "    fix: {}", fix.replace('\n', "\n      "));
    }
}
