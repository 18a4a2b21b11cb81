//! Who asks, and whom a policy names.
//!
//! It owns how directly a policy names somebody. It must not know what follows from that: [`super::evaluation`] does.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>.

use super::decision::Cause;
use super::document::{object, texts};
use super::json::Json;
use super::truth::Truth;
use crate::model::{Account, RoleArn};

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A session of a role.
    RoleSession {
        /// The role, with its path.
        role: RoleArn,
        /// The session's name, if it is known.
        session: Option<String>,
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

/// How directly a policy names the one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    /// Whether it names the account, whose administrators may let its users and roles in.
    pub account: Truth,
    /// Whether it names the role of a session. What is given so is limited by the role's permissions boundary.
    pub role: Truth,
    /// Whether it names the session, the user or the service itself, or everyone. A boundary does not limit what is given so, even where a
    /// condition on `aws:PrincipalArn` narrows everyone down to the role.
    pub itself: Truth,
}

impl Naming {
    pub const NOBODY: Self = Self { account: Truth::No, role: Truth::No, itself: Truth::No };

    fn or(self, other: Self) -> Self {
        Self {
            account: self.account.or(other.account),
            role: self.role.or(other.role),
            itself: self.itself.or(other.itself),
        }
    }

    pub fn any(self) -> Truth {
        Truth::any([self.account, self.role, self.itself])
    }
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

    /// What a policy writes to name this principal as exactly as it is known.
    pub(super) fn text(&self) -> String {
        match self {
            Self::RoleSession { role, session: Some(session) } => session_arn(role, session),
            Self::RoleSession { role, session: None } => role.as_str().to_owned(),
            Self::User { arn, .. } => arn.clone(),
            Self::Service(name) => name.clone(),
        }
    }

    /// How an ARN names this principal.
    pub(super) fn naming(&self, arn: &str) -> Naming {
        match self {
            Self::RoleSession { role, session } => {
                let is_of_role = arn.starts_with(&session_arn(role, ""));
                let itself = match session {
                    Some(session) => (arn == session_arn(role, session)).into(),
                    None if is_of_role => Truth::unknown(Cause::SessionName),
                    None => Truth::No,
                };
                Naming { role: (arn == role.as_str()).into(), itself, ..Naming::NOBODY }
            }
            Self::User { arn: own, .. } => Naming { itself: (arn == own).into(), ..Naming::NOBODY },
            Self::Service(_) => Naming::NOBODY,
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

    /// How directly the element of an Allow names `principal`. IAM takes no Allow with `NotPrincipal`, which would name everyone else.
    pub fn allowed(&self, principal: &Principal) -> Naming {
        let naming = self.naming(principal);
        if self.negated { Naming { itself: !naming.any(), ..Naming::NOBODY } } else { naming }
    }

    /// Whether the element of a Deny is about `principal`. With `NotPrincipal` AWS looks at the account first, then at the role, then at the
    /// session: all of them must be named for the exception to be certain, and one of them for it to be possible.
    pub fn denied(&self, principal: &Principal) -> Truth {
        let naming = self.naming(principal);
        if !self.negated {
            return naming.any();
        }
        if self.named.contains(&Named::Everyone) {
            return Truth::No;
        }
        let is_needed = |naming: Naming| match principal {
            Principal::RoleSession { .. } => vec![naming.account, naming.role, naming.itself],
            Principal::User { .. } => vec![naming.account, naming.itself],
            Principal::Service(_) => vec![naming.itself],
        };
        let excepted = Truth::either(
            Cause::NotPrincipal,
            Truth::all(is_needed(naming.clone())),
            Truth::any(is_needed(naming)),
        );
        !excepted
    }

    fn naming(&self, principal: &Principal) -> Naming {
        self.named.iter().fold(Naming::NOBODY, |naming, named| naming.or(named.naming(principal)))
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

    fn naming(&self, principal: &Principal) -> Naming {
        let itself = |is_it: Truth| Naming { itself: is_it, ..Naming::NOBODY };
        let account = |is_it: Truth| Naming { account: is_it, ..Naming::NOBODY };
        match self {
            Self::Everyone => itself(Truth::Yes),
            Self::Account { id, .. } => {
                account(principal.account().is_some_and(|own| own.as_str() == id).into())
            }
            Self::Aws(arn) => principal.naming(arn),
            Self::Service(name) => {
                itself(matches!(principal, Principal::Service(own) if own == name).into())
            }
            Self::CanonicalUser(_) if principal.account().is_some() => {
                account(Truth::unknown(Cause::CanonicalUser))
            }
            Self::CanonicalUser(_) | Self::Federated(_) => Naming::NOBODY,
        }
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
