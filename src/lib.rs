//! Sets up and maintains S3 replication of KMS-encrypted objects.
//!
//! # Expected flow
//! 1. [`request`] reads a payload into a typed invocation. [`spec`] validates its values.
//! 2. [`handler`] passes the invocation to the engine in [`reconcile`].
//! 3. The engine reads a snapshot of AWS through [`ports`].
//! 4. [`plan`] plans what must change, with the policy documents of [`iam_policy`].
//! 5. The engine applies the plan. When the request asks for it, [`verify`] judges whether a canary was replicated.
//! 6. [`diagnose`] says why the replication of a bucket fails, whoever set it up.
//! 7. [`respond`] makes the answer and counts for the metrics.
//!
//! # Layers
//! A module imports only from modules above it: `model`, `spec`, `iam_policy`, `plan`, `verify`, `diagnose`, `ports`, `config`,
//! `request`, `reconcile`, `error`, `respond`, `aws`, `handler`. A test checks that. The first six are pure: they have no async
//! function, clock, environment or client.

pub mod aws;
pub mod config;
pub mod diagnose;
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
