//! What a diagnosis costs.

use super::*;

/// The calls to AWS that the fake's calls stand for: reading a role's outline is three calls.
fn requests(fake: &Fake) -> usize {
    fake.reads().len() + 2 * fake.count("GetRole")
}

async fn reads_of(
    state: State,
    reads: &DiagnosisReads,
    source: &str,
    region_is_known: bool,
) -> Fake {
    reads_with(state, reads, source, region_is_known, &Access::Own).await
}

async fn reads_with(
    state: State,
    reads: &DiagnosisReads,
    source: &str,
    region_is_known: bool,
    access: &Access,
) -> Fake {
    let fake = Fake::new(state);
    let settings = settings();
    let engine = Engine {
        cloud: &fake,
        settings: &settings,
        deadline: within_five_minutes(),
        end: within_five_minutes(),
        request: None,
    };
    let request = DiagnosisRequest {
        source: &BucketName::parse(source).unwrap(),
        region: &Region::parse("us-east-1").unwrap(),
        region_is_known,
        rule: None,
        sample: 0,
        ask_iam: false,
        access,
    };
    engine.diagnose(&request, reads).await.unwrap();
    fake
}

#[tokio::test]
async fn bucket_with_one_rule_costs_25_reads_at_most_and_none_twice() {
    let mut state = working().await;
    let fake = reads_of(state.clone(), &DiagnosisReads::default(), "demo-source", false).await;
    let first = requests(&fake);
    assert!(first <= 25, "{first}: {}", lines(&fake.reads()));
    let mut calls = fake.reads();
    calls.sort();
    let distinct = calls.len();
    calls.dedup();
    assert_eq!(calls.len(), distinct);

    let empty = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
    let role = state.role_mut(OWN_ROLE_NAME);
    role.policies.insert("further".to_owned(), empty.clone());
    let more = reads_of(state.clone(), &DiagnosisReads::default(), "demo-source", false).await;
    assert_eq!(requests(&more), first + 1, "one for each further inline policy");

    let role = state.role_mut(OWN_ROLE_NAME);
    role.attached.push("arn:aws:iam::aws:policy/Any".to_owned());
    state.managed_policies.insert("arn:aws:iam::aws:policy/Any".to_owned(), empty);
    let more = reads_of(state.clone(), &DiagnosisReads::default(), "demo-source", false).await;
    assert_eq!(requests(&more), first + 3, "two for each managed policy");
}

#[tokio::test]
async fn bucket_whose_destination_is_in_another_account_costs_25_reads_at_most() {
    for access in [Access::Own, abroad()] {
        let state = working_abroad().await;
        let reads = DiagnosisReads::default();
        let fake = reads_with(state, &reads, "demo-source", false, &access).await;
        assert!(requests(&fake) <= 25, "{}: {}", requests(&fake), lines(&fake.reads()));
        let mut calls = fake.reads();
        calls.sort();
        let distinct = calls.len();
        calls.dedup();
        assert_eq!(calls.len(), distinct, "{}", lines(&fake.reads()));
    }
}

#[tokio::test]
async fn setup_whose_policies_do_not_allow_the_keys_costs_25_reads_at_most() {
    let mut state = working().await;
    edit_policy(&mut state, "kms:", "kmz:");
    let fake = reads_of(state, &DiagnosisReads::default(), "demo-source", false).await;
    assert_eq!(fake.count("ListGrants"), 2);
    assert!(requests(&fake) <= 25, "{}: {}", requests(&fake), lines(&fake.reads()));
}

#[tokio::test]
async fn bucket_without_rules_costs_one_read_among_all_buckets() {
    let reads = DiagnosisReads::default();
    reads_of(working().await, &reads, "demo-source", true).await;
    let fake = reads_of(working().await, &reads, "prod-orders", true).await;
    assert_eq!(lines(&fake.reads()), "GetBucketReplication on bucket `prod-orders`");
}

#[tokio::test]
async fn roles_keys_and_destinations_are_read_once_for_all_buckets() {
    let mut state = working().await;
    let replication = state.buckets["demo-source"].replication.clone();
    let mut twin = state.buckets["demo-source"].clone();
    twin.replication = replication;
    state.buckets.insert("demo-twin".to_owned(), twin);
    let reads = DiagnosisReads::default();
    reads_of(state.clone(), &reads, "demo-source", true).await;
    let fake = reads_of(state, &reads, "demo-twin", true).await;
    for operation in ["GetRole", "GetRolePolicy", "DescribeKey", "GetKeyPolicy", "HeadBucket"] {
        assert_eq!(fake.count(operation), 0, "{operation}");
    }
}
