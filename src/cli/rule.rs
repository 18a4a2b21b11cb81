//! The commands for one rule: plan, apply and verify.
//!
//! It must not know options of the walk or how output is formatted.

use s3_kms_replication::error::Error;
use s3_kms_replication::model::{Access, KeyReference, Region, RuleAddress};
use s3_kms_replication::plan::Detail;
use s3_kms_replication::reconcile;
use s3_kms_replication::reconcile::{Outcome, Status, Verification};
use s3_kms_replication::request::Command;
use s3_kms_replication::respond::RuleAnswer;
use s3_kms_replication::spec::{Invalid, SourceKeys, Spec};
use serde::Serialize;

use crate::options::{self, Apply, Common, Confirmation, Output, Plan, Rule, Verify};
use crate::progress::Progress;
use crate::session::{CHANGE_TIME, Session, VERIFY_TIME};
use crate::{DONE, FAILED, Failure, PENDING, screen};

pub const PLANNING: &str = "Reading the current state";
const VERIFYING: &str = "Waiting for S3 to replicate an object";

pub async fn plan(args: &Plan, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = args.deployment.settings(common.region.as_ref())?;
    let mut spec = spec("Plan", &args.rule)?;
    progress.print_log(true);
    let mut session = Session::new(common, settings).await?;
    use_destination_profile(&mut session, &args.rule, &mut spec).await?;
    let outcome = progress
        .show_during(PLANNING, session.engine(CHANGE_TIME).apply(&spec, &session.settings.region))
        .await?;
    print_plan(&outcome, args.documents, common)?;
    Ok(if args.detailed_exitcode && !outcome.plan.is_empty() { PENDING } else { DONE })
}

pub async fn apply(args: &Apply, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = args.deployment.settings(common.region.as_ref())?;
    let mut spec = spec("Apply", &args.rule)?;
    args.confirmation.check(common, "`plan`")?;
    progress.print_log(true);
    let mut session = Session::new(common, settings).await?;
    use_destination_profile(&mut session, &args.rule, &mut spec).await?;
    let region = &session.settings.region;
    let planned = Spec { dry_run: true, ..spec.clone() };
    let planned = async || {
        progress.show_during(PLANNING, session.engine(CHANGE_TIME).apply(&planned, region)).await
    };
    if !args.confirmation.confirm_plan(common, planned).await? {
        return Ok(FAILED);
    }
    let outcome =
        progress.show_during("Applying", session.engine(CHANGE_TIME).apply(&spec, region)).await?;
    let outcome = if spec.verify {
        let engine = session.engine(VERIFY_TIME);
        let verified = engine.verify_applied(&spec, outcome, region, true);
        progress.show_during_wait(VERIFYING, verified).await?
    } else {
        outcome
    };
    print_result(&outcome, common)
}

pub async fn verify(args: &Verify, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    progress.print_log(true);
    let requested = RequestedVerification::of_verify(args, common).await?;
    let verification = requested.verification();
    let warnings = progress
        .show_during_wait(
            VERIFYING,
            requested.session.engine(VERIFY_TIME).verify(&verification, requested.region()),
        )
        .await?;
    print_result(&Outcome::of_verification(&verification, Status::Verified, warnings), common)
}

/// The verification that a command asks for.
pub struct RequestedVerification {
    pub session: Session,
    rule: RuleAddress,
    key: Option<KeyReference>,
    access: Access,
}

impl RequestedVerification {
    pub async fn of_verify(args: &Verify, common: &Common) -> Result<Self, Failure> {
        let settings = args.deployment.settings(common.region.as_ref())?;
        let Command::Verify { rule, key, access } = args.command()? else {
            return Err(wrong_command("Verify"));
        };
        let mut session = Session::new(common, settings).await?;
        let access = session.add_destination_profile(args.destination_profile(), access).await?;
        Ok(Self { session, rule, key, access })
    }

    /// The verification that follows an `apply` with `--verify`; `None` without that option.
    pub async fn of_apply(args: &Apply, common: &Common) -> Result<Option<Self>, Failure> {
        let settings = args.deployment.settings(common.region.as_ref())?;
        let mut spec = spec("Apply", &args.rule)?;
        if !spec.verify {
            return Ok(None);
        }
        let mut session = Session::new(common, settings).await?;
        use_destination_profile(&mut session, &args.rule, &mut spec).await?;
        let Spec { rule, destination_access: access, source_keys, .. } = spec;
        let key = match source_keys {
            SourceKeys::Given(keys) => keys.first().cloned(),
            SourceKeys::BucketDefault => None,
        };
        Ok(Some(Self { session, rule, key, access }))
    }

    pub fn verification(&self) -> Verification<'_> {
        Verification {
            rule: &self.rule,
            access: &self.access,
            key: self.key.as_ref(),
            changed: false,
            resumable: true,
        }
    }

    pub fn region(&self) -> &Region {
        &self.session.settings.region
    }
}

fn spec(action: &'static str, rule: &impl Serialize) -> Result<Spec, Failure> {
    match options::command(action, rule)? {
        Command::Apply(spec) => Ok(*spec),
        _ => Err(wrong_command(action)),
    }
}

/// Sets the rule's access to its destination to the profile, and the destination's account to the profile's account.
async fn use_destination_profile(
    session: &mut Session,
    rule: &Rule,
    spec: &mut Spec,
) -> Result<(), Failure> {
    let access = session
        .add_destination_profile(
            rule.target.destination_profile.as_deref(),
            spec.destination_access.clone(),
        )
        .await?;
    if let (Some(requested), Some(account)) = (&spec.destination_account, access.account())
        && requested != account
    {
        return Err(Invalid::new(
            "DestinationAccount",
            format!("is {requested}, but --destination-profile is of account {account}"),
        )
        .into());
    }
    spec.destination_account =
        spec.destination_account.take().or_else(|| access.account().cloned());
    spec.destination_access = access;
    Ok(())
}

pub fn wrong_command(action: &str) -> Failure {
    Error::Internal(format!("`{action}` was read as another command")).into()
}

pub fn print_plan(
    outcome: &Outcome,
    shows_documents: bool,
    common: &Common,
) -> Result<(), Failure> {
    let detail = if shows_documents { Detail::Documents } else { Detail::Changes };
    print_outcome(outcome, Some(detail), common)
}

pub fn print_result(outcome: &Outcome, common: &Common) -> Result<i32, Failure> {
    print_outcome(outcome, None, common)?;
    Ok(DONE)
}

fn print_outcome(
    outcome: &Outcome,
    detail: Option<Detail>,
    common: &Common,
) -> Result<(), Failure> {
    match common.output {
        Output::Text => screen::print(&screen::outcome(outcome, detail)),
        Output::Json => screen::print_json(&RuleAnswer::from(outcome).without_text()),
    }
}

impl Confirmation {
    /// Refuses a command that cannot ask for confirmation, before it reads anything. `preview` is the option or command that only
    /// plans.
    pub fn check(&self, common: &Common, preview: &str) -> Result<(), Failure> {
        let problem = match common.output {
            _ if self.yes => return Ok(()),
            Output::Json => "--output json cannot ask for confirmation",
            Output::Text if screen::is_interactive() => return Ok(()),
            Output::Text => "there is no terminal to ask for confirmation",
        };
        Err(Failure::usage(format!(
            "{problem}; pass --yes, or see the changes first with {preview}"
        )))
    }

    /// Whether the plan is not shown before it is applied: JSON has one answer.
    pub fn is_unseen(&self, common: &Common) -> bool {
        common.output == Output::Json
    }

    /// Prints the plan and asks whether to apply it. An empty plan needs no confirmation.
    async fn confirm_plan(
        &self,
        common: &Common,
        planned: impl AsyncFnOnce() -> Result<Outcome, reconcile::Error>,
    ) -> Result<bool, Failure> {
        if self.is_unseen(common) {
            return Ok(true);
        }
        let outcome = planned().await?;
        print_plan(&outcome, self.documents, common)?;
        Ok(self.yes || outcome.plan.is_empty() || self.confirm("Apply this plan?").await)
    }

    /// Asks for confirmation.
    pub async fn confirm(&self, question: &str) -> bool {
        let is_confirmed = screen::confirm(question).await;
        if !is_confirmed {
            screen::print_to_stderr("nothing was changed");
        }
        is_confirmed
    }
}
