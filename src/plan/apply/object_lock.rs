//! What S3 Object Lock at either end rules out.
//!
//! It must not know how the locks are read.

use crate::plan::{ApplySnapshot, Refusal};
use crate::spec::Spec;

/// Refuses a destination without the Object Lock of the source, and a canary that Object Lock may keep from being removed.
pub(super) fn check_object_lock(spec: &Spec, snapshot: &ApplySnapshot) -> Result<(), Refusal> {
    let source_lock = snapshot.source.object_lock;
    let destination_lock =
        snapshot.destination.as_ref().is_some_and(|destination| destination.object_lock);
    let (source, destination) = (&spec.rule.source, &spec.destination);
    if source_lock && !destination_lock {
        return Err(Refusal::LockedSource {
            source_bucket: source.clone(),
            destination: destination.clone(),
        });
    }
    if spec.verify && (source_lock || destination_lock) {
        return Err(Refusal::LockedCanary {
            bucket: if source_lock { source } else { destination }.clone(),
        });
    }
    Ok(())
}
