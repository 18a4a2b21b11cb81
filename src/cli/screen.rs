//! Output: answers on standard output, everything else on standard error, with color on a terminal.
//!
//! It must not know the commands or their exit codes.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use s3_kms_replication::plan::{Detail, Effect, Line};
use s3_kms_replication::reconcile::Outcome;
use s3_kms_replication::respond;
use serde::Serialize;
use terminal_size::Width;

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

/// The text about a rule, as in the function's answers but with color. Only its first line without `detail`.
pub fn outcome(outcome: &Outcome, detail: Option<Detail>) -> String {
    let lines = detail.map(|detail| outcome.plan.lines(detail)).unwrap_or_default();
    let closing = detail.and_then(|_| respond::closing(outcome));
    let lines = std::iter::once(bold(&respond::heading(outcome)))
        .chain(lines.iter().map(plan_line))
        .chain(closing.map(|closing| bold(&closing)));
    lines.map(|line| line + "\n").collect()
}

/// A line of a plan. Only the sign in front of it has a color.
fn plan_line(line: &Line) -> String {
    let text = line.to_string();
    let first_word = |color: fn(&str) -> String, word: &str| text.replacen(word, &color(word), 1);
    match line {
        Line::Action(effect, _) | Line::Change(effect, _) => {
            let color = match effect {
                Effect::Add => green,
                Effect::Change => yellow,
                Effect::Remove => red,
            };
            first_word(color, &effect.sign().to_string())
        }
        Line::Warning(_) => first_word(yellow, "warning:"),
        Line::Stage(_) => bold(&text),
        Line::Document(_) | Line::Kept(_) => text,
    }
}

/// Formats rows as a table with headings. On a terminal, the last column is wrapped at words. Cells can have color.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let columns = terminal_size::terminal_size_of(io::stdout())
        .map_or(usize::MAX, |(Width(columns), _)| usize::from(columns));
    table_of_width(columns, headings, rows)
}

fn table_of_width<const N: usize>(
    columns: usize,
    headings: [&str; N],
    rows: &[[String; N]],
) -> String {
    let headings = headings.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&headings]).filter_map(|row| row.get(column));
        cells.map(|cell| visible_width(cell)).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let indent = widths.iter().rev().skip(1).map(|width| width + 2).sum::<usize>();
    let line = |cells: &[String; N]| {
        let Some((last, others)) = cells.split_last() else { return String::new() };
        let mut line = String::new();
        for (cell, width) in others.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(width + 2 - visible_width(cell));
        }
        line +=
            &wrap(last, columns.saturating_sub(indent)).join(&format!("\n{}", " ".repeat(indent)));
        line.trim_end().to_owned() + "\n"
    };
    let first = bold(line(&headings).trim_end()) + "\n";
    first + &rows.iter().map(line).collect::<String>()
}

/// The number of characters of a text without its colors.
fn visible_width(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|part| part.chars().count()).sum()
}

/// The narrowest column in which a text is wrapped. In a narrower one, every line would be a word.
const MIN_WRAPPED_WIDTH: usize = 20;

/// The lines of a text of at most `width` characters, broken between words. A longer word is a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if width < MIN_WRAPPED_WIDTH || visible_width(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if visible_width(line) + 1 + visible_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_column_of_a_table_is_wrapped_at_words_and_colors_take_no_width() {
        let row = |name: &str, why: &str| [name.to_owned(), green("ok"), why.to_owned()];
        let rows = [
            row("a", "one two three four five six"),
            row("long-name", "arn:aws:kms:us-west-2:key one"),
        ];
        let text = |columns| {
            let table = table_of_width(columns, ["NAME", "STATE", "WHY"], &rows);
            anstream::adapter::strip_str(&table).to_string()
        };
        assert_eq!(
            text(38),
            "NAME       STATE  WHY\n\
             a          ok     one two three four\n                  five six\n\
             long-name  ok     arn:aws:kms:us-west-2:key\n                  one\n"
        );
        let unwrapped = "NAME       STATE  WHY\n\
             a          ok     one two three four five six\n\
             long-name  ok     arn:aws:kms:us-west-2:key one\n";
        assert_eq!([text(usize::MAX), text(30)], [unwrapped, unwrapped]);
    }
}
