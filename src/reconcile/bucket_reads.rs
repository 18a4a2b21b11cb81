//! The reads of a bucket to reconcile: its Region and tags and, at the same time, the first reads for its first rule.
//!
//! It must not know what is decided from them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::join;

use super::converge::Prefetched;
use super::decision::Candidates;
use super::lease::epoch_seconds;
use super::snapshot::{ApplyFirstReads, SnapshotReader, own_location};
use super::{Engine, Error, ReconcileRequest};
use crate::model::{Account, ApiError, BucketLocation};
use crate::plan::SharedRole;
use crate::ports::Cloud;
use crate::spec::Spec;

/// The rule whose first reads are made while the bucket is read.
#[derive(Clone, Copy)]
pub(super) struct FirstRule<'a> {
    pub spec: Option<&'a Spec>,
    /// The role of all buckets, in `RoleScope` Policy.
    pub shared: Option<&'a SharedRole>,
}

/// What was read of a bucket that exists.
pub(super) struct BucketReads {
    pub location: BucketLocation,
    pub tags: BTreeMap<String, String>,
    pub prefetched: Option<Prefetched<ApplyFirstReads>>,
}

/// Returns the spec of the first rule when that rule applies whatever the bucket's tags are. Its first reads can be made while
/// the tags are read.
pub(super) fn first_spec(
    candidates: &Candidates<'_>,
    request: &ReconcileRequest<'_>,
    account: &Account,
) -> Option<Spec> {
    let rule =
        candidates.rules.first().filter(|rule| !rule.needs_tags() && !candidates.is_destination)?;
    rule.spec(request.bucket, request.expected, account).ok()
}

impl<C: Cloud> Engine<'_, C> {
    /// Reads the bucket's Region and tags and, concurrently, makes the first reads for `first`; `None` when there is no such
    /// bucket.
    pub(super) async fn read_tags_and_prefetch(
        &self,
        request: &ReconcileRequest<'_>,
        FirstRule { spec, shared }: FirstRule<'_>,
    ) -> Result<Option<BucketReads>, Error> {
        let Some(spec) = spec else {
            let found = self.before_deadline(self.read_tags(request)).await?;
            return Ok(found.map(|(location, tags)| BucketReads {
                location,
                tags,
                prefetched: None,
            }));
        };
        let time = epoch_seconds(Duration::ZERO);
        let reader = SnapshotReader { remembers_keys: shared.is_some(), ..self.reader() };
        let reads = async {
            let location = own_location(
                request.bucket,
                request.expected.clone(),
                &self.cloud.identity().await?,
            );
            let first_reads = Box::pin(reader.prefetch_apply(spec, request.expected, shared));
            let (tags, first_reads) = join!(self.cloud.bucket_tags(&location), first_reads);
            // The first reads have found the bucket, so the tags are of the bucket at this location.
            let found = match &first_reads {
                Ok(first_reads) if first_reads.source_is_at(&location) => Some((location, tags?)),
                Ok(_) | Err(_) => self.read_tags(request).await?,
            };
            Ok::<_, Error>((found, first_reads))
        };
        let (found, first_reads) = self.before_deadline(reads).await?;
        let prefetched = Some(Prefetched { time, first_reads });
        Ok(found.map(|(location, tags)| BucketReads { location, tags, prefetched }))
    }

    /// Reads the bucket's Region and tags; `None` when there is no such bucket.
    async fn read_tags(
        &self,
        request: &ReconcileRequest<'_>,
    ) -> Result<Option<(BucketLocation, BTreeMap<String, String>)>, ApiError> {
        let reader = self.reader();
        let tags = async |location: &BucketLocation| self.cloud.bucket_tags(location).await;
        reader.read_bucket(request.bucket, request.expected, tags).await
    }
}
