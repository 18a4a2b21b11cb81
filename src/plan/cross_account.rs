//! The statements that the replication role needs in policies of the destination's account.
//!
//! # Guarantees
//! - A statement is written after the rule's inline policy and removed before the rule's inline policy. The inline policy therefore shows
//!   which resources may have statements.
//! - While a rule changes, the policies have its earlier statements and its new ones.
//! - Without access to the destination's account, the plan lists the statements that have to be added there. The parts of the destination that
//!   can be read must be right.

mod actions;
mod required;

use self::actions::{check_size, parse, put, remove, sids};
pub use self::actions::{foreign_statements, remove_statements};
use self::required::RequiredStatement;
pub(super) use self::required::RequiredStatements;
use super::{Action, ApplySnapshot, Refusal, ResourcePolicySnapshot};
use crate::iam_policy::Statement;
use crate::model::Access;

/// The changes in the destination's account.
#[derive(Default)]
pub(super) struct CrossAccount {
    /// Actions that write copies of the earlier statements, which the rule needs until it has changed.
    pub keep: Vec<Action>,
    /// Actions that write the statements.
    pub put: Vec<Action>,
    /// Actions that remove obsolete statements.
    pub withdraw: Vec<Action>,
    /// The statements that have to be added by hand.
    pub manual: Option<String>,
}

impl CrossAccount {
    /// Plans the changes of the other accounts' policies.
    pub fn new(required: &RequiredStatements, snapshot: &ApplySnapshot) -> Result<Self, Refusal> {
        let mut plan = Self { manual: required.manual(), ..Self::default() };
        for statement in &required.required {
            if statement.target.access() != &Access::Own {
                plan.put(statement, &snapshot.resource_policies)?;
            }
        }
        for policy in &snapshot.resource_policies {
            plan.withdraw_obsolete(required, policy);
        }
        Ok(plan)
    }

    /// Puts a statement into its policy. Until the rule has changed, the policy keeps the earlier statement as well.
    fn put(
        &mut self,
        RequiredStatement { target, statement }: &RequiredStatement,
        policies: &[ResourcePolicySnapshot],
    ) -> Result<(), Refusal> {
        let current = policies.iter().find(|policy| policy.target == *target);
        let current = current.and_then(|policy| policy.policy.as_deref());
        let Some(action) = put(target, current, statement)? else {
            return Ok(());
        };
        if let Action::PutStatement { before: Some(before), .. } = &action
            && let Some(earlier) = Statement::parse_as_earlier(before)
            && let Some(keep) = put(target, current, &earlier)?
        {
            check_size(target, parse(target, current)?.with(&earlier).with(statement))?;
            let (sid, before) = (earlier.sid().to_owned(), earlier.to_string());
            self.withdraw.push(Action::RemoveStatement { target: target.clone(), sid, before });
            self.keep.push(keep);
        }
        self.put.push(action);
        Ok(())
    }

    /// Removes the statements from a policy that needs none, and the earlier ones from every policy.
    fn withdraw_obsolete(
        &mut self,
        required: &RequiredStatements,
        policy: &ResourcePolicySnapshot,
    ) {
        let is_required = required.required.iter().any(|other| other.target == policy.target);
        let sids = sids(&required.sid);
        let obsolete =
            sids.iter().skip(usize::from(is_required)).filter_map(|sid| remove(policy, sid));
        let is_planned = |action: &Action| {
            self.withdraw.iter().any(|other| other.resource() == action.resource())
        };
        let obsolete: Vec<Action> = obsolete.filter(|action| !is_planned(action)).collect();
        self.withdraw.extend(obsolete);
    }
}
