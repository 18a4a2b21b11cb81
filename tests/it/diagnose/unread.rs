//! Reads that fail, and bad input: a clear line each, never silence.

use std::fmt::Write;

use s3_kms_replication::model::Retry;

use super::*;

#[tokio::test]
async fn invariant_10_denied_read_of_what_decides_makes_the_verdict_unknown_and_names_the_right() {
    let mut working = working().await;
    let arn = "arn:aws:iam::111122223333:policy/more";
    working.role_mut(OWN_ROLE_NAME).attached.push(arn.to_owned());
    working.managed_policies.insert(arn.to_owned(), r#"{"Statement":[]}"#.to_owned());
    let fake = Fake::new(working.clone());
    assert_works(&try_diagnose(&fake, "demo-source", None, &Access::Own).await.unwrap());
    let operations: std::collections::BTreeSet<&str> =
        fake.reads().iter().map(|call| call.operation).collect();
    let mut rights = String::new();
    for operation in operations {
        if ["GetCallerIdentity", "HeadObject", "ListObjectsV2", "GetMetricData"]
            .contains(&operation)
        {
            continue;
        }
        let fake = Fake::new(working.clone());
        fake.refuse(operation, 100, "AccessDenied", Retry::Never);
        let diagnosis = try_diagnose(&fake, "demo-source", None, &Access::Own).await.unwrap();
        assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{operation}: {}", diagnosis.text);
        for rule in &diagnosis.rules {
            assert!(rule.findings.is_empty(), "{operation}: {}", diagnosis.text);
        }
        writeln!(rights, "{operation}").unwrap();
        for line in diagnosis.text.lines().filter(|line| line.contains("not known")) {
            writeln!(rights, "{line}").unwrap();
        }
    }
    insta::assert_snapshot!(rights);
}

#[tokio::test]
async fn denied_sample_or_metrics_decide_nothing_and_are_named() {
    for operation in ["HeadObject", "ListObjectsV2", "GetMetricData"] {
        let fake = Fake::new(working().await);
        fake.refuse(operation, 100, "AccessDenied", Retry::Never);
        let diagnosis = try_diagnose(&fake, "demo-source", None, &Access::Own).await.unwrap();
        assert_eq!(diagnosis.verdict, Some(Verdict::Works), "{operation}: {}", diagnosis.text);
        assert!(diagnosis.text.contains("not known"), "{operation}: {}", diagnosis.text);
    }
}

#[tokio::test]
async fn policy_that_cannot_be_parsed_makes_the_verdict_unknown() {
    for text in ["{", "[]", r#"{"Statement":[{"Effect":"Maybe","Action":"*"}]}"#] {
        let mut state = working().await;
        text.clone_into(inline_policy(&mut state));
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
        assert!(diagnosis.text.contains("inline policy"), "{}", diagnosis.text);
    }
}

#[tokio::test]
async fn bucket_or_rule_that_does_not_exist_is_an_error() {
    let fake = Fake::new(working().await);
    let error = try_diagnose(&fake, "demo-nothing", None, &Access::Own).await.unwrap_err();
    assert!(error.to_string().contains("`demo-nothing`"), "{error}");
    let error =
        try_diagnose(&fake, "demo-source", Some("nothing"), &Access::Own).await.unwrap_err();
    assert_eq!(error.to_string(), "`RuleId` is `nothing`; the bucket's rules are `theirs`");
    let error =
        try_diagnose(&fake, "prod-orders", Some("nothing"), &Access::Own).await.unwrap_err();
    assert_eq!(error.to_string(), "`RuleId` is `nothing`; the bucket has no rule");
}

#[tokio::test]
async fn bucket_without_rules_has_no_verdict() {
    let fake = Fake::new(working().await);
    let diagnosis = try_diagnose(&fake, "prod-orders", None, &Access::Own).await.unwrap();
    assert_eq!(diagnosis.verdict, None);
    assert_eq!(diagnosis.text, "bucket `prod-orders` has no replication rule\n");
}

#[tokio::test]
async fn thousand_rules_are_diagnosed() {
    let mut state = working().await;
    let rule = state.rules("demo-source")[0].xml().to_owned();
    let rules: String = (1..=1_000)
        .map(|number| {
            rule.replace("<ID>theirs</ID>", &format!("<ID>r{number}</ID>"))
                .replace("<Priority>1<", &format!("<Priority>{number}<"))
                .replace("<Filter/>", &format!("<Filter><Prefix>a{number}/</Prefix></Filter>"))
        })
        .collect();
    state.edit_replication("demo-source", &rule, &rules);
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(diagnosis.rules.len(), 1_000);
    assert_eq!(diagnosis.verdict, Some(Verdict::Works));
}

#[tokio::test]
async fn role_of_another_account_makes_the_verdict_unknown() {
    let mut state = working().await;
    let other = OWN_ROLE.replace(ACCOUNT, OTHER_ACCOUNT);
    state.edit_replication("demo-source", OWN_ROLE, &other);
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
    assert!(diagnosis.text.contains("belongs to account 444455556666"), "{}", diagnosis.text);
}
