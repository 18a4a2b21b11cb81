//! CloudFormation's requests for a custom resource.
//!
//! # Guarantees
//! - CloudFormation gets exactly one answer, whatever happens; but not yet when the request is sure to be delivered again and a
//!   canary is still pending.

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

/// Carries out the request and answers it.
pub(super) async fn handle<C: Cloud>(
    request: &Request,
    invocation: Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let timeout = request.service_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let end = timeout.map_or(invocation.end, |timeout| invocation.end.min(timeout));
    let engine = Engine {
        signed_at: request.reply.url.signed_at(),
        ..engine(invocation.cloud, invocation.settings, end)
    };
    let left = end.saturating_duration_since(Instant::now());
    let resumable = request.will_be_redelivered(SystemTime::now(), left);

    let result = AssertUnwindSafe(run(request, &engine, resumable)).catch_unwind().await;
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal(text.unwrap_or_default()))
    });
    log_result(&result);
    match &result {
        Ok(None) => counters.skipped(),
        Ok(Some(outcome)) => counters.rule(outcome),
        Err(error) => counters.failed_rule(error),
    }
    match result {
        Err(pending) if pending.is_verify_pending() => Err(pending),
        result => {
            let body = respond::cloudformation(request, resource_id(request, &result), &result);
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

/// Removes what a failed request may have left: an Update in another bucket, or a Create that is not known to have changed anything.
/// It is no failure when the bucket cannot be read, such as a foreign bucket that was named by mistake.
async fn cleanup<C: Cloud>(
    rule: &RuleAddress,
    access: &Access,
    dry_run: bool,
    engine: &Engine<'_, C>,
) -> Result<(), Error> {
    match engine.delete(rule, access, &engine.settings.region, dry_run).await {
        Err(error) if !error.is_transient() => {
            let (bucket, rule) = (rule.source.as_str(), rule.id.as_str());
            tracing::warn!(bucket, rule, %error, "what a failed request may have left was not removed");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// The resource's id: that of the rule. But an Update that failed, or only planned, has moved nothing and keeps the id that it had;
/// and a Create that changed nothing gets an id that says so.
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
            tracing::info!(%pending, "CloudFormation is answered when the request is delivered again");
        }
        Err(error) => tracing::error!(%error, "the custom resource failed"),
    }
}
