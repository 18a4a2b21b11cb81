//! Sets up and maintains S3 replication of KMS-encrypted objects.
//!
//! Data flows one way: [`event`] reads what is asked and by whom into the validated types of [`spec`]; [`reconcile`] observes AWS
//! through the seam in [`cloud`], has [`plan`] decide what must change (with the policy documents of [`grants`]), and applies it stage
//! by stage, and on request has [`verify`] judge what becomes of an object; [`report`] answers, [`metrics`] counts. [`aws`] is the seam on
//! the AWS SDK, [`settings`] the environment, [`error`] what can go wrong.

pub mod aws;
mod backoff;
pub mod cloud;
pub mod error;
pub mod event;
pub mod grants;
pub mod metrics;
pub mod plan;
pub mod reconcile;
pub mod report;
pub mod settings;
pub mod spec;
pub mod verify;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::error::Error;
use crate::event::cloudformation::{Asked, NOTHING_CREATED, Request};
use crate::event::{Ask, BucketEvent, Command, Message, Notice};
use crate::metrics::{AskedBy, Tally};
use crate::reconcile::{Coverage, Engine, Outcome, Status, Trial};
use crate::report::RuleAnswer;
use crate::settings::Settings;
use crate::spec::{Access, BucketName, RuleAddress};

/// Time kept for the answer at the end of an invocation.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How an invocation ended.
#[derive(Debug)]
pub struct Handled {
    /// The answer.
    ///
    /// # Errors
    /// For a command, whatever kept it from being carried out. For an event, only what may go away by itself, so that Lambda's retry can help.
    /// For CloudFormation, only that it could not be answered. For SQS, only a batch that is none: failed messages are part of the answer.
    pub answer: Result<Value, Error>,
    /// What was done, counted.
    pub tally: Tally,
}

/// Answers one invocation, which ends at `end`.
pub async fn handle<C: Cloud>(payload: &Value, end: Instant, cloud: &C, settings: &Settings) -> Handled {
    let mut tally = Tally::default();
    let answer = answer(payload, end, cloud, settings, &mut tally).await;
    Handled { answer, tally }
}

async fn answer<C: Cloud>(payload: &Value, end: Instant, cloud: &C, settings: &Settings, tally: &mut Tally) -> Result<Value, Error> {
    let engine = |end: Instant| {
        let left = end.saturating_duration_since(Instant::now());
        Engine { cloud, settings, deadline: end - ANSWER_TIME.min(left / 4), end, signed_at: None }
    };
    let ask = event::read(payload, settings).inspect_err(|error| tally.rule(Err(error)))?;
    tally.asked_by = AskedBy::from(&ask);
    match ask {
        Ask::CloudFormation(request) => {
            let end =
                request.service_timeout.and_then(|timeout| Instant::now().checked_add(timeout)).map_or(end, |timeout| end.min(timeout));
            let engine = Engine { signed_at: request.reply.url.signed_at(), ..engine(end) };
            let resumable = request.comes_again(SystemTime::now(), end.saturating_duration_since(Instant::now()));
            answer_cloudformation(&request, &engine, end, resumable, tally).await
        }
        Ask::Event(notice) => {
            let (bucket, followed) = follow(&notice, &engine(end)).await;
            tally.bucket(&followed);
            answer_followed(&bucket, &followed)
        }
        Ask::Queue(messages) => json(&report::batch(answer_batch(messages, &engine(end), tally).await)),
        Ask::Command(command) => carry_out(&command, &engine(end), tally).await,
    }
}

/// Does what CloudFormation asks and answers it exactly once, whatever happens in between; but not yet when the request is `resumable`
/// and has to come again, since it is not known whether the rule replicates.
async fn answer_cloudformation<C: Cloud>(
    request: &Request,
    engine: &Engine<'_, C>,
    end: Instant,
    resumable: bool,
    tally: &mut Tally,
) -> Result<Value, Error> {
    let result = AssertUnwindSafe(custom_resource(request, engine, resumable)).catch_unwind().await.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal(message.unwrap_or_default()))
    });
    match &result {
        Ok(Some(outcome)) => log_outcome(outcome),
        Ok(None) => tracing::info!("there is nothing to delete"),
        Err(pending @ Error::VerifyPending { .. }) => tracing::info!(%pending, "CloudFormation is answered when the request comes again"),
        Err(error) => tracing::error!(%error, "the custom resource failed"),
    }
    match result.as_ref().map(Option::as_ref) {
        Ok(None) => tally.skipped(),
        Ok(Some(outcome)) => tally.rule(Ok(outcome)),
        Err(error) => tally.rule(Err(error)),
    }
    if let Err(pending @ Error::VerifyPending { .. }) = result {
        return Err(pending);
    }
    let body =
        report::cloudformation(request, resource_id(request, &result), &result).map_err(|error| Error::Internal(error.to_string()))?;
    report::deliver(engine.cloud, &request.reply, &body, end).await?;
    Ok(Value::Null)
}

async fn custom_resource<C: Cloud>(request: &Request, engine: &Engine<'_, C>, resumable: bool) -> Result<Option<Outcome>, Error> {
    let expected = &engine.settings.region;
    match request.asked.as_ref().map_err(Clone::clone)? {
        Asked::Apply { spec, abandoned } => {
            let outcome = engine.apply(spec, expected).await?;
            if let Some(abandoned) = abandoned {
                take_back(abandoned, &spec.destination_access, spec.dry_run, engine).await?;
            }
            engine.verify_applied(spec, outcome, expected, resumable).await.map(Some)
        }
        Asked::Delete { rule, access, dry_run } => engine.remove(rule, access, expected, *dry_run).await.map(Some),
        Asked::TakeBack { rule, access, dry_run } => take_back(rule, access, *dry_run, engine).await.map(|()| None),
        Asked::DeleteNothing => Ok(None),
    }
}

/// Takes back what may be left of an Update that failed in another bucket, or of a Create that is not known to have changed anything. A
/// bucket that cannot be looked at, such as somebody else's that was named by mistake, is no reason to fail.
async fn take_back<C: Cloud>(rule: &RuleAddress, access: &Access, dry_run: bool, engine: &Engine<'_, C>) -> Result<(), Error> {
    match engine.remove(rule, access, &engine.settings.region, dry_run).await {
        Err(error) if !error.is_transient() => {
            tracing::warn!(bucket = rule.source.as_str(), rule = rule.id.as_str(), %error, "what a failed request may have left was not taken back");
            Ok(())
        }
        ended => ended.map(|_| ()),
    }
}

/// The resource's id: what was asked for. But an Update that failed, or only planned, has moved nothing and keeps the id that it had; and a
/// Create that changed nothing gets an id that says so.
fn resource_id(request: &Request, result: &Result<Option<Outcome>, Error>) -> String {
    let asked = match &request.asked {
        Ok(Asked::Apply { spec, .. }) => Some(spec),
        _ => None,
    };
    match (asked, &request.physical_id) {
        (Some(spec), Some(_)) if result.is_ok() && !spec.dry_run => spec.rule.to_string(),
        (_, Some(id)) => id.clone(),
        (Some(spec), None) if !result.as_ref().is_err_and(Error::changed_nothing) => spec.rule.to_string(),
        (_, None) => NOTHING_CREATED.to_owned(),
    }
}

/// Does what an event asks for; names the bucket, too.
async fn follow<C: Cloud>(notice: &Notice, engine: &Engine<'_, C>) -> (String, Result<Coverage, Error>) {
    match notice {
        Notice::Nothing { bucket, reason } => (bucket.clone(), Ok(Coverage::Skipped(reason.clone()))),
        Notice::Bucket(event) => (event.bucket.to_string(), follow_bucket(event, engine).await),
        Notice::Job(event) => match engine.follow_job(event).await {
            Ok((bucket, coverage)) => (bucket, Ok(coverage)),
            Err(error) => (String::new(), Err(error)),
        },
    }
}

async fn follow_bucket<C: Cloud>(event: &BucketEvent, engine: &Engine<'_, C>) -> Result<Coverage, Error> {
    let ours = engine.identity().await?.account;
    if let Some(account) = event.account.as_ref().filter(|account| **account != ours) {
        return Ok(Coverage::Skipped(format!("the event is of account {account}, not of {ours}")));
    }
    engine.cover(&event.bucket, event.region.as_ref().unwrap_or(&engine.settings.region), event.deleted, false).await
}

/// Follows every message; the ids of those that were not carried out in full, which come again until the queue gives them up to its
/// dead-letter queue, where they can be seen and sent again.
async fn answer_batch<C: Cloud>(messages: Vec<Message>, engine: &Engine<'_, C>, tally: &mut Tally) -> Vec<String> {
    let mut failed = Vec::new();
    for Message { id, notice } in messages {
        let succeeded = match notice {
            Ok(notice) => {
                let (bucket, followed) = follow(&notice, engine).await;
                log_followed(&bucket, &followed);
                tally.bucket(&followed);
                failures(&followed).next().is_none()
            }
            Err(error) => {
                tracing::error!(message_id = id, %error, "the message cannot be read");
                tally.rule(Err(&error));
                false
            }
        };
        if !succeeded {
            failed.push(id);
        }
    }
    failed
}

async fn carry_out<C: Cloud>(command: &Command, engine: &Engine<'_, C>, tally: &mut Tally) -> Result<Value, Error> {
    let expected = &engine.settings.region;
    let result = match command {
        Command::Apply(spec) => match engine.apply(spec, expected).await {
            Ok(outcome) => engine.verify_applied(spec, outcome, expected, true).await,
            failed => failed,
        },
        Command::Delete { rule, access, dry_run } => engine.remove(rule, access, expected, *dry_run).await,
        Command::Verify { rule, key, access } => {
            let trial = Trial { rule, key: key.as_ref(), access, anew: false, resumable: true };
            match engine.verify(&trial, expected).await {
                Ok(()) => Ok(Outcome::of_trial(&trial, Status::Verified)),
                Err(Error::VerifyPending { .. }) => Ok(Outcome::of_trial(&trial, Status::Pending)),
                Err(error) => Err(error),
            }
        }
        Command::Reconcile { source, dry_run } => {
            let followed = hold_policy(source, *dry_run, engine).await;
            tally.bucket(&followed);
            return answer_followed(source.as_str(), &Ok(followed?));
        }
    };
    tally.rule(result.as_ref());
    let outcome = result?;
    log_outcome(&outcome);
    json(&RuleAnswer::from(&outcome))
}

async fn hold_policy<C: Cloud>(source: &BucketName, dry_run: bool, engine: &Engine<'_, C>) -> Result<Coverage, Error> {
    if engine.settings.policy.is_none() {
        return Err(Error::NoPolicy);
    }
    engine.cover(source, &engine.settings.region, true, dry_run).await
}

/// Answers with what became of the bucket, unless a retry of the whole may mend what failed.
fn answer_followed(bucket: &str, followed: &Result<Coverage, Error>) -> Result<Value, Error> {
    log_followed(bucket, followed);
    match failures(followed).find(|error| error.is_transient()) {
        Some(error) => Err(error.clone()),
        None => json(&report::bucket(bucket, followed)),
    }
}

/// All that failed: the whole, or single rules.
fn failures(followed: &Result<Coverage, Error>) -> impl Iterator<Item = &Error> {
    let rules = match followed {
        Ok(Coverage::Rules(rules)) => rules.as_slice(),
        _ => &[],
    };
    followed.as_ref().err().into_iter().chain(rules.iter().filter_map(|(_, result)| result.as_ref().err()))
}

fn log_followed(bucket: &str, followed: &Result<Coverage, Error>) {
    match followed {
        Ok(Coverage::Skipped(reason)) => tracing::info!(bucket, reason, "skipped"),
        Ok(Coverage::Retired(plan)) => tracing::info!(bucket, steps = plan.steps().count(), "the bucket is gone"),
        Ok(Coverage::Rules(rules)) => {
            for (rule_id, result) in rules {
                match result {
                    Ok(outcome) => log_outcome(outcome),
                    Err(error) => tracing::error!(bucket, rule = rule_id.as_str(), %error, "the rule failed"),
                }
            }
        }
        Err(error) => tracing::error!(bucket, %error, "the bucket could not be looked at"),
    }
}

fn log_outcome(outcome: &Outcome) {
    let (bucket, rule) = (outcome.rule.source.as_str(), outcome.rule.id.as_str());
    tracing::info!(bucket, rule, status = ?outcome.status, steps = outcome.plan.steps().count(), "the rule was looked after");
    for warning in &outcome.plan.warnings {
        tracing::warn!(bucket, rule, warning);
    }
}

fn json(answer: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer).map_err(|error| Error::Internal(error.to_string()))
}
