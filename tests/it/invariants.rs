//! Invariants of docs/architecture.md, by their numbers. Those that concern one feature are with it, under the same kind of name.

mod deletion;
mod foreign_rules;
mod one_answer;
mod outcomes;
mod refusals;
mod replaced_ids;
mod rule_order;
