//! Who asks, and whom a policy names.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.

use super::document::{object, texts};
use super::json::Json;
use crate::model::{Account, RoleArn};

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A session of a role.
    RoleSession {
        /// The role, with its path.
        role: RoleArn,
        /// The session's name.
        session: String,
    },
    /// An IAM user, by its ARN.
    User {
        /// The user's ARN.
        arn: String,
        /// The user's account.
        account: Account,
    },
    /// A service, by its name, such as `s3.amazonaws.com`.
    Service(String),
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrincipalElement {
    pub negated: bool,
    named: Vec<Named>,
}

/// What a policy names. The text is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Everyone,
    Account {
        id: String,
        text: String,
    },
    Aws(String),
    Service(String),
    Federated(String),
    /// An account, by an id that does not show which account.
    CanonicalUser(String),
}

/// How directly a policy names the one who asks. A larger value gives more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// The account: its administrators may let its users and roles in.
    Account,
    /// The role of a session: limited by the role's permissions boundary.
    Role,
    /// The session, the user or the service itself, or everyone: a boundary does not limit what is given so, even where a condition on
    /// `aws:PrincipalArn` narrows everyone down to the role.
    Itself,
}

impl Principal {
    /// The account of the one who asks; `None` for a service.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::RoleSession { role, .. } => Some(role.account()),
            Self::User { account, .. } => Some(account),
            Self::Service(_) => None,
        }
    }

    /// The value of `aws:PrincipalArn`: of a session, its role's ARN.
    pub(super) fn arn(&self) -> Option<&str> {
        match self {
            Self::RoleSession { role, .. } => Some(role.as_str()),
            Self::User { arn, .. } => Some(arn),
            Self::Service(_) => None,
        }
    }

    /// What a policy writes to name exactly this principal.
    pub(super) fn text(&self) -> String {
        match self {
            Self::RoleSession { role, session } => session_arn(role, session),
            Self::User { arn, .. } => arn.clone(),
            Self::Service(name) => name.clone(),
        }
    }

    fn naming(&self, named: &Named) -> Option<Naming> {
        let matched = |matches: bool, naming| matches.then_some(naming);
        match (named, self) {
            (Named::Everyone, _) => Some(Naming::Itself),
            (Named::Service(name), Self::Service(own)) => matched(name == own, Naming::Itself),
            (Named::Account { id, .. }, _) => {
                let own = self.account().is_some_and(|account| account.as_str() == id);
                matched(own, Naming::Account)
            }
            (Named::Aws(arn), Self::RoleSession { role, .. }) if arn == role.as_str() => {
                Some(Naming::Role)
            }
            (Named::Aws(arn), _) => matched(*arn == self.text(), Naming::Itself),
            (Named::Service(_) | Named::Federated(_) | Named::CanonicalUser(_), _) => None,
        }
    }
}

fn session_arn(role: &RoleArn, session: &str) -> String {
    let name = role.as_str().rsplit('/').next().unwrap_or_default();
    format!("arn:{}:sts::{}:assumed-role/{name}/{session}", role.partition(), role.account())
}

impl PrincipalElement {
    pub fn read(json: Json, negated: bool) -> Result<Self, String> {
        let name = if negated { "NotPrincipal" } else { "Principal" };
        let named = match json {
            Json::Text(everyone) if everyone == "*" => vec![Named::Everyone],
            Json::Text(other) => {
                return Err(format!("`{name}` is `{other}`; it is `*` or a JSON object"));
            }
            json => {
                let mut named = Vec::new();
                for (kind, values) in object(json, &format!("`{name}`"))? {
                    for value in texts(values, &kind)? {
                        named.push(Named::read(&kind, value)?);
                    }
                }
                named
            }
        };
        Ok(Self { negated, named })
    }

    /// What the policy names, as written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(Named::text)
    }

    /// Whether an account is named by its canonical user ID, and may be the account of the one who asks.
    pub fn has_canonical_user(&self, principal: &Principal) -> bool {
        let is_canonical = |named: &Named| matches!(named, Named::CanonicalUser(_));
        principal.account().is_some() && self.named.iter().any(is_canonical)
    }

    /// How directly `principal` is named; for `NotPrincipal`, that none of the named is the one who asks.
    pub fn matches(&self, principal: &Principal) -> Option<Naming> {
        let naming = self.named.iter().filter_map(|named| principal.naming(named)).max();
        match (self.negated, naming) {
            (false, naming) => naming,
            (true, Some(_)) => None,
            (true, None) => Some(Naming::Itself),
        }
    }
}

impl Named {
    fn read(kind: &str, value: String) -> Result<Self, String> {
        Ok(match kind {
            "AWS" if value == "*" => Self::Everyone,
            "AWS" => match account_of(&value) {
                Some(id) => Self::Account { id, text: value },
                None => Self::Aws(value),
            },
            "Service" => Self::Service(value),
            "Federated" => Self::Federated(value),
            "CanonicalUser" => Self::CanonicalUser(value),
            other => {
                return Err(format!(
                    "`{other}` is no kind of principal; kinds are AWS, Service, Federated and CanonicalUser"
                ));
            }
        })
    }

    fn text(&self) -> &str {
        match self {
            Self::Everyone => "*",
            Self::Account { text, .. }
            | Self::Aws(text)
            | Self::Service(text)
            | Self::Federated(text)
            | Self::CanonicalUser(text) => text,
        }
    }
}

/// The account that a text names: its id, or the ARN of its root.
fn account_of(text: &str) -> Option<String> {
    let id = match text.split(':').collect::<Vec<_>>().as_slice() {
        [id] | ["arn", _, "iam", "", id, "root"] => *id,
        _ => return None,
    };
    Account::parse(id).ok().map(|account| account.as_str().to_owned())
}
