//! Rules that match a bucket's name and no longer its tags.
//!
//! It must not know which rules these are: [`super::decision`] decides that.

use tokio::time::sleep;

use super::converge::{DesiredState, Planned, RequestScope};
use super::deleted_bucket::ABSENCE_PAUSE;
use super::snapshot::{DeleteFirstReads, DeleteRule};
use super::{Engine, Error, Outcome, Status};
use crate::config::PolicyRule;
use crate::model::BucketLocation;
use crate::plan::{self, Plan};
use crate::ports::{Cloud, Read};

impl<C: Cloud> Engine<'_, C> {
    /// Removes a rule from a bucket that has lost the rule's tags, unless the bucket has them again.
    pub(super) async fn remove_untagged_rule(
        &self,
        rule: &PolicyRule,
        location: &BucketLocation,
        dry_run: bool,
    ) -> Result<Outcome, Error> {
        let (address, access) =
            (rule.address(&location.bucket), rule.destination_access(&location.bucket));
        let delete = DeleteRule {
            reader: self.reader(),
            rule: &address,
            access: &access,
            expected: &location.region,
        };
        let desired = UntaggedRule { delete, rule, location };
        let scope = RequestScope {
            access: &access,
            ..RequestScope::new(location.bucket.as_str(), dry_run)
        };
        let planned = self.converge(&scope, None, &desired).await?;
        Ok(planned.into_outcome(address.clone(), Status::Removed, dry_run))
    }
}

/// Removes a rule from a bucket whose tags it does not match.
struct UntaggedRule<'a, R> {
    delete: DeleteRule<'a, R>,
    rule: &'a PolicyRule,
    location: &'a BucketLocation,
}

impl<R: Read> DesiredState for UntaggedRule<'_, R> {
    type FirstReads = DeleteFirstReads;

    async fn first_reads(&self) -> Result<DeleteFirstReads, Error> {
        self.delete.first_reads().await
    }

    fn needs_lease(&self, first_reads: &DeleteFirstReads) -> bool {
        first_reads.is_present
    }

    async fn read_and_plan(&self, first_reads: DeleteFirstReads) -> Result<Planned, Error> {
        let reader = self.delete.reader;
        let snapshot = reader.delete_snapshot(&self.delete, first_reads, false).await?;
        let plan = plan::delete(self.delete.rule, &snapshot);
        // One answer is no proof: S3 may answer for a moment that a bucket has no tags.
        if !plan.is_empty() {
            sleep(ABSENCE_PAUSE).await;
            let tags = reader.cloud.bucket_tags(self.location).await?;
            if self.rule.matches_tags(&tags) {
                return Ok(Plan::default().into());
            }
        }
        Ok(plan.into())
    }
}
