//! Checks of KMS keys.
//!
//! It must not know what the role may do with a key.

use std::collections::BTreeSet;

use aws_sdk_kms::types::KeyState;

use super::{ApplySnapshot, Refusal};
use crate::model::Key;
use crate::spec::{SourceKeys, Spec};

/// The replica key's ARN, if S3 can use the key.
pub(super) fn replica_key(spec: &Spec, snapshot: &ApplySnapshot) -> Result<String, Refusal> {
    let property = "`ReplicaKmsKeyArn`";
    let key = check_usable(property, spec.replica_key.as_str(), snapshot.replica_key.as_ref())?;
    if key.aws_managed {
        return Err(Refusal::KeyManagedByAws {
            property: property.to_owned(),
            key: key.arn.clone(),
        });
    }
    Ok(key.arn.clone())
}

/// The ARNs of the source keys, if S3 can use all of them.
pub(super) fn source_keys(
    spec: &Spec,
    snapshot: &ApplySnapshot,
) -> Result<BTreeSet<String>, Refusal> {
    let property = match &spec.source_keys {
        SourceKeys::BucketDefault => format!("default encryption of bucket `{}`", spec.rule.source),
        SourceKeys::Given(keys) => {
            let region = &snapshot.source.location.region;
            if let Some(key) = keys.iter().find(|key| key.region() != region) {
                let (bucket, region) = (spec.rule.source.clone(), region.clone());
                return Err(Refusal::SourceKeyInOtherRegion {
                    key: key.to_string(),
                    bucket,
                    region,
                });
            }
            "`SourceKmsKeyArns`".to_owned()
        }
    };
    let usable = |(id, key): &(String, Option<Key>)| {
        Ok(check_usable(&property, id, key.as_ref())?.arn.clone())
    };
    let mut keys =
        snapshot.source_keys.iter().map(usable).collect::<Result<BTreeSet<String>, Refusal>>()?;
    for key in &snapshot.unread_source_keys {
        if key.is_alias() {
            return Err(Refusal::UnreadableAlias { property, key: key.to_string() });
        }
        keys.insert(key.to_string());
    }
    Ok(keys)
}

/// What the caller should know about the keys.
pub(super) fn warnings(snapshot: &ApplySnapshot) -> impl Iterator<Item = String> {
    snapshot.unread_source_keys.iter().map(|key| {
        format!(
            "key `{key}` of another account cannot be read from this account, so it is taken as given: whether it exists, is enabled and trusts the role was not checked"
        )
    })
}

/// Refuses a key that S3 cannot use, and returns any other key.
pub(crate) fn check_usable<'a>(
    property: &str,
    id: &str,
    key: Option<&'a Key>,
) -> Result<&'a Key, Refusal> {
    let property = || property.to_owned();
    let key =
        key.ok_or_else(|| Refusal::KeyMissing { property: property(), key: id.to_owned() })?;
    // While a multi-Region key's primary Region changes, its keys are `Updating`, and are used as before.
    if key.state != KeyState::Enabled && key.state != KeyState::Updating {
        return Err(Refusal::KeyNotEnabled {
            property: property(),
            key: key.arn.clone(),
            state: key.state.clone(),
        });
    }
    if !key.symmetric {
        return Err(Refusal::KeyNotSymmetric { property: property(), key: key.arn.clone() });
    }
    Ok(key)
}
