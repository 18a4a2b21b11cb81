//! Reads the objects that a rule selects: whether there are any, and a sample of them.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt};

use super::reads::of_objects;
use super::{CONCURRENCY, Collector};
use crate::diagnose::{self, PrefixUse, Sample, Seen, SourceEvidence};
use crate::model::{Encryption, ListedObject, ObjectOwnership, ReplicationRule, SampledObject};
use crate::ports::Inspect;

impl<C: Inspect> Collector<'_, C> {
    /// Reads whether the rule's prefix selects objects, and the sample.
    pub(super) async fn objects(
        &self,
        rule: &ReplicationRule,
        source: &SourceEvidence,
    ) -> (Option<Seen<PrefixUse>>, Option<Seen<Sample>>) {
        let prefix = rule.filter().prefix().unwrap_or_default();
        let count = self.request.sample;
        if count == 0 && !diagnose::is_suspicious(prefix) {
            return (None, None);
        }
        let listed = match self.listed(source, prefix, count.max(1)).await {
            Ok(listed) => listed,
            Err(unread) => {
                let sample = (count > 0).then(|| Err(unread.clone().of_objects()));
                return ((!prefix.is_empty()).then_some(Err(unread)), sample);
            }
        };
        let prefix_use = match (prefix.is_empty(), listed.is_empty()) {
            (true, _) => None,
            (false, false) => Some(Ok(PrefixUse::Used)),
            (false, true) => Some(self.unused_prefix(source).await),
        };
        if count == 0 {
            return (prefix_use, None);
        }
        (prefix_use, Some(Ok(self.sample(listed, source).await)))
    }

    /// Reads whether the bucket has any object, when no object's key begins with the rule's prefix.
    async fn unused_prefix(&self, source: &SourceEvidence) -> Seen<PrefixUse> {
        let any = self.listed(source, "", 1).await?;
        Ok(if any.is_empty() { PrefixUse::EmptyBucket } else { PrefixUse::Unused })
    }

    async fn listed(
        &self,
        source: &SourceEvidence,
        prefix: &str,
        count: u16,
    ) -> Seen<Vec<ListedObject>> {
        self.reader.seen(self.reader.cloud.first_objects(&source.location, prefix, count)).await
    }

    /// Reads the objects that were listed, and what is needed to judge them.
    async fn sample(&self, listed: Vec<ListedObject>, source: &SourceEvidence) -> Sample {
        let keys = listed.iter().map(|object| object.key.clone());
        let objects = stream::iter(keys).map(async |key| {
            self.reader.seen(self.reader.cloud.object(&source.location, &key)).await
        });
        let objects: Vec<Seen<Option<SampledObject>>> =
            objects.buffered(CONCURRENCY).collect().await;
        let mut sample = Sample { listed, ..Sample::default() };
        for object in objects {
            match object {
                Ok(object) => sample.objects.extend(object),
                // The reason is the same for all objects, as a rule.
                Err(unread) if sample.unread.is_empty() => {
                    sample.unread.push(unread.of_objects());
                }
                Err(_) => {}
            }
        }
        if source.ownership != Ok(ObjectOwnership::BucketOwnerEnforced) && !sample.listed.is_empty()
        {
            let owner = self.reader.cloud.owner_id(&source.location);
            sample.owner = Some(of_objects(self.reader.seen(owner).await));
        }
        self.add_keys(&mut sample, source).await;
        sample
    }

    /// Reads the keys that encrypt sampled objects, except the key of the default encryption.
    async fn add_keys(&self, sample: &mut Sample, source: &SourceEvidence) {
        let region = &source.location.region;
        let default = match &source.encryption {
            Ok(Encryption::Kms { key, .. }) => {
                let key = self.key(key.as_deref().unwrap_or("alias/aws/s3"), region).await;
                key.arn().map(str::to_owned)
            }
            Ok(Encryption::S3) | Err(_) => None,
        };
        let arns: BTreeSet<String> =
            sample.objects.iter().filter_map(|object| object.kms_key.clone()).collect();
        for arn in arns.into_iter().filter(|arn| Some(arn) != default.as_ref()) {
            let key = self.key(&arn, region).await;
            sample.keys.insert(arn, key);
        }
    }
}
