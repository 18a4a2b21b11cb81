//! Whom a statement of a bucket's or a key's policy allows something: an account, or roles alone.
//!
//! It owns what makes a statement ours, and the form of a statement for a role that does not exist yet. It must not know which actions a
//! statement allows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::iam_policy::Statement;
use crate::iam_policy::statement::{Values, condition};
use crate::model::{Account, Partition};

/// Whom a statement allows something.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Grant {
    effect: String,
    principal: Option<Principal>,
    /// In any form that AWS accepts.
    #[serde(default)]
    condition: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Principal {
    Kinds(BTreeMap<String, Values>),
    Everyone(IgnoredAny),
}

impl Grant {
    fn aws_principals(&self) -> Vec<&str> {
        match &self.principal {
            Some(Principal::Kinds(kinds)) => {
                let principals = kinds.get("AWS").into_iter().flat_map(|Values(names)| names);
                principals.map(String::as_str).collect()
            }
            Some(Principal::Everyone(_)) | None => Vec::new(),
        }
    }

    pub(super) fn is_to_account(&self) -> bool {
        self.effect == "Allow"
            && self.aws_principals().iter().any(|name| is_account(name))
            && !self.is_to_roles_of_account()
    }

    fn is_to_roles(&self) -> bool {
        let principals = self.aws_principals();
        !principals.is_empty() && principals.iter().all(|name| is_role(name))
    }

    /// Whether the statement is to an account, and a condition confines it to roles, as [`Statement::for_future_role`] does.
    fn is_to_roles_of_account(&self) -> bool {
        let principals = self.aws_principals();
        let confined_to = self.condition.get(ROLE_OPERATOR).and_then(|keys| keys.get(ROLE_KEY));
        let confined_to = confined_to.and_then(|roles| Values::deserialize(roles).ok());
        !principals.is_empty()
            && principals.iter().all(|name| is_account(name))
            && confined_to.is_some_and(|Values(roles)| {
                !roles.is_empty() && roles.iter().all(|role| is_role(role))
            })
    }
}

/// The operator and the key of the condition that confines a statement to a role.
const ROLE_OPERATOR: &str = "ArnEquals";
const ROLE_KEY: &str = "aws:PrincipalArn";

fn is_account(principal: &str) -> bool {
    principal.ends_with(":root") || Account::parse(principal).is_ok()
}

/// AWS writes the unique id of a role that no longer exists in place of the role's ARN.
fn is_role(principal: &str) -> bool {
    principal.contains(":role/") || principal.starts_with("AROA")
}

impl Statement {
    /// Whether `text`, a statement under a `Sid` of ours, is ours: it allows something to roles alone, also in the form that a person pasted before
    /// the role existed. Others may have changed what our statement allows, which is repaired.
    pub fn is_own_text(text: &str) -> bool {
        let Ok(grant) = serde_json::from_str::<Grant>(text) else {
            return false;
        };
        let names_roles_only = match &grant.principal {
            Some(Principal::Kinds(kinds)) => kinds.keys().all(|kind| kind == "AWS"),
            Some(Principal::Everyone(_)) | None => false,
        };
        grant.effect == "Allow"
            && names_roles_only
            && (grant.is_to_roles() || grant.is_to_roles_of_account())
    }

    /// This statement for a role that may not exist yet. AWS refuses a principal that does not exist, so the principal is the account, and a
    /// condition confines the statement to the role.
    #[must_use]
    pub fn for_future_role(mut self, partition: Partition, account: &Account) -> Self {
        if let Some(role) = self.principal.insert("AWS".to_owned(), root(partition, account)) {
            self.condition.extend(condition(ROLE_OPERATOR, [(ROLE_KEY, role)]));
        }
        self
    }
}

pub(super) fn root(partition: Partition, account: &Account) -> Values {
    Values::from([format!("arn:{partition}:iam::{account}:root")])
}
