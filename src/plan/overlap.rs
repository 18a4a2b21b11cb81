//! Two rules that select the same objects for the same destination: S3 follows the one with the higher priority.
//!
//! It owns the decision whether two filters can select the same object. It must not know how a priority is chosen.

use super::rules::name;
use crate::model::{FilterTag, ReplicationRule};

/// What `other` and our rule, which replicates to `destination_arn`, do to each other; `None` if no object is selected by both for that
/// destination.
pub(super) fn warning(
    ours: &ReplicationRule,
    other: &ReplicationRule,
    destination_arn: &str,
) -> Option<String> {
    if !other.is_enabled() || other.destination_bucket() != Some(destination_arn) {
        return None;
    }
    let selects = match may_select_same_objects(ours, other)? {
        Overlap::Certain => "selects",
        Overlap::NotUnderstood => "may select",
    };
    let (our_priority, other_priority) = (ours.priority()?, other.priority()?);
    let other = name(other);
    let winner = if our_priority > other_priority {
        format!(
            "this rule has the higher priority, {our_priority} to {other_priority}, so S3 follows it and not `{other}`"
        )
    } else {
        format!(
            "`{other}` has the higher priority, {other_priority} to {our_priority}, so S3 follows it and not this rule"
        )
    };
    Some(format!(
        "rule `{other}` {selects} some of the same objects for the same destination; for those {winner}"
    ))
}

/// How sure it is that two rules select the same objects.
enum Overlap {
    Certain,
    NotUnderstood,
}

fn may_select_same_objects(ours: &ReplicationRule, other: &ReplicationRule) -> Option<Overlap> {
    let (Some(our_prefix), Some(our_tags)) = (ours.filter().prefix(), ours.filter().tags()) else {
        return Some(Overlap::NotUnderstood);
    };
    let (Some(prefix), Some(tags)) = (other.filter().prefix(), other.filter().tags()) else {
        return Some(Overlap::NotUnderstood);
    };
    let has_common_keys = our_prefix.starts_with(prefix) || prefix.starts_with(our_prefix);
    (has_common_keys && !contradict(our_tags, tags)).then_some(Overlap::Certain)
}

/// Whether no object can have all of these tags: an object has one value for a key.
fn contradict(ours: &[FilterTag], others: &[FilterTag]) -> bool {
    ours.iter()
        .any(|tag| others.iter().any(|other| other.key == tag.key && other.value != tag.value))
}
