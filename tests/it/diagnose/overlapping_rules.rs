//! Two rules that select the same objects.

use s3_kms_replication::diagnose::Code::RuleOverridden;
use s3_kms_replication::diagnose::Severity::Note;
use s3_kms_replication::diagnose::Verdict::{Unknown, Works};

use super::*;

/// Adds a rule of a higher priority, which is the present one with this change.
fn add_rule(state: &mut State, change: impl Fn(String) -> String) {
    let rule = state.rules("demo-source")[0].xml().to_owned();
    let other =
        rule.replace("<ID>theirs</ID>", "<ID>other</ID>").replace("<Priority>1<", "<Priority>2<");
    state.edit_replication("demo-source", &rule, &format!("{rule}{}", change(other)));
}

/// The verdict and the findings of each rule.
fn by_rule(diagnosis: &Diagnosis) -> Vec<(Verdict, Vec<(Code, Severity)>)> {
    let rules = diagnosis.rules.iter();
    rules
        .map(|rule| {
            let findings = rule.findings.iter();
            (rule.verdict, findings.map(|finding| (finding.code, finding.severity)).collect())
        })
        .collect()
}

#[tokio::test]
async fn rule_that_another_rule_overrides_is_noted() {
    let mut state = working().await;
    add_rule(&mut state, |rule| rule);
    let diagnosis = diagnosed(state, &Access::Own).await;
    let expected = [(Works, vec![(RuleOverridden, Note)]), (Works, vec![])];
    assert_eq!(by_rule(&diagnosis), expected, "{}", diagnosis.text);
}

#[tokio::test]
async fn rule_that_alone_selects_kms_objects_is_undecided_with_the_lower_priority() {
    let mut state = working().await;
    add_rule(&mut state, |rule| {
        let selected = "<SseKmsEncryptedObjects><Status>Enabled";
        assert!(rule.contains(selected), "{rule}");
        rule.replace(selected, "<SseKmsEncryptedObjects><Status>Disabled")
    });
    let diagnosis = diagnosed(state, &Access::Own).await;
    let expected = [(Unknown, vec![(RuleOverridden, Note)]), (Unknown, vec![])];
    assert_eq!(by_rule(&diagnosis), expected, "{}", diagnosis.text);
}
