//! Output: answers on standard output, everything else on standard error, with color on a terminal.
//!
//! It must not know the commands or their exit codes.

use std::fmt::Write as _;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use s3_kms_replication::plan::{Change, Plan};
use s3_kms_replication::reconcile::Outcome;
use serde::Serialize;

use crate::{DONE, Failure};

/// Sets whether the program prints in color. `Auto` depends on `NO_COLOR` and on the terminal.
pub fn set_color(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

pub fn bold(text: &str) -> String {
    styled(Style::new().bold(), text)
}

pub fn red(text: &str) -> String {
    styled(AnsiColor::Red.on_default(), text)
}

pub fn green(text: &str) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

pub fn yellow(text: &str) -> String {
    styled(AnsiColor::Yellow.on_default(), text)
}

/// Prints an answer. A closed pipe is no error: the reader has read enough.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("the output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

pub fn print_bytes(bytes: &[u8]) -> Result<i32, Failure> {
    print(&String::from_utf8_lossy(bytes)).map(|()| DONE)
}

pub fn print_json(answer: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(answer).map_err(|error| Failure::other(error.to_string()))?;
    print(&(text + "\n"))
}

/// Prints a line that is not part of the answer.
pub fn print_to_stderr(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Whether a person can answer questions.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Asks for confirmation. Only `y` and `yes` confirm.
pub async fn confirm(question: &str) -> bool {
    let _ = write!(anstream::stderr(), "{} [y/N] ", bold(question));
    // A thread of its own reads the answer, so that Ctrl-C still works.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The first line about a rule, as in the function's answers.
pub fn heading(outcome: &Outcome) -> String {
    format!(
        "{}\n",
        bold(&format!(
            "rule `{}` of bucket `{}`: {:?}",
            outcome.rule.id, outcome.rule.source, outcome.status
        ))
    )
}

/// A plan as text, as in the function's answers but with color. Policy documents are included only with `shows_documents`.
pub fn plan(plan: &Plan, shows_documents: bool) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.extend([line.as_str(), "\n"]);
    if plan.is_empty() {
        line("nothing to do".to_owned());
    }
    for stage in &plan.stages {
        line(format!("stage {}", stage.name));
        for action in &stage.actions {
            line(format!("  {} on {}", bold(action.operation()), action.resource()));
            for change in action.changes() {
                let (before, after) = (
                    Change::shown(change.before.as_deref()),
                    Change::shown(change.after.as_deref()),
                );
                line(format!("    {}: {} => {}", change.path, red(before), green(after)));
            }
            match action.document() {
                None => {}
                Some(document) if shows_documents => {
                    line("    document:".to_owned());
                    let document = serde_json::to_string_pretty(document).unwrap_or_default();
                    document
                        .lines()
                        .for_each(|document_line| line(format!("      {}", green(document_line))));
                }
                Some(_) => line("    document: (--documents shows it)".to_owned()),
            }
        }
    }
    for kept in &plan.kept {
        let _ = writeln!(text, "kept: {kept}");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "{} {warning}", yellow("warning:"));
    }
    text
}

/// Formats rows as a table with headings.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column).map(|cell| cell.chars().count()));
        cells.chain(headings.get(column).map(|heading| heading.len())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let headings = bold(line(&headings.map(str::to_owned)).trim_end()) + "\n";
    headings + &rows.iter().map(line).collect::<String>()
}
