//! Faults of the rule.

use super::*;

/// Takes this prefix for the rule.
fn prefix(state: &mut State, prefix: &str) {
    let filter = format!("<Filter><Prefix>{prefix}</Prefix></Filter>");
    state.edit_replication("demo-source", "<Filter/>", &filter);
}

pub fn faults() -> Vec<Case> {
    vec![
        fails("rule is disabled", |state| {
            let status = |status: &str| format!("<Status>{status}</Status><SourceSel");
            state.edit_replication("demo-source", &status("Enabled"), &status("Disabled"));
        })
        .finding(RuleDisabled, FailsNow),
        fails("rule does not select KMS objects", |state| {
            state.remove_element("demo-source", "SourceSelectionCriteria");
        })
        .finding(KmsObjectsNotSelected, FailsNow),
        fails("prefix begins with a slash", |state| prefix(state, "/Tax/"))
            .finding(PrefixMatchesNothing, FailsNow),
        fails("prefix has a wildcard", |state| prefix(state, "logs/*"))
            .finding(PrefixMatchesNothing, FailsNow),
        works("prefix begins with a slash, and the bucket is empty", |state| {
            state.bucket_mut("demo-source").samples.clear();
            prefix(state, "/Tax/");
        })
        .finding(PrefixMatchesNothing, WillFail),
        works("prefix selects no object yet", |state| prefix(state, "Tax/"))
            .finding(PrefixMatchesNothing, Note),
    ]
}
