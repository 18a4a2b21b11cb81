//! The command that replicates once more what S3 failed to replicate.
//!
//! It must not know how a job is planned.

use s3_kms_replication::reconcile::{self, Replay, ReplayRequest};
use s3_kms_replication::request::Command;
use s3_kms_replication::respond::{ReplayAnswer, replay_text};

use crate::options::{self, Common, Deployment, Output, Replay as Arguments};
use crate::progress::Progress;
use crate::rule::{PLANNING, wrong_command};
use crate::session::{CHANGE_TIME, Session};
use crate::{DONE, FAILED, Failure, screen};

pub async fn replay(
    args: &Arguments,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    let deployment = Deployment { function: args.function.clone(), ..Deployment::default() };
    let settings = deployment.settings(common.region.as_ref())?;
    let Command::Replay { source, name, report, selection, .. } = options::command("Replay", args)?
    else {
        return Err(wrong_command("Replay"));
    };
    if !args.dry_run {
        args.confirmation.check(common, "--dry-run")?;
    }
    progress.print_log(true);
    let session = Session::new(common, settings).await?;
    let run = async |dry_run| -> Result<Replay, reconcile::Error> {
        let request = ReplayRequest {
            source: &source,
            name: name.as_deref(),
            selection,
            report: &report,
            expected: &session.settings.region,
            dry_run,
        };
        let engine = session.engine(CHANGE_TIME);
        let message = if dry_run { PLANNING } else { "Starting the job" };
        progress.show_during(message, engine.replay(&request)).await
    };
    if args.dry_run || !args.confirmation.is_unseen(common) {
        let planned = run(true).await?;
        print(&planned, common)?;
        let needs_confirmation = match &planned {
            Replay::Foreign(_) => return Ok(FAILED),
            Replay::Own(replayed) => !replayed.plan.is_empty(),
        };
        if args.dry_run || !needs_confirmation {
            return Ok(DONE);
        }
        if !args.confirmation.yes && !args.confirmation.confirm("Start this job?").await {
            return Ok(FAILED);
        }
    }
    let replayed = run(false).await?;
    print(&replayed, common)?;
    Ok(match replayed {
        Replay::Own(_) => DONE,
        Replay::Foreign(_) => FAILED,
    })
}

fn print(replay: &Replay, common: &Common) -> Result<(), Failure> {
    match common.output {
        Output::Text => screen::print(&replay_text(replay)),
        Output::Json => screen::print_json(&ReplayAnswer::from(replay).without_text()),
    }
}
