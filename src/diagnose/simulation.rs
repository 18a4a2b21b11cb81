//! Findings from IAM's simulator, which knows the service control policies (SCPs) of the role's account.
//!
//! It must not know how the simulator is asked.

use super::denial::join;
use super::evidence::{RuleEvidence, Unread};
use super::finding::{Code, Finding, Severity};
use crate::model::{SimulatedCall, Simulation};

/// What the simulator's answers show. `is_explained` says whether the evaluation of the policies has already found that a call is denied.
pub(super) fn examine(
    rule: &RuleEvidence,
    is_explained: bool,
    unread: &mut Vec<Unread>,
) -> Option<Finding> {
    let simulations = match rule.simulations.as_ref()? {
        Ok(simulations) => simulations,
        Err(reason) => {
            unread.push(reason.clone());
            return None;
        }
    };
    let denied_by = |is_denied: &dyn Fn(&Simulation) -> bool| -> Vec<String> {
        let denied = simulations.iter().filter(|(_, simulation)| is_denied(simulation));
        denied
            .map(|(SimulatedCall { action, resource, .. }, _)| {
                format!("`{action}` on `{resource}`")
            })
            .collect()
    };
    let by_organization =
        denied_by(&|simulation| simulation.is_allowed_by_organization == Some(false));
    if !by_organization.is_empty() {
        let message = format!(
            "the service control policies of the account's organization do not allow {}",
            join(&by_organization)
        );
        return Some(
            Finding::new(Code::OrganizationDenies, Severity::FailsNow, message)
                .evidence("IAM's simulator: `AllowedByOrganizations` is false")
                .fix("ask the administrators of the organization to exempt the role from the statement that denies it"),
        );
    }
    let explicitly = denied_by(&|simulation| simulation.is_explicitly_denied);
    if !explicitly.is_empty() && !is_explained {
        unread.push(Unread::undecided(
            "IAM's simulator",
            format!(
                "it says that a statement denies {}, and no statement that was read does",
                join(&explicitly)
            ),
        ));
    }
    None
}
