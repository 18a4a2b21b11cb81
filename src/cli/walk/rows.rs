//! The result of a walk: a row for each rule of each bucket, and the summary.
//!
//! It owns the table. It must not know how a row comes about.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::roles::Roles;
use super::state::State;
use crate::options::{Common, Output};
use crate::{DONE, FAILED, Failure, screen};

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    pub bucket: String,
    pub rule_id: String,
    pub state: State,
    pub why: String,
    /// The names of the roles that the bucket's plan creates.
    #[serde(skip)]
    pub new_roles: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rows {
    pub rows: Vec<Row>,
    summary: BTreeMap<State, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
}

impl Rows {
    /// The rows in order, with their summary.
    pub fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_by(|left, right| {
            (&left.bucket, &left.rule_id).cmp(&(&right.bucket, &right.rule_id))
        });
        let mut summary = BTreeMap::new();
        for row in &rows {
            *summary.entry(row.state).or_default() += 1;
        }
        Self { rows, summary, roles: None }
    }

    /// The names of the roles that the buckets' plans create.
    pub fn new_roles(&self) -> BTreeSet<&String> {
        self.rows.iter().flat_map(|row| &row.new_roles).collect()
    }

    /// The rows of rules that are still to be changed.
    pub fn pending(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.state.is_pending())
    }

    pub fn exit_code(&self) -> i32 {
        if self.rows.iter().any(|row| row.state.is_failure()) { FAILED } else { DONE }
    }

    pub fn print(&self, common: &Common) -> Result<(), Failure> {
        if common.output == Output::Json {
            return screen::print_json(self);
        }
        let (skipped, rows): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.state == State::Skipped);
        let rows = rows.into_iter().map(|Row { bucket, rule_id, state, why, .. }| {
            [bucket.clone(), state.colored(), rule_id.clone(), why.clone()]
        });
        let summary = self
            .summary
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect::<Vec<_>>()
            .join(", ");
        let rows = Vec::from_iter(rows);
        let table = if rows.is_empty() {
            String::new()
        } else {
            screen::table(["BUCKET", "STATE", "RULE", "WHY"], &rows) + "\n"
        };
        let summary = if summary.is_empty() { "the account has no buckets" } else { &summary };
        screen::print(&format!("{table}{}{summary}\n", list_skipped(&skipped)))?;
        match self.roles {
            Some(roles) => screen::print(&roles.text()),
            None => Ok(()),
        }
    }
}

/// The number of skipped buckets that are named for each reason.
const NAMED_BUCKETS: usize = 5;

/// A line for each reason for which buckets are skipped.
fn list_skipped(rows: &[&Row]) -> String {
    let mut buckets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows {
        buckets.entry(&row.why).or_default().push(&row.bucket);
    }
    let line = |(why, buckets): (&str, Vec<&str>)| {
        let names = buckets.iter().take(NAMED_BUCKETS).copied().collect::<Vec<_>>().join(", ");
        let others = match buckets.len().saturating_sub(NAMED_BUCKETS) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        format!("skipped {}, {why}: {names}{others}\n", buckets.len())
    };
    buckets.into_iter().map(line).collect()
}
