//! Requests of Terraform and Pulumi about a resource.
//!
//! It must not know how such a request is written.
//!
//! # Guarantees
//! - Only the rule of the resource's own input, now or before, is deleted.
//! - The answer to the same input is the same, whatever had to be done.

use serde_json::Value;

use super::{json, log_outcome};
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::{Engine, Outcome, Status};
use crate::request::terraform::{EarlierRule, ResourceChange};
use crate::respond::ResourceAnswer;
use crate::respond::metrics::Counters;
use crate::spec::Spec;

/// Executes the request and answers with the resource's attributes.
pub(super) async fn handle<C: Cloud>(
    change: &ResourceChange,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let result = run(change, engine).await;
    match &result {
        Ok(outcome) => {
            counters.count_rule(outcome);
            log_outcome(outcome);
        }
        Err(error) => counters.count_failure(error),
    }
    json(&ResourceAnswer::new(&result?, status(change)))
}

async fn run<C: Cloud>(change: &ResourceChange, engine: &Engine<'_, C>) -> Result<Outcome, Error> {
    match change {
        ResourceChange::Apply { spec, earlier } => apply(spec, earlier.as_ref(), engine).await,
        ResourceChange::Delete(earlier) => delete(earlier, engine).await,
    }
}

/// Applies the rule, then deletes the earlier one. The verification is last, since its failure is no reason to keep the earlier rule.
async fn apply<C: Cloud>(
    spec: &Spec,
    earlier: Option<&EarlierRule>,
    engine: &Engine<'_, C>,
) -> Result<Outcome, Error> {
    let expected = &engine.settings.region;
    let outcome = engine.apply(spec, expected).await?;
    if let Some(earlier) = earlier {
        let deleted = delete(earlier, engine).await.map_err(|error| Error::EarlierRuleRemains {
            rule: spec.rule.clone(),
            earlier: earlier.rule.clone(),
            error: Box::new(error),
        })?;
        log_outcome(&deleted);
    }
    Ok(engine.verify_applied(spec, outcome, expected, true).await?)
}

async fn delete<C: Cloud>(
    EarlierRule { rule, access }: &EarlierRule,
    engine: &Engine<'_, C>,
) -> Result<Outcome, Error> {
    Ok(engine.delete(rule, access, &engine.settings.region, false).await?)
}

/// The status of a resource after the request: it says what was asked for, not whether there was anything to do.
fn status(change: &ResourceChange) -> Status {
    match change {
        ResourceChange::Apply { spec, .. } if spec.verify => Status::Verified,
        ResourceChange::Apply { .. } => Status::Configured,
        ResourceChange::Delete(_) => Status::Removed,
    }
}
