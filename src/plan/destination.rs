//! The destination bucket: its location, its creation and its settings.
//!
//! It must not know how the destination's tags and settings were read.

use super::{Action, ApplySnapshot, Destination, Refusal, has_own_rule_to};
use crate::model::{Access, BucketLocation, Encryption, Versioning};
use crate::spec::{ExistingDestination, Spec};

/// The location of the destination, which may not exist yet.
pub(super) fn location(spec: &Spec, snapshot: &ApplySnapshot) -> Result<BucketLocation, Refusal> {
    match &snapshot.destination {
        Some(destination) if destination.location.region != spec.destination_region => {
            Err(Refusal::DestinationInOtherRegion {
                bucket: spec.destination.clone(),
                region: destination.location.region.clone(),
                key: spec.replica_key.to_string(),
            })
        }
        Some(destination) => {
            check_may_be_used(spec, snapshot, destination)?;
            check_versioning(destination, snapshot)?;
            Ok(destination.location.clone())
        }
        None if spec.create_destination_bucket => match intended_location(spec, snapshot) {
            BucketLocation { owner, access: Access::Own, .. }
                if owner != snapshot.identity.account =>
            {
                Err(Refusal::DestinationOutOfReach {
                    bucket: spec.destination.clone(),
                    account: owner,
                })
            }
            location => {
                let name = &location.bucket;
                name.namespace_for_creation(&location.owner, &location.region)
                    .map_err(|problem| Refusal::DestinationNotCreatable { problem })?;
                Ok(location)
            }
        },
        None => Err(Refusal::DestinationMissing { bucket: spec.destination.clone() }),
    }
}

/// Refuses a destination without versioning if the caller has no access to enable it.
fn check_versioning(destination: &Destination, snapshot: &ApplySnapshot) -> Result<(), Refusal> {
    let Destination { location: BucketLocation { bucket, owner, access, .. }, versioning, .. } =
        destination;
    let can_be_enabled = *owner == snapshot.identity.account || *access != Access::Own;
    if *versioning == Versioning::Enabled || can_be_enabled {
        return Ok(());
    }
    Err(Refusal::DestinationNotVersioned {
        bucket: bucket.clone(),
        account: owner.clone(),
        versioning: *versioning,
    })
}

/// Refuses an existing destination that was not created for this source and that the rule does not replicate to, if the spec says so.
fn check_may_be_used(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    destination: &Destination,
) -> Result<(), Refusal> {
    let arn = spec.destination.arn(snapshot.identity.partition);
    let is_ours = destination.tagged_for.as_deref() == Some(spec.rule.source.as_str())
        || has_own_rule_to(snapshot.source.replication.as_ref(), &arn);
    match spec.existing_destination {
        ExistingDestination::Refuse if !is_ours => Err(Refusal::DestinationExists {
            bucket: spec.destination.clone(),
            source_bucket: spec.rule.source.clone(),
        }),
        ExistingDestination::Refuse | ExistingDestination::Use => Ok(()),
    }
}

/// What the caller should know about an existing destination.
pub(super) fn warning(spec: &Spec, snapshot: &ApplySnapshot) -> Option<String> {
    let source = snapshot.destination.as_ref()?.tagged_for.as_ref()?;
    let other = Some(source).filter(|source| *source != spec.rule.source.as_str())?;
    Some(format!(
        "`DestinationBucket` `{}` was created for bucket `{other}`: an object of bucket `{}` replaces the replica of an object with the same key",
        spec.destination, spec.rule.source
    ))
}

/// The location where the destination is created.
pub(super) fn intended_location(spec: &Spec, snapshot: &ApplySnapshot) -> BucketLocation {
    BucketLocation {
        bucket: spec.destination.clone(),
        region: spec.destination_region.clone(),
        owner: spec
            .destination_account
            .clone()
            .unwrap_or_else(|| snapshot.identity.account.clone()),
        access: spec.destination_access.clone(),
    }
}

/// Actions that create the destination, or repair an existing one.
pub(super) fn prepare(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    location: &BucketLocation,
    replica_key: &str,
) -> Vec<Action> {
    let Some(destination) = &snapshot.destination else {
        return vec![Action::CreateBucket {
            location: location.clone(),
            source: spec.rule.source.clone(),
        }];
    };
    let mut actions = Vec::new();
    if destination.versioning != Versioning::Enabled {
        actions.push(Action::EnableVersioning {
            location: location.clone(),
            before: destination.versioning,
        });
    }
    if let Some(created) = &destination.created {
        let is_right = matches!(
            &created.encryption,
            Encryption::Kms { key: Some(key), bucket_key: true, .. } if key == replica_key
        );
        if !is_right {
            let before = created.encryption.clone();
            actions.push(Action::EncryptBucket {
                location: location.clone(),
                before,
                key: replica_key.to_owned(),
            });
        }
        if !created.public_access_blocked {
            actions.push(Action::BlockPublicAccess { location: location.clone() });
        }
    }
    actions
}

/// Actions that configure a destination that [`prepare`] creates.
pub(super) fn configure_created(
    snapshot: &ApplySnapshot,
    location: &BucketLocation,
    replica_key: &str,
) -> Vec<Action> {
    if snapshot.destination.is_some() {
        return Vec::new();
    }
    let location = || location.clone();
    vec![
        Action::EnableVersioning { location: location(), before: Versioning::Off },
        Action::EncryptBucket {
            location: location(),
            before: Encryption::S3,
            key: replica_key.to_owned(),
        },
        Action::BlockPublicAccess { location: location() },
    ]
}
