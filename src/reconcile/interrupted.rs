//! Cleanup after a verification that its caller has stopped.
//!
//! It must not know why the verification was stopped.

use super::verify::Verification;
use super::{Engine, Error};
use crate::model::{BucketLocation, Region};
use crate::ports::Cloud;

impl<C: Cloud> Engine<'_, C> {
    /// Removes the canary that a stopped [`Engine::verify`] may have written, and returns the buckets that still have it.
    ///
    /// A write or a replica that is still under way may arrive later; the rule's next Verify removes it.
    ///
    /// # Errors
    /// Any [`Error`]. A [refusal](Error::is_refusal) means that the verification could not write a canary.
    pub async fn remove_interrupted_canary(
        &self,
        verification: &Verification<'_>,
        expected: &Region,
    ) -> Result<Vec<BucketLocation>, Error> {
        let sites = self.before_deadline(self.canary_sites(verification, expected)).await?;
        let traces = sites.traces();
        // What cannot be removed is found by the reads below.
        self.remove_traces(&traces, self.deadline).await.ok();
        let mut left = Vec::new();
        for location in traces.source.into_iter().chain(traces.destinations) {
            let versions =
                self.before_deadline(self.cloud.versions(&location, &traces.key)).await?;
            if !versions.objects.is_empty() || !versions.delete_markers.is_empty() {
                left.push(location);
            }
        }
        Ok(left)
    }
}
