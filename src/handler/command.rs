//! Commands of a person or of Step Functions.
//!
//! It must not know how a command is written.

use serde_json::Value;

use super::event::EventOutcome;
use super::{batch, json, log_outcome};
use crate::diagnose::Diagnosis;
use crate::error::Error;
use crate::model::{Access, BucketName};
use crate::ports::Cloud;
use crate::reconcile::{
    self, BucketOutcome, DiagnosisReads, DiagnosisRequest, Engine, Outcome, ReconcileRequest,
    ReplayRequest, Status, Verification,
};
use crate::request::{Command, SourceName};
use crate::respond::metrics::Counters;
use crate::respond::{ReplayAnswer, RuleAnswer};
use crate::spec::Invalid;

/// Runs the command and answers with its result.
pub(super) async fn handle<C: Cloud>(
    command: &Command,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let expected = &engine.settings.region;
    match command {
        Command::Apply(spec) => {
            let result = match engine.apply(spec, expected).await {
                Ok(outcome) => engine.verify_applied(spec, outcome, expected, true).await,
                Err(error) => Err(error),
            };
            answer_rule(result, counters)
        }
        Command::Delete { rule, access, dry_run } => {
            answer_rule(engine.delete(rule, access, expected, *dry_run).await, counters)
        }
        Command::Verify { rule, key, access } => {
            let verification =
                Verification { rule, key: key.as_ref(), access, changed: false, resumable: true };
            answer_rule(verify(&verification, engine).await, counters)
        }
        Command::Reconcile { source, dry_run } => {
            let result = reconcile(source, *dry_run, engine).await;
            counters.count_bucket(&result);
            EventOutcome { bucket: source.to_string(), result: Ok(result?) }.answer()
        }
        Command::ReconcileBatch { sources } => batch::handle(sources, engine, counters).await,
        Command::Diagnose { source, rule, access } => {
            let diagnosis = diagnose(source, rule.as_deref(), access, engine).await;
            let diagnosis = diagnosis.inspect_err(|error| counters.count_failure(error))?;
            counters.count_diagnosis(&diagnosis);
            json(&diagnosis)
        }
        Command::Replay { source, name, report, selection, dry_run } => {
            let (name, selection, dry_run) = (name.as_deref(), *selection, *dry_run);
            let request = ReplayRequest { source, name, selection, report, expected, dry_run };
            let replay = engine.replay(&request).await.map_err(Error::from);
            let replay = replay.inspect_err(|error| counters.count_failure(error))?;
            counters.count_replay(&replay);
            json(&ReplayAnswer::from(&replay))
        }
    }
}

/// Answers with the outcome of a rule.
fn answer_rule(
    result: Result<Outcome, reconcile::Error>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let outcome = result.map_err(Error::from).inspect_err(|error| counters.count_failure(error))?;
    counters.count_rule(&outcome);
    log_outcome(&outcome);
    json(&RuleAnswer::from(&outcome))
}

async fn diagnose<C: Cloud>(
    source: &BucketName,
    rule: Option<&str>,
    access: &Access,
    engine: &Engine<'_, C>,
) -> Result<Diagnosis, Error> {
    if !engine.settings.allow_diagnose {
        let problem = "is `Diagnose`, for which this function has no rights; set the template's `AllowDiagnose` to true";
        return Err(Invalid::new("Action", problem).into());
    }
    let request = DiagnosisRequest {
        source,
        region: &engine.settings.region,
        region_is_known: false,
        rule,
        sample: 0,
        ask_iam: false,
        access,
    };
    Ok(engine.diagnose(&request, &DiagnosisReads::default()).await?)
}

async fn verify<C: Cloud>(
    verification: &Verification<'_>,
    engine: &Engine<'_, C>,
) -> Result<Outcome, reconcile::Error> {
    match engine.verify(verification, &engine.settings.region).await {
        Ok(warnings) => Ok(Outcome::of_verification(verification, Status::Verified, warnings)),
        Err(reconcile::Error::VerifyPending { .. }) => {
            Ok(Outcome::of_verification(verification, Status::Pending, Vec::new()))
        }
        Err(error) => Err(error),
    }
}

/// Applies the replication policy to a bucket, as a command or a walk asks.
pub(super) async fn reconcile<C: Cloud>(
    source: &SourceName,
    dry_run: bool,
    engine: &Engine<'_, C>,
) -> Result<BucketOutcome, reconcile::Error> {
    let bucket = match source {
        SourceName::Bucket(bucket) => bucket,
        SourceName::Legacy(bucket) => return engine.reconcile_legacy_bucket(bucket).await,
    };
    if engine.settings.policy.is_none() {
        return Err(reconcile::Error::NoPolicy);
    }
    let request = ReconcileRequest {
        bucket,
        expected: &engine.settings.region,
        remove_if_gone: true,
        remove_replaced_role: true,
        may_be_invisible: false,
        dry_run,
    };
    engine.reconcile_bucket(&request).await
}
