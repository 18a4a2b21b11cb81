//! The function's answer.

use super::*;

#[tokio::test]
async fn command_diagnose_answers_with_the_diagnosis() {
    let mut state = working().await;
    edit_policy(&mut state, r#""kms:GenerateDataKey""#, r#""kms:DescribeKey""#);
    let fake = Fake::new(state);
    let command = json!({"Action": "Diagnose", "SourceBucket": "demo-source", "RuleId": "theirs"});
    let answer = invoke(&fake, &command).await.unwrap();
    assert_eq!(lines(&fake.writes()), "");
    insta::assert_json_snapshot!(answer);
}

#[tokio::test]
async fn function_without_the_rights_names_the_parameter_and_reads_nothing() {
    let fake = Fake::new(working().await);
    let without = Settings { allow_diagnose: false, ..settings() };
    let command = json!({"Action": "Diagnose", "SourceBucket": "demo-source"});
    let error = invoke_with(&fake, &command, &without).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Action` is `Diagnose`, for which this function has no rights; set the template's `AllowDiagnose` to true"
    );
    assert_eq!(lines(&fake.calls.borrow()), "");
}

#[tokio::test]
async fn command_diagnose_refuses_what_it_does_not_use() {
    let fake = Fake::new(two_buckets());
    let command = json!({"Action": "Diagnose", "SourceBucket": "demo-source", "Prefix": "a"});
    let error = invoke(&fake, &command).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Action` is `Diagnose`, which takes only `SourceBucket`, `RuleId`, `DestinationRoleArn` and `DestinationRoleExternalId`"
    );
}

#[test]
fn every_code_has_its_heading_in_the_documents() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnose.md");
    let page = std::fs::read_to_string(page).unwrap();
    let headings: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let codes: Vec<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(headings, codes);
}
