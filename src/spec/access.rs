//! With whose credentials AWS is called.

use super::{Account, BucketName, Invalid, Properties, RoleArn};

/// With whose credentials a call is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// The caller's own.
    #[default]
    Own,
    /// Those of a role that is assumed.
    Role(AssumedRole),
    /// Those of this account that the caller has beside its own.
    Given(Account),
}

/// A role that is assumed, and what that takes.
///
/// Follows <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssumedRole {
    /// The role.
    pub arn: RoleArn,
    /// What the role's trust policy may ask for: 2 to 1,224 characters.
    pub external_id: Option<String>,
    /// Name of the session, as the role's account sees it in CloudTrail: the source bucket's.
    pub session: String,
}

impl Access {
    /// What `properties` say about the destination's account, for what is done there on behalf of `source`.
    ///
    /// # Errors
    /// The property that cannot be accepted.
    pub fn of_destination(properties: &Properties, source: &BucketName) -> Result<Self, Invalid> {
        let external_id = properties.destination_role_external_id.as_deref().map(external_id).transpose();
        let external_id = external_id.map_err(|problem| Invalid::new("DestinationRoleExternalId", problem))?;
        match &properties.destination_role_arn {
            Some(arn) => {
                let arn = RoleArn::parse(arn).map_err(|problem| Invalid::new("DestinationRoleArn", problem))?;
                Ok(Self::Role(AssumedRole { arn, external_id, session: source.to_string() }))
            }
            None if external_id.is_some() => Err(Invalid::new("DestinationRoleExternalId", "needs `DestinationRoleArn`")),
            None => Ok(Self::Own),
        }
    }

    /// The account that is accessed, when it is known to be another than the caller's.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Own => None,
            Self::Role(role) => Some(role.arn.account()),
            Self::Given(account) => Some(account),
        }
    }

    /// This access for what `account` owns, and the caller's own for all else.
    #[must_use]
    pub fn to(&self, account: &Account) -> Self {
        if self.account() == Some(account) { self.clone() } else { Self::Own }
    }
}

fn external_id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    if (2..=1_224).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("is `{text}`; an external id has 2 to 1,224 letters, digits and `_+=,.@:/-`"))
    }
}
