//! The credentials with which AWS is called.

use super::{Account, RoleArn};

/// The credentials of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// The caller's credentials.
    #[default]
    Own,
    /// Credentials of an assumed role.
    Role(AssumedRole),
    /// Credentials of another account that the caller provided, such as a second profile.
    Credentials(Account),
}

/// A role to assume, with the parameters of `AssumeRole`.
///
/// Follows <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssumedRole {
    /// The role.
    pub arn: RoleArn,
    /// The external id, if the role's trust policy requires one: 2 to 1,224 characters.
    pub external_id: Option<String>,
    /// The session's name, which CloudTrail records in the role's account: the source bucket's name.
    pub session: String,
}

impl Access {
    /// The account that is accessed; `None` for the caller's account.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Own => None,
            Self::Role(role) => Some(role.arn.account()),
            Self::Credentials(account) => Some(account),
        }
    }

    /// The access to resources of `account`: this access if it is for `account`, else the caller's credentials.
    #[must_use]
    pub fn for_account(&self, account: &Account) -> Self {
        if self.account() == Some(account) { self.clone() } else { Self::Own }
    }
}
