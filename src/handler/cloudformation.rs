//! CloudFormation's requests about a custom resource.
//!
//! It must not know the properties of a rule or the JSON of an answer.
//!
//! # Guarantees
//! - CloudFormation gets exactly one answer, even after a panic. The only delay: while a canary is pending and Lambda will
//!   deliver the request again, a later delivery answers.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::join;
use tokio::time::{Instant, timeout_at};

use super::{engine, log_outcome};
use crate::error::Error;
use crate::model::{Retry, RuleAddress};
use crate::ports::{Callback, Cloud};
use crate::reconcile::retry::{Failed, RetryBudget, retry};
use crate::reconcile::{Cleanup, End, Engine, Leftover, Operation, ResourceRequest};
use crate::request::cloudformation::{
    NOTHING_CREATED, ReplyTo, Request, ResourceOperation, failed_create_id,
};
use crate::respond::metrics::Counters;
use crate::respond::{self, Completion};

/// Runs the request and answers it.
pub(super) async fn handle<C: Cloud>(
    request: &Request,
    invocation: Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let left = request.time_left(SystemTime::now());
    let timeout = left.and_then(|left| Instant::now().checked_add(left));
    let end = timeout.map_or(invocation.end, |timeout| invocation.end.min(timeout));
    let resource_request = resource_request(request);
    let engine = Engine {
        request: Some(&resource_request),
        ..engine(invocation.cloud, invocation.settings, end)
    };
    let left = end.saturating_duration_since(Instant::now());
    let resumable = request.next_delivery_can_answer(SystemTime::now(), left);

    let result = AssertUnwindSafe(run(request, &engine, resumable)).catch_unwind().await;
    let result = result.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal(message.unwrap_or_default()))
    });
    log_result(&result);
    match &result {
        Ok(Completion::Nothing { .. }) => counters.count_skipped(),
        Ok(Completion::Rule(outcome)) => counters.count_rule(outcome),
        Err(error) => counters.count_failure(error),
    }
    match result {
        Err(pending) if pending.is_verify_pending() => Err(pending),
        result => {
            let has_table = engine.settings.lock_table.is_some();
            let id = resource_id(request, &resource_request, has_table, &result);
            let body = respond::cloudformation_answer(request, id, &result);
            let body = body.map_err(|error| Error::Internal(error.to_string()))?;
            answer(request, &engine, &result, &body).await?;
            Ok(Value::Null)
        }
    }
}

/// Sends the answer, and remembers how the request ended.
async fn answer<C: Cloud>(
    request: &Request,
    engine: &Engine<'_, C>,
    result: &Result<Completion, Error>,
    body: &str,
) -> Result<(), Error> {
    let delivery = deliver(engine.cloud, &request.reply, body, engine.end);
    let remember = async |rule, operation, end| {
        let remembered = AssertUnwindSafe(engine.remember(rule, operation, end)).catch_unwind();
        if remembered.await.is_err() {
            tracing::error!("recording the request's end panicked");
        }
    };
    match end_of(request, result) {
        Some((rule, operation, end @ End::Unanswered)) => {
            let delivered = delivery.await;
            if delivered.is_err() {
                remember(rule, operation, end).await;
            }
            delivered
        }
        Some((rule, operation, end @ (End::Removed | End::ChangedNothing))) => {
            join!(delivery, remember(rule, operation, end)).0
        }
        None => delivery.await,
    }
}

/// Puts `body` to the `ResponseURL`. Retries until `deadline`, unless a retry cannot help.
async fn deliver<C: Callback>(
    cloud: &C,
    reply: &ReplyTo,
    body: &str,
    deadline: Instant,
) -> Result<(), Error> {
    let budget = RetryBudget::until_deadline(Duration::from_millis(200), Duration::from_secs(30))
        .ending(deadline);
    let delivered = retry(budget, async || {
        let response = timeout_at(deadline, cloud.answer(&reply.url, body.to_owned())).await;
        let response = response.map_err(|_| Failed::Final("the time ran out".to_owned()))?;
        response.map_err(|failure| match failure.retry {
            Retry::Never => Failed::Final(failure.to_string()),
            Retry::Soon | Retry::Replan | Retry::NextInvocation => {
                tracing::warn!(%failure, "CloudFormation could not be answered; trying again");
                Failed::Retryable(failure.to_string())
            }
        })
    });
    delivered.await.map_err(Error::Unanswered)
}

/// What is to be remembered of the request's end; [`End::Unanswered`] only if the answer does not arrive.
fn end_of<'a>(
    request: &'a Request,
    result: &Result<Completion, Error>,
) -> Option<(&'a RuleAddress, Operation, End)> {
    match (request.operation.as_ref().ok()?, result) {
        (ResourceOperation::Apply { spec, .. }, _) if spec.dry_run => None,
        (ResourceOperation::Apply { spec, .. }, Ok(_)) => {
            Some((&spec.rule, Operation::Apply, End::Unanswered))
        }
        (ResourceOperation::Apply { spec, .. }, Err(error)) => {
            error.changed_nothing().then_some((&spec.rule, Operation::Apply, End::ChangedNothing))
        }
        (ResourceOperation::Delete { rule, dry_run: false, .. }, Ok(_)) => {
            Some((rule, Operation::Delete, End::Removed))
        }
        (
            ResourceOperation::Delete { .. }
            | ResourceOperation::Cleanup { .. }
            | ResourceOperation::Nothing { .. },
            _,
        ) => None,
    }
}

fn resource_request(request: &Request) -> ResourceRequest {
    let url = &request.reply.url;
    let has_rule = match &request.operation {
        Ok(ResourceOperation::Apply { spec, .. }) => {
            request.physical_id.as_ref().is_some_and(|id| *id == spec.rule.to_string())
        }
        Ok(
            ResourceOperation::Delete { .. }
            | ResourceOperation::Cleanup { .. }
            | ResourceOperation::Nothing { .. },
        )
        | Err(_) => false,
    };
    ResourceRequest::new(url.signed_at(), url.age(SystemTime::now()).unwrap_or_default(), has_rule)
}

async fn run<C: Cloud>(
    request: &Request,
    engine: &Engine<'_, C>,
    resumable: bool,
) -> Result<Completion, Error> {
    let expected = &engine.settings.region;
    match request.operation.as_ref().map_err(Clone::clone)? {
        ResourceOperation::Apply { spec, abandoned } => {
            let mut outcome = engine.apply(spec, expected).await?;
            if let Some(rule) = abandoned {
                let access = &spec.destination_access;
                let leftover = Leftover { rule, failed_create: None, access };
                let cleanup = engine.cleanup(&leftover, expected, spec.dry_run).await?;
                if let Cleanup::Kept(reason) = cleanup {
                    outcome.plan.warnings.push(reason);
                }
            }
            let outcome = engine.verify_applied(spec, outcome, expected, resumable).await?;
            engine.record_applied(&outcome).await?;
            Ok(Completion::Rule(Box::new(outcome)))
        }
        ResourceOperation::Delete { rule, access, dry_run } => {
            let outcome = engine.delete(rule, access, expected, *dry_run).await?;
            Ok(Completion::Rule(Box::new(outcome)))
        }
        ResourceOperation::Cleanup { rule, failed_create, access, dry_run } => {
            let leftover = Leftover { rule, failed_create: *failed_create, access };
            Ok(match engine.cleanup(&leftover, expected, *dry_run).await? {
                Cleanup::Removed(outcome) => Completion::Rule(outcome),
                Cleanup::Kept(reason) => Completion::Nothing { reason: Some(reason) },
            })
        }
        ResourceOperation::Nothing { rule } => {
            if let Some(rule) = rule {
                engine.supersede(rule).await;
            }
            Ok(Completion::Nothing { reason: None })
        }
    }
}

/// Returns the physical id of the resource, which is normally the rule's id. An Update that failed or only planned keeps its id.
/// A Create that failed gets an id of its own, which names no rule that a later Create makes: [`NOTHING_CREATED`] if certainly no
/// delivery of it has changed something. Without a record of the Create, only the rule's id can tell the Delete what to remove.
fn resource_id(
    request: &Request,
    resource_request: &ResourceRequest,
    has_table: bool,
    result: &Result<Completion, Error>,
) -> String {
    let spec = match &request.operation {
        Ok(ResourceOperation::Apply { spec, .. }) => Some(spec),
        Ok(
            ResourceOperation::Delete { .. }
            | ResourceOperation::Cleanup { .. }
            | ResourceOperation::Nothing { .. },
        )
        | Err(_) => None,
    };
    let changed_nothing = || {
        result.as_ref().is_err_and(Error::changed_nothing) && !resource_request.may_be_redelivery()
    };
    match (spec, &request.physical_id) {
        (Some(spec), Some(_)) if result.is_ok() && !spec.dry_run => spec.rule.to_string(),
        (_, Some(id)) => id.clone(),
        (Some(spec), None) if result.is_ok() => spec.rule.to_string(),
        (Some(spec), None) if !changed_nothing() => {
            match resource_request.apply_generation().filter(|_| has_table) {
                Some(generation) => failed_create_id(&spec.rule, generation),
                None => spec.rule.to_string(),
            }
        }
        (_, None) => NOTHING_CREATED.to_owned(),
    }
}

fn log_result(result: &Result<Completion, Error>) {
    match result {
        Ok(Completion::Rule(outcome)) => log_outcome(outcome),
        Ok(Completion::Nothing { reason: Some(reason) }) => {
            tracing::warn!(reason, "nothing was deleted")
        }
        Ok(Completion::Nothing { reason: None }) => tracing::info!("there is nothing to delete"),
        Err(pending) if pending.is_verify_pending() => {
            tracing::info!(%pending, "the next delivery of the request answers CloudFormation");
        }
        Err(error) => tracing::error!(%error, "the custom resource failed"),
    }
}
