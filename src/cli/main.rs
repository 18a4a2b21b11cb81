//! The command line program: the function's engine, asked by a person in a terminal or by a script.
//!
//! It owns options, what is printed, and exit codes; what replication needs, and how it is done, is the library's alone.

mod options;
mod policies;
mod progress;
mod rule;
mod screen;
mod session;
mod walk;

use std::ffi::OsString;
use std::process::exit;

use clap::{CommandFactory, Parser};
use s3_kms_replication::error::Error;
use s3_kms_replication::reconcile;
use s3_kms_replication::spec::Invalid;
use serde::Serialize;
use tokio::runtime;

use crate::options::{Action, CommandLine, Common, Output};
use crate::progress::Progress;

/// Exit codes.
const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const PENDING: i32 = 3;
const INTERRUPTED: i32 = 130;

/// Why the program ends without having done what was asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    #[serde(skip)]
    code: i32,
    error: &'static str,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, error: "InvalidRequest", message: message.into() }
    }

    fn other(message: impl Into<String>) -> Self {
        Self { code: FAILED, error: "Failed", message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = if error.is_invalid() { USAGE } else { FAILED };
        Self { code, error: error.kind(), message: options::in_options(&error_message(error)) }
    }
}

/// What the AWS SDK says when it finds no credentials, which helps nobody.
const NO_CREDENTIALS: [&str; 2] =
    ["the credential provider was not enabled", "no providers in chain provided credentials"];

/// An error in words, without the parameter that would give a deployed function its missing right: here the rights are the person's own.
fn error_message(mut error: Error) -> String {
    if let Some(failure) = error.failure_mut() {
        failure.parameter = None;
    }
    error.to_string()
}

impl From<reconcile::Error> for Failure {
    fn from(error: reconcile::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Error::from(invalid).into()
    }
}

impl Failure {
    /// What helps against it, as far as the options do.
    fn hint(&self, common: &Common) -> String {
        match &common.profile {
            _ if !NO_CREDENTIALS.iter().any(|said| self.message.contains(said)) => String::new(),
            _ if self.message.starts_with("--destination-profile") => {
                "; this profile has no credentials".to_owned()
            }
            Some(profile) => format!("; --profile {profile} has no credentials"),
            None => "; give --profile, or credentials as the AWS CLI takes them".to_owned(),
        }
    }
}

/// Ends the program as clap does, but for an error about the command line that was to be answered in JSON.
fn misused(error: &clap::Error) -> ! {
    let asked: Vec<OsString> = std::env::args_os().collect();
    let in_json = asked.iter().any(|word| word == "--output=json")
        || asked.windows(2).any(|words| words == ["--output", "json"]);
    if in_json && error.use_stderr() {
        let message = error.to_string();
        let message =
            message.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        screen::say(&serde_json::to_string(&Failure::usage(message)).unwrap_or_default());
        exit(USAGE)
    }
    error.exit()
}

fn main() {
    let CommandLine { action, common } =
        CommandLine::try_parse().unwrap_or_else(|error| misused(&error));
    screen::colour(common.color);
    let progress = Progress::default();
    let ended = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(interruptible(&action, &common, &progress));
            // A question that nobody answers would keep it waiting.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::other(error.to_string())),
    };
    let code = ended.unwrap_or_else(|mut failure| {
        failure.message += &failure.hint(&common);
        screen::say(&match common.output {
            Output::Text => format!("{} {}", screen::red("error:"), failure.message),
            Output::Json => serde_json::to_string(&failure).unwrap_or_default(),
        });
        failure.code
    });
    exit(code)
}

/// Does what was asked for until Ctrl-C. Between any two calls that is safe: the same command finds out what is left.
async fn interruptible(
    action: &Action,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    tokio::select! {
        ended = act(action, common, progress) => ended,
        _ = tokio::signal::ctrl_c() => {
            progress.clear();
            let message = match action {
                Action::Apply(_) | Action::Delete(_) => "interrupted; what was done stays, and the same command does the rest",
                Action::Verify(_) => "interrupted; the same command goes on with the object that was written, and removes it",
                _ => "interrupted; nothing was changed",
            };
            Err(Failure { code: INTERRUPTED, error: "Interrupted", message: message.to_owned() })
        }
    }
}

async fn act(action: &Action, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    match action {
        Action::Plan(asked) if asked.walk.all => walk::plan(asked, common, progress).await,
        Action::Apply(asked) if asked.walk.all => walk::apply(asked, common, progress).await,
        Action::Plan(asked) => rule::plan(asked, common, progress).await,
        Action::Apply(asked) => rule::apply(asked, common, progress).await,
        Action::Delete(asked) => rule::delete(asked, common, progress).await,
        Action::Verify(asked) => rule::verify(asked, common, progress).await,
        Action::Policies(asked) => policies::print(asked, common),
        Action::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                *shell,
                &mut CommandLine::command(),
                "s3-kms-replication",
                &mut script,
            );
            screen::print_bytes(&script)
        }
        Action::Man { command } => manual(command.as_deref()),
    }
}

fn manual(command: Option<&str>) -> Result<i32, Failure> {
    let mut all = CommandLine::command();
    all.build();
    let asked = match command {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    };
    let asked = asked.ok_or_else(|| {
        Failure::usage(format!("there is no command `{}`", command.unwrap_or_default()))
    })?;
    let mut page = Vec::new();
    clap_mangen::Man::new(asked)
        .render(&mut page)
        .map_err(|error| Failure::other(error.to_string()))?;
    screen::print_bytes(&page)
}

#[cfg(test)]
mod tests {
    use s3_kms_replication::model::{ApiError, Retry};

    use super::*;

    #[test]
    fn a_person_is_told_of_no_parameter_of_the_template() {
        let (resource, code, message) =
            ("bucket `copy`".to_owned(), "AccessDenied".to_owned(), "no".to_owned());
        let failure = ApiError {
            operation: "CreateBucket",
            resource,
            code,
            message,
            parameter: None,
            retry: Retry::Never,
        };
        let failure = Box::new(failure.with_parameter(Some("AllowCreateDestinationBuckets")));
        let error = reconcile::Error::Apply {
            failure,
            done: Vec::new(),
            left: vec!["CreateBucket on bucket `copy`".to_owned()],
        };
        assert!(error.to_string().contains("AllowCreateDestinationBuckets"));
        let interrupted = reconcile::Error::Interrupted {
            error: Box::new(error),
            done: vec!["CreateRole".to_owned()],
        };
        assert_eq!(
            error_message(interrupted.into()),
            "CreateBucket on bucket `copy`: AccessDenied: no; done before: nothing; not done: CreateBucket on bucket `copy`; done before: CreateRole"
        );
    }
}
