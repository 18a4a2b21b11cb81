//! Reads of the destination bucket, and of whose it is.
//!
//! It must not know what becomes of the destination: [`crate::plan`] decides that.
//!
//! Anyone who may tag a bucket can write our tag. The tag alone lets the source that it names use the bucket. It lets the program change the
//! bucket's encryption, or take the bucket out of the policy, only where that source has a rule of ours to the bucket, or, for the encryption,
//! while the bucket has no object.

use tokio::try_join;

use super::snapshot::SnapshotReader;
use crate::model::{
    Access, ApiError, BucketLocation, BucketName, Identity, OWNER_TAG, ReplicationConfiguration,
    Versioning,
};
use crate::plan::{self, Created, Destination};
use crate::ports::Read;
use crate::spec::{ExistingDestination, Spec};

/// What is known of the source when its destination is read.
#[derive(Clone, Copy)]
pub(super) struct SourceState<'a> {
    /// The replication configuration.
    pub replication: Option<&'a ReplicationConfiguration>,
    /// Whether it has Object Lock.
    pub object_lock: bool,
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the rest of a destination that was found. Its Object Lock is read only where it matters: for a source with Object Lock, or for a
    /// canary.
    pub(super) async fn destination(
        &self,
        spec: &Spec,
        found: Option<(BucketLocation, Versioning)>,
        identity: &Identity,
        source: SourceState<'_>,
    ) -> Result<Option<Destination>, ApiError> {
        let Some((location, versioning)) = found else {
            return Ok(None);
        };
        let is_inaccessible = location.owner != identity.account && location.access == Access::Own;
        let arn = location.bucket.arn(identity.partition);
        let has_rule = plan::has_own_rule_to(source.replication, &arn);
        let needs_tags = spec.create_destination_bucket
            || (spec.existing_destination == ExistingDestination::Refuse && !has_rule);
        let created = async {
            if !needs_tags || is_inaccessible {
                return Ok((None, None));
            }
            // Beside the tags, so that it costs no round; and only for a destination to which the source has no rule yet.
            let may_be_changed =
                async { if has_rule { Ok(true) } else { self.cloud.is_empty(&location).await } };
            let (tags, encryption, public_access_blocked, may_be_changed) = try_join!(
                self.cloud.bucket_tags(&location),
                self.cloud.encryption(&location),
                self.cloud.public_access_blocked(&location),
                may_be_changed,
            )?;
            let tagged_for = tags.get(OWNER_TAG).cloned();
            let is_created =
                may_be_changed && tagged_for.as_deref() == Some(spec.rule.source.as_str());
            let created = is_created.then_some(Created { encryption, public_access_blocked });
            Ok((created, tagged_for))
        };
        let object_lock = async {
            let matters = source.object_lock || spec.verify;
            if matters { self.cloud.object_lock(&location).await } else { Ok(false) }
        };
        let (object_lock, (created, tagged_for)) = try_join!(object_lock, created)?;
        Ok(Some(Destination { location, versioning, object_lock, created, tagged_for }))
    }

    /// Whether a bucket is a destination that we have created, as its tag says: the bucket that the tag names has a rule of ours to it.
    pub(super) async fn is_created_destination(
        &self,
        location: &BucketLocation,
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
