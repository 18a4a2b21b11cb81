//! S3's side of replication: which rule selects an object, and what becomes of it.

use std::collections::BTreeMap;

use s3_kms_replication::model::{
    ApiError, BucketLocation, ObjectVersion, ReplicationRule, ReplicationStatus,
};

use super::bucket;
use crate::support::{Bucket, Object, State};

/// What S3 does with the objects that it is to replicate.
#[derive(Debug, Clone, Default)]
pub struct Replicator {
    /// Reads of an object that still find it pending.
    pub pending: usize,
    /// Objects that no rule selects, since the rule has not taken effect yet.
    pub unnoticed: usize,
    /// Whether it fails to replicate.
    pub fails: bool,
    /// Whether it encrypts replicas with the source's key, as MiniStack does.
    pub keeps_key: bool,
}

/// Whether a rule selects an object, as S3's documentation of `ReplicationRuleFilter` says: a filter has a prefix, a tag, or an `And` of
/// a prefix and tags. Reads the rule's XML, as S3 would.
pub(super) fn selects(rule: &ReplicationRule, key: &str, tags: &BTreeMap<String, String>) -> bool {
    let document = roxmltree::Document::parse(rule.xml()).unwrap();
    let child =
        |name: &str| document.root_element().children().find(|child| child.has_tag_name(name));
    let conditions = child("Filter").or_else(|| child("Prefix")).unwrap();
    let text = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.children()
            .find(|child| child.has_tag_name(name))
            .and_then(|child| child.text())
            .unwrap_or_default()
            .to_owned()
    };
    let has_tag =
        |tag: roxmltree::Node<'_, '_>| tags.get(&text(tag, "Key")) == Some(&text(tag, "Value"));
    let is_selected = conditions.descendants().all(|node| match node.tag_name().name() {
        "Prefix" => key.starts_with(node.text().unwrap_or_default()),
        "Tag" => has_tag(node),
        _ => true,
    });
    child("Status").and_then(|status| status.text()) == Some("Enabled") && is_selected
}

pub(super) fn rules_of(bucket: &Bucket) -> Vec<ReplicationRule> {
    bucket.replication.iter().flat_map(|configuration| configuration.rules().cloned()).collect()
}

/// Replicates what is pending in a bucket, as the [`Replicator`] says.
pub(super) fn replicate(
    state: &mut State,
    location: &BucketLocation,
    replicator: &mut Replicator,
) -> Result<(), ApiError> {
    let source = bucket(state, location)?;
    let rules = rules_of(source);
    let pending = |object: &&mut Object| {
        object.content.as_ref().and_then(|content| content.replication)
            == Some(ReplicationStatus::Pending)
    };
    let mut replicas = Vec::new();
    for object in source.objects.iter_mut().filter(pending) {
        if replicator.pending > 0 {
            replicator.pending -= 1;
            continue;
        }
        let Some(content) = &mut object.content else {
            continue;
        };
        content.replication = Some(if replicator.fails {
            ReplicationStatus::Failed
        } else {
            ReplicationStatus::Completed
        });
        for rule in rules
            .iter()
            .filter(|rule| !replicator.fails && selects(rule, &object.key, &object.tags))
        {
            let replica_key = rule.replica_kms_key_id();
            let kms_key = if replicator.keeps_key {
                object.content.as_ref().and_then(|content| content.kms_key.clone())
            } else {
                None
            };
            let kms_key = kms_key.or_else(|| replica_key.map(str::to_owned));
            let content = Some(ObjectVersion {
                replication: Some(ReplicationStatus::Replica),
                kms_key,
                last_modified: None,
            });
            replicas.push((
                rule.destination_bucket().unwrap().to_owned(),
                Object { content, ..object.clone() },
            ));
        }
    }
    for (arn, replica) in replicas {
        state.buckets.get_mut(arn.rsplit(':').next().unwrap()).unwrap().objects.push(replica);
    }
    Ok(())
}
