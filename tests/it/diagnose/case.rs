//! A case: a change of a setup that works, with the verdict and all findings after the change.

use s3_kms_replication::diagnose::Verdict::{Fails, Unknown, Works};

use super::*;

/// Changes a setup that works.
type Change = fn(&mut State);

pub struct Case {
    name: &'static str,
    change: Change,
    verdict: Verdict,
    pub findings: Vec<(Code, Severity)>,
}

impl Case {
    fn new(name: &'static str, change: Change, verdict: Verdict) -> Self {
        Self { name, change, verdict, findings: Vec::new() }
    }

    /// The same case with one more finding.
    pub fn finding(mut self, code: Code, severity: Severity) -> Self {
        self.findings.push((code, severity));
        self
    }
}

pub fn works(name: &'static str, change: Change) -> Case {
    Case::new(name, change, Works)
}

pub fn fails(name: &'static str, change: Change) -> Case {
    Case::new(name, change, Fails)
}

pub fn unknown(name: &'static str, change: Change) -> Case {
    Case::new(name, change, Unknown)
}

/// Makes the change of each case in a setup of its own, and fails with all diagnoses that are not as the cases say.
pub async fn assert_cases(
    working: &State,
    cases: impl IntoIterator<Item = Case>,
    access: &Access,
) -> Table {
    let (mut found, mut wrong) = (Table::default(), String::new());
    for Case { name, change, verdict, findings } in cases {
        let mut state = working.clone();
        change(&mut state);
        assert_ne!(state, *working, "{name}: nothing is changed");
        let diagnosis = diagnosed(state, access).await;
        if diagnosis.verdict != Some(verdict) || codes(&diagnosis) != findings {
            wrong += &format!("{name}, not {verdict:?} {findings:?}: {}\n", diagnosis.text);
        }
        found.add(name, diagnosis.text.trim_end());
    }
    assert!(wrong.is_empty(), "{wrong}");
    found
}
