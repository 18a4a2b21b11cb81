//! CloudFormation's requests about a custom resource.
//!
//! It must not know the properties of a rule or the JSON of an answer.
//!
//! # Guarantees
//! - CloudFormation gets exactly one answer, even after a panic. The only delay: while a canary is pending and Lambda will
//!   deliver the request again, a later delivery answers.

use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::Instant;

use super::{engine, log_outcome};
use crate::error::Error;
use crate::model::{Access, RuleAddress};
use crate::ports::Cloud;
use crate::reconcile::{Engine, Outcome};
use crate::request::cloudformation::{NOTHING_CREATED, Request, ResourceOperation};
use crate::respond;
use crate::respond::metrics::Counters;

/// Runs the request and answers it.
pub(super) async fn handle<C: Cloud>(
    request: &Request,
    invocation: Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let left = request.time_left(SystemTime::now());
    let timeout = left.and_then(|left| Instant::now().checked_add(left));
    let end = timeout.map_or(invocation.end, |timeout| invocation.end.min(timeout));
    let engine = Engine {
        signed_at: request.reply.url.signed_at(),
        ..engine(invocation.cloud, invocation.settings, end)
    };
    let left = end.saturating_duration_since(Instant::now());
    let resumable = request.will_be_redelivered(SystemTime::now(), left);

    let result = AssertUnwindSafe(run(request, &engine, resumable)).catch_unwind().await;
    let result = result.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal(message.unwrap_or_default()))
    });
    log_result(&result);
    match &result {
        Ok(None) => counters.count_skipped(),
        Ok(Some(outcome)) => counters.count_rule(outcome),
        Err(error) => counters.count_failure(error),
    }
    match result {
        Err(pending) if pending.is_verify_pending() => Err(pending),
        result => {
            let body =
                respond::cloudformation_answer(request, resource_id(request, &result), &result);
            let body = body.map_err(|error| Error::Internal(error.to_string()))?;
            respond::deliver(engine.cloud, &request.reply, &body, end).await?;
            Ok(Value::Null)
        }
    }
}

async fn run<C: Cloud>(
    request: &Request,
    engine: &Engine<'_, C>,
    resumable: bool,
) -> Result<Option<Outcome>, Error> {
    let expected = &engine.settings.region;
    match request.operation.as_ref().map_err(Clone::clone)? {
        ResourceOperation::Apply { spec, abandoned } => {
            let outcome = engine.apply(spec, expected).await?;
            if let Some(abandoned) = abandoned {
                cleanup(abandoned, &spec.destination_access, spec.dry_run, engine).await?;
            }
            Ok(Some(engine.verify_applied(spec, outcome, expected, resumable).await?))
        }
        ResourceOperation::Delete { rule, access, dry_run } => {
            Ok(Some(engine.delete(rule, access, expected, *dry_run).await?))
        }
        ResourceOperation::Cleanup { rule, access, dry_run } => {
            cleanup(rule, access, *dry_run, engine).await.map(|()| None)
        }
        ResourceOperation::Nothing => Ok(None),
    }
}

/// Removes what a failed request may have left: a failed Update on another bucket, or a Create that failed. A failure that a
/// retry cannot help is only logged: for example, the properties named a foreign bucket by mistake, and it cannot be read.
async fn cleanup<C: Cloud>(
    rule: &RuleAddress,
    access: &Access,
    dry_run: bool,
    engine: &Engine<'_, C>,
) -> Result<(), Error> {
    match engine.delete(rule, access, &engine.settings.region, dry_run).await {
        Err(error) if !error.is_transient() => {
            let (bucket, rule) = (rule.source.as_str(), rule.id.as_str());
            tracing::warn!(bucket, rule, %error, "cannot remove what a failed request may have left");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Returns the physical id of the resource, which is normally the rule's id. An Update that failed or only planned keeps its id.
/// A Create that changed nothing gets the id [`NOTHING_CREATED`].
fn resource_id(request: &Request, result: &Result<Option<Outcome>, Error>) -> String {
    let spec = match &request.operation {
        Ok(ResourceOperation::Apply { spec, .. }) => Some(spec),
        _ => None,
    };
    match (spec, &request.physical_id) {
        (Some(spec), Some(_)) if result.is_ok() && !spec.dry_run => spec.rule.to_string(),
        (_, Some(id)) => id.clone(),
        (Some(spec), None) if !result.as_ref().is_err_and(Error::changed_nothing) => {
            spec.rule.to_string()
        }
        (_, None) => NOTHING_CREATED.to_owned(),
    }
}

fn log_result(result: &Result<Option<Outcome>, Error>) {
    match result {
        Ok(Some(outcome)) => log_outcome(outcome),
        Ok(None) => tracing::info!("there is nothing to delete"),
        Err(pending) if pending.is_verify_pending() => {
            tracing::info!(%pending, "the next delivery of the request answers CloudFormation");
        }
        Err(error) => tracing::error!(%error, "the custom resource failed"),
    }
}
