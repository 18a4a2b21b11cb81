//! The credentials with which the destination's account is accessed.

use super::{Invalid, Properties};
use crate::model::{Access, AssumedRole, BucketName, RoleArn};

/// Reads from `properties` how the rules of `source` access the destination's account.
///
/// # Errors
/// The property that cannot be accepted.
pub fn destination_access(properties: &Properties, source: &BucketName) -> Result<Access, Invalid> {
    let external_id =
        properties.destination_role_external_id.as_deref().map(external_id).transpose();
    let external_id =
        external_id.map_err(|problem| Invalid::new("DestinationRoleExternalId", problem))?;
    match &properties.destination_role_arn {
        Some(arn) => {
            let arn = RoleArn::parse(arn)
                .map_err(|problem| Invalid::new("DestinationRoleArn", problem))?;
            Ok(Access::Role(AssumedRole { arn, external_id, session: source.to_string() }))
        }
        None if external_id.is_some() => {
            Err(Invalid::new("DestinationRoleExternalId", "needs `DestinationRoleArn`"))
        }
        None => Ok(Access::Own),
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
