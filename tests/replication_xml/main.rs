//! The replication configuration as XML: what is kept of foreign rules, and which answers of S3 are believed.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod configuration;
mod generated;
mod wire;
