//! One rule: its plan, and making, removing or trying it.

use s3_kms_replication::error::Error;
use s3_kms_replication::reconcile;
use s3_kms_replication::reconcile::{Outcome, Status, Verification};
use s3_kms_replication::request::Command;
use s3_kms_replication::respond::RuleAnswer;
use s3_kms_replication::spec::{Invalid, Spec};
use serde::Serialize;

use crate::options::{
    self, Apply, Common, Consent, Delete, Deployment, Output, Plan, Rule, Verify,
};
use crate::progress::Progress;
use crate::session::{CHANGES, Session, TRIAL};
use crate::{DONE, FAILED, Failure, PENDING, screen};

const LOOKING: &str = "Looking at what is there";
const TRYING: &str = "Waiting for S3 to replicate an object";

pub async fn plan(asked: &Plan, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = asked.deployment.settings(common.region.as_ref())?;
    let mut spec = spec("Plan", &asked.rule)?;
    progress.listen(true);
    let mut session = Session::new(common, settings).await?;
    reach(&mut session, &asked.rule, &mut spec).await?;
    let outcome = progress
        .during(LOOKING, session.engine(CHANGES).apply(&spec, &session.settings.region))
        .await?;
    show(&outcome, asked.documents, common)?;
    Ok(if asked.detailed_exitcode && !outcome.plan.is_empty() { PENDING } else { DONE })
}

pub async fn apply(asked: &Apply, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = asked.deployment.settings(common.region.as_ref())?;
    let mut spec = spec("Apply", &asked.rule)?;
    asked.consent.check(common, "`plan`")?;
    progress.listen(true);
    let mut session = Session::new(common, settings).await?;
    reach(&mut session, &asked.rule, &mut spec).await?;
    let region = &session.settings.region;
    let planned = Spec { dry_run: true, ..spec.clone() };
    let planned =
        async || progress.during(LOOKING, session.engine(CHANGES).apply(&planned, region)).await;
    if !asked.consent.given(common, planned).await? {
        return Ok(FAILED);
    }
    let outcome = progress.during("Applying", session.engine(CHANGES).apply(&spec, region)).await?;
    let outcome = progress
        .during(TRYING, session.engine(TRIAL).verify_applied(&spec, outcome, region, true))
        .await?;
    end(&outcome, common)
}

pub async fn delete(asked: &Delete, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = asked.deployment.settings(common.region.as_ref())?;
    let Command::Delete { rule, access, .. } = options::command("Delete", &asked.name)? else {
        return Err(misread("Delete"));
    };
    if !asked.dry_run {
        asked.consent.check(common, "--dry-run")?;
    }
    progress.listen(true);
    let mut session = Session::new(common, settings).await?;
    let access = session.reach(asked.name.destination_profile.as_deref(), access).await?;
    let remove = async |dry_run| {
        let engine = session.engine(CHANGES);
        let what = if dry_run { LOOKING } else { "Removing" };
        progress
            .during(what, engine.delete(&rule, &access, &session.settings.region, dry_run))
            .await
    };
    let planned = async || remove(true).await;
    if asked.dry_run {
        show(&planned().await?, asked.consent.documents, common)?;
        return Ok(DONE);
    }
    if !asked.consent.given(common, planned).await? {
        return Ok(FAILED);
    }
    let outcome = remove(false).await?;
    end(&outcome, common)
}

pub async fn verify(asked: &Verify, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = Deployment::default().settings(common.region.as_ref())?;
    let Command::Verify { rule, key, access } = options::command("Verify", asked)? else {
        return Err(misread("Verify"));
    };
    progress.listen(true);
    let mut session = Session::new(common, settings).await?;
    let access = session.reach(asked.name.destination_profile.as_deref(), access).await?;
    let verification = Verification {
        rule: &rule,
        access: &access,
        key: key.as_ref(),
        changed: false,
        resumable: true,
    };
    progress
        .during(TRYING, session.engine(TRIAL).verify(&verification, &session.settings.region))
        .await?;
    end(&Outcome::of_verification(&verification, Status::Verified), common)
}

fn spec(action: &'static str, rule: &impl Serialize) -> Result<Spec, Failure> {
    match options::command(action, rule)? {
        Command::Apply(spec) => Ok(*spec),
        _ => Err(misread(action)),
    }
}

/// Gives the rule the profile for its destination, which says its account, too.
async fn reach(session: &mut Session, rule: &Rule, spec: &mut Spec) -> Result<(), Failure> {
    let access = session
        .reach(rule.name.destination_profile.as_deref(), spec.destination_access.clone())
        .await?;
    if let (Some(asked), Some(reached)) = (&spec.destination_account, access.account())
        && asked != reached
    {
        return Err(Invalid::new(
            "DestinationAccount",
            format!("is {asked}, but --destination-profile is of account {reached}"),
        )
        .into());
    }
    spec.destination_account =
        spec.destination_account.take().or_else(|| access.account().cloned());
    spec.destination_access = access;
    Ok(())
}

fn misread(action: &str) -> Failure {
    Error::Internal(format!("`{action}` was read as another command")).into()
}

fn show(outcome: &Outcome, documents: bool, common: &Common) -> Result<(), Failure> {
    match common.output {
        Output::Text => {
            screen::print(&(screen::heading(outcome) + &screen::plan(&outcome.plan, documents)))
        }
        Output::Json => screen::print_json(&RuleAnswer::from(outcome)),
    }
}

fn end(outcome: &Outcome, common: &Common) -> Result<i32, Failure> {
    match common.output {
        Output::Text => screen::print(&screen::heading(outcome))?,
        Output::Json => screen::print_json(&RuleAnswer::from(outcome))?,
    }
    Ok(DONE)
}

impl Consent {
    /// Refuses, before anything is looked at, what could not be asked.
    pub fn check(&self, common: &Common, look: &str) -> Result<(), Failure> {
        let problem = match common.output {
            _ if self.yes => return Ok(()),
            Output::Json => "--output json does not ask",
            Output::Text if screen::can_ask() => return Ok(()),
            Output::Text => "there is no terminal to ask on",
        };
        Err(Failure::usage(format!("{problem}: give --yes, or look with {look} first")))
    }

    /// Shows the plan, and asks whether it is to be made true; there is nothing to ask about a plan that is empty.
    async fn given(
        &self,
        common: &Common,
        planned: impl AsyncFnOnce() -> Result<Outcome, reconcile::Error>,
    ) -> Result<bool, Failure> {
        if common.output == Output::Json {
            return Ok(true);
        }
        let outcome = planned().await?;
        show(&outcome, self.documents, common)?;
        Ok(self.yes || outcome.plan.is_empty() || self.ask("Do this?").await)
    }

    pub async fn ask(&self, question: &str) -> bool {
        let consent = screen::ask(question).await;
        if !consent {
            screen::say("nothing was changed");
        }
        consent
    }
}
