//! The text of plans: a stage, its actions, the changes of each action, and in front of each a sign that says whether something is added,
//! changed or removed.
//!
//! This module owns the text and its order. It must not know colors, which the command-line program gives to the kinds of line.

use std::fmt;

use super::{Action, Effect, Plan};

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The actions alone.
    Actions,
    /// The values that each action changes as well.
    Changes,
    /// The policy documents in full as well.
    Documents,
}

/// A line of a plan's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The beginning of a stage.
    Stage(String),
    /// What an action does.
    Action(Effect, String),
    /// A value that the action changes.
    Change(Effect, String),
    /// A line of a policy document.
    Document(String),
    /// What the plan deliberately leaves as it is.
    Kept(String),
    /// What the caller should know.
    Warning(String),
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(name) => write!(formatter, "stage {name}"),
            Self::Action(effect, text) => write!(formatter, "  {} {text}", effect.sign()),
            Self::Change(effect, text) => write!(formatter, "      {} {text}", effect.sign()),
            Self::Document(text) => write!(formatter, "        {text}"),
            Self::Kept(text) => write!(formatter, "kept: {text}"),
            Self::Warning(text) => write!(formatter, "warning: {text}"),
        }
    }
}

/// How many actions of a plan add, change and remove something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    add: usize,
    change: usize,
    remove: usize,
}

impl Summary {
    /// The summary of a plan that was applied.
    pub fn applied(self) -> String {
        let Self { add, change, remove } = self;
        format!("{add} added, {change} changed, {remove} removed")
    }
}

/// The summary of a plan that is not applied yet.
impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { add, change, remove } = self;
        write!(formatter, "{add} to add, {change} to change, {remove} to remove")
    }
}

impl Plan {
    /// How many actions add, change and remove something.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for action in self.actions() {
            match action.effect() {
                Effect::Add => summary.add += 1,
                Effect::Change => summary.change += 1,
                Effect::Remove => summary.remove += 1,
            }
        }
        summary
    }

    /// The lines of the plan's text.
    pub fn lines(&self, detail: Detail) -> Vec<Line> {
        let mut lines = Vec::new();
        for stage in &self.stages {
            lines.push(Line::Stage(stage.name.to_string()));
            lines.extend(stage.actions.iter().flat_map(|action| action.lines(detail)));
        }
        lines.extend(self.kept.iter().cloned().map(Line::Kept));
        lines.extend(self.warnings.iter().cloned().map(Line::Warning));
        lines
    }
}

impl Action {
    fn lines(&self, detail: Detail) -> Vec<Line> {
        let mut lines = vec![Line::Action(self.effect(), self.to_string())];
        if detail == Detail::Actions {
            return lines;
        }
        let own_rule =
            self.changed_rule().map(|rule| format!("Rules[{rule}].")).unwrap_or_default();
        lines.extend(self.changes().into_iter().map(|change| {
            let path = change.path.strip_prefix(&own_rule).unwrap_or(&change.path);
            Line::Change(change.effect(), change.text(path))
        }));
        if detail == Detail::Documents {
            let document = self.document_text().unwrap_or_default();
            lines.extend(document.lines().map(|line| Line::Document(line.to_owned())));
        }
        lines
    }
}

/// The plan with the values that change, without policy documents.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(Detail::Changes).iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}
