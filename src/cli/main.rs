//! The command-line program: the same engine as the Lambda function, for a person in a terminal or for a script.
//!
//! It owns options, output and exit codes. It must not know what replication needs or how it is set up: that is in the library.

mod delete;
mod diagnose;
mod interrupt;
mod options;
mod policies;
mod progress;
mod replay;
mod rule;
mod screen;
mod session;
mod walk;

use std::ffi::OsString;
use std::process::exit;

use clap::FromArgMatches;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::shell;
use s3_kms_replication::plan::{Refusal, StatementToAdd};
use s3_kms_replication::reconcile;
use s3_kms_replication::spec::Invalid;
use serde::Serialize;
use tokio::runtime;

use crate::options::{CommandLine, Commands, Common, Output};
use crate::progress::Progress;

// Exit codes; `--help` explains them.
const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const PENDING: i32 = 3;
const FAILS: i32 = 4;
const UNKNOWN: i32 = 5;

/// Why a command failed, as it is printed with `--output json`.
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
        let kind = error.kind();
        let message = match &error {
            Error::Reconcile(reconcile::Error::Refused(Refusal::DestinationNotReadable {
                failures,
                statements,
            })) => not_readable(failures, statements),
            _ => options::name_options(&error_message(error)),
        };
        Self { code, error: kind, message }
    }
}

/// The refusal of a destination in another account: what this program can do about it first, and then what others must do.
fn not_readable(failures: &[String], statements: &[StatementToAdd]) -> String {
    let mut lines = vec!["the destination cannot be read from this account:".to_owned()];
    lines.extend(failures.iter().map(|failure| format!("  {failure}")));
    lines.push(
        "pass --destination-profile NAME or --destination-role-arn ARN of the destination's account; or have these statements added there:"
            .to_owned(),
    );
    let mut target_before = None;
    for StatementToAdd { target, statement } in statements {
        if target_before != Some(target) {
            lines.push(format!("  to the policy of {target}:"));
            target_before = Some(target);
        }
        let statement = serde_json::to_string_pretty(statement).unwrap_or_default();
        lines.extend(statement.lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

/// Messages of the AWS SDK when it finds no credentials. They do not tell a person what to do.
const NO_CREDENTIALS: [&str; 4] = [
    // The last place where they are looked for: the metadata service of an instance.
    "IMDS",
    "the credential provider was not enabled",
    "no providers in chain provided credentials",
    "was not defined",
];

/// The error's message without the name of a template parameter. Such a parameter would grant a deployed function the missing
/// right, but this program uses the person's own rights.
fn error_message(mut error: Error) -> String {
    if let Some(failure) = error.failure_mut() {
        failure.missing_right = None;
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
    /// The failure, or what to do about credentials that are missing.
    fn explained(mut self, common: &Common) -> Self {
        if NO_CREDENTIALS.iter().any(|message| self.message.contains(message)) {
            self.message = match (&common.profile, self.message.split_once(':')) {
                (_, Some((option, _))) if option.starts_with("--destination-profile") => {
                    format!("no credentials: {option} has none")
                }
                (Some(profile), _) => {
                    let login = shell::line(&["aws", "sso", "login", "--profile", profile]);
                    format!("no credentials: --profile {profile} has none; try `{login}`")
                }
                (None, _) => {
                    "no credentials: use `aws sso login`, --profile or AWS_PROFILE".to_owned()
                }
            };
        }
        self
    }
}

/// Prints the error of the command line and exits. With `--output json` the error is JSON; otherwise clap prints it.
fn exit_with_clap_error(error: &clap::Error) -> ! {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--output=json")
        || arguments.windows(2).any(|pair| pair == ["--output", "json"]);
    if wants_json && error.use_stderr() {
        let message = error.to_string();
        let message =
            message.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        screen::print_to_stderr(
            &serde_json::to_string(&Failure::usage(message)).unwrap_or_default(),
        );
        exit(USAGE)
    }
    error.exit()
}

fn parse_arguments() -> Result<CommandLine, clap::Error> {
    CommandLine::from_arg_matches(&options::command_line().try_get_matches()?)
}

fn main() {
    let CommandLine { command, common } =
        parse_arguments().unwrap_or_else(|error| exit_with_clap_error(&error));
    screen::set_color(common.color);
    let progress = Progress::default();
    let result = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run_until_interrupted(&command, &common, &progress));
            // A normal shutdown would wait for the thread that reads the answer to a question.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::other(error.to_string())),
    };
    let code = result.unwrap_or_else(|failure| {
        let failure = failure.explained(&common);
        screen::print_to_stderr(&match common.output {
            Output::Text => format!("{} {}", screen::red("error:"), failure.message),
            Output::Json => serde_json::to_string(&failure).unwrap_or_default(),
        });
        failure.code
    });
    exit(code)
}

/// Runs the command until it ends, or until Ctrl-C or SIGTERM. An interruption between any two calls is safe: the same command
/// completes the rest.
async fn run_until_interrupted(
    command: &Commands,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    tokio::select! {
        result = run_command(command, common, progress) => result,
        signal = interrupt::received() => {
            progress.clear();
            Err(interrupt::end(signal, command, common).await)
        }
    }
}

async fn run_command(
    command: &Commands,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    match command {
        Commands::Plan(args) if args.walk.all => walk::plan(args, common, progress).await,
        Commands::Apply(args) if args.walk.all => walk::apply(args, common, progress).await,
        Commands::Plan(args) => rule::plan(args, common, progress).await,
        Commands::Apply(args) => rule::apply(args, common, progress).await,
        Commands::Delete(args) => delete::delete(args, common, progress).await,
        Commands::Verify(args) => rule::verify(args, common, progress).await,
        Commands::Diagnose(args) => diagnose::diagnose(args, common, progress).await,
        Commands::Replay(args) => replay::replay(args, common, progress).await,
        Commands::Policies(args) => policies::print(args, common),
        Commands::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                *shell,
                &mut options::command_line(),
                "s3-kms-replication",
                &mut script,
            );
            screen::print_bytes(&script)
        }
        Commands::Man { command } => print_manual(command.as_deref()),
    }
}

fn print_manual(command: Option<&str>) -> Result<i32, Failure> {
    let mut program = options::command_line();
    program.build();
    let documented = match command {
        None => Some(program),
        Some(name) => program.find_subcommand(name).cloned(),
    };
    let documented = documented.ok_or_else(|| {
        Failure::usage(format!("there is no command `{}`", command.unwrap_or_default()))
    })?;
    let mut page = Vec::new();
    clap_mangen::Man::new(documented)
        .render(&mut page)
        .map_err(|error| Failure::other(error.to_string()))?;
    let page = String::from_utf8_lossy(&page);
    let page = match page.split_once(".SH EXTRA\n") {
        None => page.into_owned(),
        Some((before, extra)) => {
            let (examples, after) = extra.split_once(".SH ").unwrap_or((extra, ""));
            let heading = ["Examples:\n", "Example:\n"]
                .into_iter()
                .find(|heading| examples.starts_with(heading));
            let examples = examples.strip_prefix(heading.unwrap_or_default()).unwrap_or(examples);
            let after = if after.is_empty() { String::new() } else { format!(".SH {after}") };
            // The examples keep their lines.
            format!("{before}.SH EXAMPLES\n.nf\n{examples}.fi\n{after}")
        }
    };
    screen::print(&page).map(|()| DONE)
}

#[cfg(test)]
mod tests {
    use s3_kms_replication::model::{ApiError, OptionalRight, Retry};

    use super::*;

    #[test]
    fn error_message_omits_the_template_parameter() {
        let (resource, code, message) =
            ("bucket `copy`".to_owned(), "AccessDenied".to_owned(), "no".to_owned());
        let failure = ApiError {
            operation: "CreateBucket",
            resource,
            code,
            message,
            missing_right: None,
            retry: Retry::Never,
        };
        let failure =
            Box::new(failure.with_needed_right(Some(OptionalRight::CreateDestinationBucket)));
        let error = reconcile::Error::Apply {
            failure,
            done: Vec::new(),
            not_done: vec!["CreateBucket on bucket `copy`".to_owned()],
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
