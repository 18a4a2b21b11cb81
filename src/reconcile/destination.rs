//! Reads of the destination bucket, and of whose it is.
//!
//! Anyone who may tag a bucket can write our tag, so the tag alone says nothing: it counts where the source that it names has a rule of ours to
//! the bucket, or while the bucket has no object that could be replaced.

use tokio::try_join;

use super::snapshot::SnapshotReader;
use crate::model::{
    Access, ApiError, BucketName, Identity, Location, OWNER_TAG, ReplicationConfiguration,
};
use crate::plan::{self, Created, Destination};
use crate::ports::Read;
use crate::spec::{ExistingDestination, Spec};

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the destination at `location`. `replication` is the source's replication configuration.
    pub(super) async fn destination(
        &self,
        spec: &Spec,
        location: Option<Location>,
        identity: &Identity,
        replication: Option<&ReplicationConfiguration>,
    ) -> Result<Option<Destination>, ApiError> {
        let Some(location) = location else {
            return Ok(None);
        };
        let is_inaccessible = location.owner != identity.account && location.access == Access::Own;
        let arn = location.bucket.arn(identity.partition);
        let has_rule = plan::has_own_rule_to(replication, &arn);
        let needs_tags = spec.create_destination_bucket
            || (spec.existing_destination == ExistingDestination::Refuse && !has_rule);
        let created = async {
            if !needs_tags || is_inaccessible {
                return Ok((None, None));
            }
            // Beside the tags, so that it costs no round; and only for a destination to which the source has no rule yet.
            let is_usable =
                async { if has_rule { Ok(true) } else { self.cloud.is_empty(&location).await } };
            let (tags, encryption, public_access_blocked, is_usable) = try_join!(
                self.cloud.bucket_tags(&location),
                self.cloud.encryption(&location),
                self.cloud.public_access_blocked(&location),
                is_usable,
            )?;
            let source = tags.get(OWNER_TAG);
            let other = source.filter(|source| *source != spec.rule.source.as_str()).cloned();
            let is_created = is_usable && source.is_some() && other.is_none();
            let created = is_created.then_some(Created { encryption, public_access_blocked });
            Ok((created, other))
        };
        let (versioning, object_lock, (created, created_for_other)) = try_join!(
            self.cloud.versioning(&location),
            self.cloud.object_lock(&location),
            created
        )?;
        Ok(Some(Destination { location, versioning, object_lock, created, created_for_other }))
    }

    /// Whether a bucket is a destination that we have created, as its tag says: the bucket that the tag names has a rule of ours to it.
    pub(super) async fn is_created_destination(
        &self,
        location: &Location,
        source: &str,
        identity: &Identity,
    ) -> Result<bool, ApiError> {
        let Ok(source) = BucketName::parse(source) else {
            return Ok(false);
        };
        let found = self
            .read_bucket(&source, &location.region, async |source| {
                self.cloud.replication(source).await
            })
            .await;
        match found {
            Ok(Some((_, replication))) => {
                let arn = location.bucket.arn(identity.partition);
                Ok(plan::has_own_rule_to(replication.as_ref(), &arn))
            }
            Ok(None) => Ok(false),
            // The source of another account, which has no rules of ours.
            Err(failure) if failure.is_denied() => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
