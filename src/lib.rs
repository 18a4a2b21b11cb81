//! Sets up and maintains S3 replication of KMS-encrypted objects.
//!
//! # Expected flow
//! [`request`] reads a payload into a typed invocation, whose values [`spec`] has validated. [`handler`] runs it with the engine of
//! [`reconcile`]: a snapshot of AWS, read through [`ports`]; the [`plan`] of what must change, with the policy documents of
//! [`iam_policy`]; the actions of the plan; and on request the verdict of [`verify`] on a canary. [`respond`] answers and counts.
//!
//! # Layers
//! A module imports only from modules above it: `model`, `spec`, `iam_policy`, `plan`, `verify`, `ports`, `config`, `request`,
//! `reconcile`, `error`, `respond`, `aws`, `handler`. A test checks that. The first five are pure: they have no async function, clock,
//! environment or client.

pub mod aws;
pub mod config;
pub mod error;
pub mod handler;
pub mod iam_policy;
pub mod model;
pub mod plan;
pub mod ports;
pub mod reconcile;
pub mod request;
pub mod respond;
pub mod spec;
pub mod verify;
