//! Findings: what a diagnosis says is wrong, why it says so, and how to mend it.

use serde::Serialize;

pub use super::code::Code;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// No object that is written now is replicated.
    FailsNow,
    /// Objects of a kind that the message names are not replicated, or not wholly.
    FailsForSome,
    /// Objects are replicated now, and will not be after a change that the message names.
    WillFail,
    /// Replication works as it is set up. The setup may not be what its owner means.
    Note,
}

impl Severity {
    /// Whether S3 fails objects now.
    pub fn is_failure(self) -> bool {
        match self {
            Self::FailsNow | Self::FailsForSome => true,
            Self::WillFail | Self::Note => false,
        }
    }

    /// The severity in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::FailsNow => "fails now",
            Self::FailsForSome => "fails for some objects",
            Self::WillFail => "will fail",
            Self::Note => "note",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Finding {
    /// What is wrong.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What was read that shows it, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// The failure code that S3 gives for it in events and reports, if it gives one.
    #[serde(rename = "S3FailureCode", skip_serializing_if = "Option::is_none")]
    pub s3_failure_code: Option<&'static str>,
    /// What mends it: a sentence, a line of this program, or a statement to paste.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// A finding without evidence, failure code and fix.
    pub(super) fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, severity, message, evidence: Vec::new(), s3_failure_code: None, fix: None }
    }

    /// This finding with a line of evidence.
    pub(super) fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// This finding with S3's failure code.
    pub(super) fn s3(mut self, code: &'static str) -> Self {
        self.s3_failure_code = Some(code);
        self
    }

    /// This finding with what mends it.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
