//! What IAM's simulator adds when it is asked: the service control policies of the account's organization.

use super::*;
use s3_kms_replication::diagnose::NOT_EXAMINED;
use s3_kms_replication::model::Retry;

async fn with_simulator(fake: &Fake) -> Diagnosis {
    let request = DiagnosisRequest {
        source: &BucketName::parse("demo-source").unwrap(),
        region: &Region::parse("us-east-1").unwrap(),
        region_is_known: true,
        rule: None,
        sample: 0,
        ask_iam: true,
        access: &Access::Own,
    };
    requested(fake, &request).await.unwrap()
}

#[tokio::test]
async fn simulator_that_allows_every_call_leaves_only_resource_control_policies_unexamined() {
    let fake = Fake::new(working().await);
    let diagnosis = with_simulator(&fake).await;
    assert_works(&diagnosis);
    assert_eq!(diagnosis.not_examined, &NOT_EXAMINED[1..]);
    assert_eq!(lines(&fake.writes()), "");
}

#[tokio::test]
async fn call_that_a_service_control_policy_denies_fails_the_rule() {
    let mut state = working().await;
    state.denied_by_scps.insert("kms:Decrypt".to_owned());
    let diagnosis = with_simulator(&Fake::new(state.clone())).await;
    assert_eq!(diagnosis.verdict, Some(Verdict::Fails), "{}", diagnosis.text);
    assert_eq!(codes(&diagnosis), [(Code::OrganizationDenies, Severity::FailsNow)]);
    insta::assert_snapshot!(diagnosis.text);

    let unasked = diagnosed(state, &Access::Own).await;
    assert_works(&unasked);
    assert_eq!(unasked.not_examined, NOT_EXAMINED);
}

#[tokio::test]
async fn simulator_that_may_not_be_asked_decides_nothing_and_names_the_right() {
    let fake = Fake::new(working().await);
    fake.refuse("SimulatePrincipalPolicy", 100, "AccessDenied", Retry::Never);
    let diagnosis = with_simulator(&fake).await;
    assert_works(&diagnosis);
    assert_eq!(diagnosis.not_examined, NOT_EXAMINED);
    assert!(diagnosis.text.contains("iam:SimulatePrincipalPolicy"), "{}", diagnosis.text);
}
