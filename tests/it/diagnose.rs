//! Diagnose: what it finds in setups of this program, in setups that were broken, and in those of others.

mod answers;
mod case;
mod cost;
mod faults;
mod faults_abroad;
mod foreign_setups;
mod overlapping_rules;
mod own_setups;
mod policies;
mod simulator;
mod single_faults;
mod unread;
mod verdicts;

use s3_kms_replication::config::Settings;
use s3_kms_replication::diagnose::{Code, Diagnosis, Severity, Verdict};
use s3_kms_replication::model::{
    Access, AssumedRole, BucketName, Region, ReplicationStatus, RoleArn, SampledObject,
};
use s3_kms_replication::reconcile::{DiagnosisReads, DiagnosisRequest, Engine, Error};
use serde_json::{Value, json};

use crate::support::*;
use case::{Case, assert_cases, fails, unknown, works};
use policies::*;

/// A working rule `theirs` of `demo-source`, for all objects, with one replicated object.
async fn working() -> State {
    working_with(json!({})).await
}

/// The same, with changes of the properties.
async fn working_with(changes: Value) -> State {
    working_on(two_buckets(), changes).await
}

/// The same, in buckets of another kind.
async fn working_on(state: State, changes: Value) -> State {
    let fake = Fake::new(state);
    let all = json!({"Prefix": null});
    let command = merged(merged(sample("command-apply"), all), changes);
    invoke(&fake, &command).await.unwrap();
    let mut state = fake.state.take();
    as_foreign(&mut state, "s3-kms-replication.demo-destination");
    state
}

/// A working rule `theirs` of `demo-source` to another account.
async fn working_abroad() -> State {
    let fake = Fake::new(two_accounts());
    let properties = merged(
        merged(sample("command-apply"), other_account_properties()),
        json!({"Prefix": null, "ReplicaOwner": "Destination"}),
    );
    invoke(&fake, &properties).await.unwrap();
    let mut state = fake.state.take();
    as_foreign(&mut state, "s3-kms-replication.abroad");
    state
}

fn as_foreign(state: &mut State, id: &str) {
    state.edit_replication("demo-source", id, "theirs");
    state.bucket_mut("demo-source").samples = vec![(ACCOUNT.to_owned(), object("a"))];
}

/// A replicated object of the default encryption.
fn object(key: &str) -> SampledObject {
    SampledObject {
        key: key.to_owned(),
        replication: Some(ReplicationStatus::Completed),
        kms_key: Some(SOURCE_KEY.to_owned()),
        bucket_key: false,
        dual_layer: false,
        storage_class: "STANDARD".to_owned(),
        last_modified: now() - 7 * 24 * 60 * 60,
    }
}

/// The credentials for the other account.
fn abroad() -> Access {
    Access::Role(AssumedRole {
        arn: RoleArn::parse("arn:aws:iam::444455556666:role/replication-setup").unwrap(),
        external_id: Some("ours".to_owned()),
        session: "demo-source".to_owned(),
    })
}

async fn try_diagnose(
    fake: &Fake,
    source: &str,
    rule: Option<&str>,
    access: &Access,
) -> Result<Diagnosis, Error> {
    let request = DiagnosisRequest {
        source: &BucketName::parse(source).unwrap(),
        region: &Region::parse("us-east-1").unwrap(),
        region_is_known: false,
        rule,
        sample: 50,
        ask_iam: false,
        access,
    };
    requested(fake, &request).await
}

/// The diagnosis that a request asks for.
async fn requested(fake: &Fake, request: &DiagnosisRequest<'_>) -> Result<Diagnosis, Error> {
    let settings = settings();
    let engine = Engine {
        cloud: fake,
        settings: &settings,
        deadline: within_five_minutes(),
        end: within_five_minutes(),
        request: None,
    };
    engine.diagnose(request, &DiagnosisReads::default()).await
}

/// The diagnosis of `demo-source`, which must not write.
async fn diagnosed(state: State, access: &Access) -> Diagnosis {
    let fake = Fake::new(state);
    let diagnosis = try_diagnose(&fake, "demo-source", None, access).await.unwrap();
    assert_eq!(lines(&fake.writes()), "", "a diagnosis writes nothing");
    diagnosis
}

/// The codes and severities of the only rule's findings.
fn codes(diagnosis: &Diagnosis) -> Vec<(Code, Severity)> {
    let [rule] = diagnosis.rules.as_slice() else { panic!("{}", diagnosis.text) };
    rule.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn assert_works(diagnosis: &Diagnosis) {
    assert_eq!(diagnosis.verdict, Some(Verdict::Works), "{}", diagnosis.text);
    assert_eq!(codes(diagnosis), [], "{}", diagnosis.text);
}
