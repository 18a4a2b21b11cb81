//! What ends the program early: Ctrl-C and SIGTERM, and what is then cleaned up.
//!
//! It must not know how a verification works.
//!
//! A canary is removed, since nothing else would remove it until the rule's next Verify. A second signal ends the program at once.

use std::time::Duration;

use s3_kms_replication::error::Error;

use crate::options::{Commands, Common};
use crate::rule::RequestedVerification;
use crate::{Failure, screen};

/// Time for removing a canary. Service managers kill a process some 10 to 30 seconds after SIGTERM.
const CLEANUP_TIME: Duration = Duration::from_secs(10);

/// A signal that ends the program.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// The exit code: 128 and the number of the signal, as shells report it.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Waits for a signal.
pub async fn received() -> Signal {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Signal::Interrupt,
        () = terminated() => Signal::Terminate,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without a handler, SIGTERM ends the process at once.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Cleans up after the command, and says what is left.
pub async fn end(signal: Signal, command: &Commands, common: &Common) -> Failure {
    let (signal, removed) = tokio::select! {
        removed = remove_canary(command, common) => (signal, removed),
        signal = received() => (signal, Err("a second signal ended the removal of its object".to_owned())),
    };
    let left = match (command, removed) {
        (_, Err(problem)) => format!(
            "{problem}; `verify` of the rule with the same options removes the object that was written for it"
        ),
        (Commands::Verify(_), Ok(true)) => {
            "no object of the verification is left; `verify` of the rule also removes one that arrives later".to_owned()
        }
        (Commands::Verify(_), Ok(false)) => "no object was written".to_owned(),
        (Commands::Apply(_), Ok(_)) => "completed changes stay, and the same command does the rest".to_owned(),
        (Commands::Delete(args), Ok(_)) if !args.dry_run => {
            "completed changes stay, and the same command does the rest".to_owned()
        }
        (Commands::Replay(args), Ok(_)) if !args.dry_run => {
            "completed changes stay, and the same command does the rest".to_owned()
        }
        (
            Commands::Plan(_)
            | Commands::Delete(_)
            | Commands::Diagnose(_)
            | Commands::Replay(_)
            | Commands::Policies(_)
            | Commands::Completions { .. }
            | Commands::Man { .. },
            Ok(_),
        ) => "nothing was changed".to_owned(),
    };
    Failure {
        code: signal.exit_code(),
        error: "Interrupted",
        message: format!("interrupted; {left}"),
    }
}

/// Removes the canary of an interrupted command; `false` when the command writes none or could not have written one. The walk's
/// canaries stay: the next walk or the function continues with them.
async fn remove_canary(command: &Commands, common: &Common) -> Result<bool, String> {
    let requested = match command {
        Commands::Verify(args) => RequestedVerification::of_verify(args, common).await.map(Some),
        Commands::Apply(args) if !args.walk.all => {
            RequestedVerification::of_apply(args, common).await
        }
        Commands::Apply(_)
        | Commands::Plan(_)
        | Commands::Delete(_)
        | Commands::Diagnose(_)
        | Commands::Replay(_)
        | Commands::Policies(_)
        | Commands::Completions { .. }
        | Commands::Man { .. } => Ok(None),
    };
    let Some(requested) = requested.map_err(|failure| failure.message)? else {
        return Ok(false);
    };
    screen::print_to_stderr(
        "interrupted; removing the object of the verification, if there is one (a second signal ends at once)",
    );
    let engine = requested.session.engine(CLEANUP_TIME);
    let removed =
        engine.remove_interrupted_canary(&requested.verification(), requested.region()).await;
    match removed {
        Ok(left) if left.is_empty() => Ok(true),
        Ok(left) => {
            let buckets: Vec<String> =
                left.iter().map(|location| format!("`{}`", location.bucket)).collect();
            Err(format!("the object is still in bucket {}", buckets.join(", ")))
        }
        Err(error) if error.is_refusal() => Ok(false),
        Err(error) => Err(format!("the object could not be looked for: {}", Error::from(error))),
    }
}
