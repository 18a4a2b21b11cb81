//! With whose credentials AWS is called.

use super::{Account, RoleArn};

/// With whose credentials a call is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// The caller's own.
    #[default]
    Own,
    /// Those of an assumed role.
    Role(AssumedRole),
    /// Those of another account that the caller gave, such as those of a second profile.
    Credentials(Account),
}

/// A role to assume, with the parameters of `AssumeRole`.
///
/// Follows <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssumedRole {
    /// The role.
    pub arn: RoleArn,
    /// The external id that the role's trust policy may demand: 2 to 1,224 characters.
    pub external_id: Option<String>,
    /// Name of the session, as the role's account sees it in CloudTrail: the source bucket's.
    pub session: String,
}

impl Access {
    /// The account that is accessed, when it is known to be another than the caller's.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Own => None,
            Self::Role(role) => Some(role.arn.account()),
            Self::Credentials(account) => Some(account),
        }
    }

    /// This access for resources of `account`, and the caller's own for all others.
    #[must_use]
    pub fn for_account(&self, account: &Account) -> Self {
        if self.account() == Some(account) { self.clone() } else { Self::Own }
    }
}
