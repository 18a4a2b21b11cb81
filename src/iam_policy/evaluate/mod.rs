//! Evaluation of IAM policies, whoever wrote them, in three values: allowed, denied, undecided.
//!
//! It owns the reading of policy documents and AWS's evaluation logic within one account and across accounts: identity policies,
//! a permissions boundary, and the policy of a bucket, of a key with its grants, or of a role. It must not know which calls S3 makes, nor what
//! a denial means to a person. What a request carries is the caller's to say in a [`Context`]; a key that it says nothing of is unknown.
//! A request about any object of a bucket has an open name, [`Text::Open`].
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>.
//!
//! # Guarantees
//! - [`Decision::Allowed`] and [`Decision::Denied`] hold for every value of every unknown key, for every end of an open name,
//!   for every owner of a resource whose owner is unknown, and for every name of a session.
//! - The time to evaluate grows with the product of a pattern's length and the length of the text it is matched with, and no faster.
//!
//! # Caveats
//! - Service control policies, resource control policies and session policies are not evaluated.
//! - [`Decision::Undecided`] looks at each condition by itself. Two statements whose conditions complement each other, such as an Allow for
//!   one source IP and an Allow for all others, are undecided as long as the key is unknown.

mod condition;
mod context;
mod decision;
mod document;
mod element;
mod evaluation;
mod grant;
mod json;
mod layers;
mod pattern;
mod principal;
mod statement;
mod template;
mod text;
mod truth;

#[cfg(test)]
mod tests;

pub use context::Context;
pub use decision::{Cause, Decision, Denial, DenialReason, Layer, Undecided};
pub use document::{Policy, PolicyError, PolicySource, StatementRef};
pub use evaluation::{decide, examples};
pub use grant::Grant;
pub use layers::{Owner, Policies, Request, ResourcePolicy};
pub use principal::Principal;
pub use statement::{Mismatch, NearMiss};
pub use text::Text;
