//! The replication configuration: tables of what is read, refused, edited and equal.

mod edits;
mod reading;
mod support;
