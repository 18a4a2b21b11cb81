//! The command that deletes a rule.
//!
//! It must not know how a rule is deleted, nor what is said of its bucket.

mod source_state;

use s3_kms_replication::error::Error;
use s3_kms_replication::plan::Plan;
use s3_kms_replication::reconcile::{self, Outcome};
use s3_kms_replication::request::Command;

use self::source_state::SourceState;
use crate::options::{self, Common, Delete};
use crate::progress::Progress;
use crate::rule::{PLANNING, print_plan, print_result, wrong_command};
use crate::session::{CHANGE_TIME, Session};
use crate::{DONE, FAILED, Failure};

pub async fn delete(args: &Delete, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = args.deployment.settings(common.region.as_ref())?;
    let Command::Delete { rule, access, .. } = options::command("Delete", &args.target)? else {
        return Err(wrong_command("Delete"));
    };
    let policy = options::read_policy(args.policy.as_deref())?;
    if !args.dry_run {
        args.confirmation.check(common, "--dry-run")?;
    }
    progress.print_log(true);
    let mut session = Session::new(common, settings).await?;
    let access =
        session.add_destination_profile(args.target.destination_profile.as_deref(), access).await?;
    let source = progress
        .show_during(PLANNING, SourceState::read(&session, &rule))
        .await
        .map_err(Error::from)?;
    let mut warnings = Vec::from_iter(source.remaining_statements(&rule, &access));
    match &policy {
        Some(policy) => source.refuse_if_requested(&rule, policy, &session).await?,
        None => warnings.extend(source.possible_owner(&rule)),
    }

    let remove = async |dry_run| -> Result<Outcome, reconcile::Error> {
        let engine = session.engine(CHANGE_TIME);
        let message = if dry_run { PLANNING } else { "Deleting" };
        let region = &session.settings.region;
        let outcome =
            progress.show_during(message, engine.delete(&rule, &access, region, dry_run)).await?;
        let Plan { stages, kept, warnings: of_plan } = outcome.plan;
        let warnings = of_plan.into_iter().chain(warnings.iter().cloned()).collect();
        Ok(Outcome { plan: Plan { stages, kept, warnings }, ..outcome })
    };
    if args.dry_run || !args.confirmation.is_unseen(common) {
        let planned = remove(true).await?;
        if planned.plan.is_empty() {
            return Err(source.nothing_to_delete(&rule));
        }
        print_plan(&planned, args.confirmation.documents, common)?;
        if args.dry_run {
            return Ok(DONE);
        }
        if !args.confirmation.yes && !args.confirmation.confirm("Apply this plan?").await {
            return Ok(FAILED);
        }
    }
    let outcome = remove(false).await?;
    if outcome.plan.is_empty() {
        return Err(source.nothing_to_delete(&rule));
    }
    print_result(&outcome, common)
}
