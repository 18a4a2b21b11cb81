//! The replication configuration: our rule put among those of others.
//!
//! Foreign rules stay the SDK's own values, untouched: what S3 returned is what S3 gets back.

use aws_sdk_s3::types::{
    AccessControlTranslation, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination,
    EncryptionConfiguration, Metrics, MetricsStatus, OwnerOverride, ReplicaModifications,
    ReplicaModificationsStatus, ReplicationConfiguration, ReplicationRule,
    ReplicationRuleAndOperator, ReplicationRuleFilter, ReplicationRuleStatus, ReplicationTime,
    ReplicationTimeStatus, ReplicationTimeValue, SourceSelectionCriteria, SseKmsEncryptedObjects,
    SseKmsEncryptedObjectsStatus, Tag,
};

use super::{Refusal, text};
use crate::model::{Account, RuleId};
use crate::spec::{Filter, ReplicaOwner, Spec};

/// S3's limit for the rules of one configuration.
const MAX_RULES: usize = 1_000;

/// The only threshold that S3 Replication Time Control knows, in minutes.
const REPLICATION_TIME_MINUTES: i32 = 15;

/// What our rule is made from.
pub(super) struct WantedRule<'a> {
    pub spec: &'a Spec,
    pub destination_arn: &'a str,
    /// The account that owns the destination, when it is not the source's.
    pub other_account: Option<&'a Account>,
    pub replica_key: &'a str,
    /// Whether there is a key to decrypt source objects with, so that KMS-encrypted objects can be replicated at all.
    pub kms: bool,
}

/// The rule with this id.
pub(super) fn find<'a>(
    current: Option<&'a ReplicationConfiguration>,
    rule_id: &RuleId,
) -> Option<&'a ReplicationRule> {
    current?.rules().iter().find(|rule| rule.id() == Some(rule_id.as_str()))
}

/// The configuration with our rule in it: replaced in its place, or added at the end. `None` when it is there already.
pub(super) fn merge(
    current: Option<&ReplicationConfiguration>,
    role: &str,
    wanted: &WantedRule<'_>,
) -> Result<Option<ReplicationConfiguration>, Refusal> {
    let spec = wanted.spec;
    let present: &[ReplicationRule] =
        current.map(ReplicationConfiguration::rules).unwrap_or_default();
    let is_ours = |rule: &ReplicationRule| rule.id() == Some(spec.rule.id.as_str());
    let others = || present.iter().filter(|rule| !is_ours(rule));

    let v1: Vec<&str> = others().filter(|rule| rule.filter().is_none()).map(name).collect();
    if !v1.is_empty() {
        return Err(Refusal::V1Rules { bucket: spec.rule.source.clone(), rules: v1.join(", ") });
    }
    let ours = find(current, &spec.rule.id);
    if ours.is_none() && present.len() >= MAX_RULES {
        return Err(Refusal::TooManyRules {
            bucket: spec.rule.source.clone(),
            count: present.len(),
        });
    }
    let taken = |priority: i32| others().find(|rule| rule.priority() == Some(priority));
    let priority = match spec.priority.or_else(|| {
        ours.and_then(ReplicationRule::priority).filter(|priority| taken(*priority).is_none())
    }) {
        Some(priority) => {
            if let Some(rule) = taken(priority) {
                return Err(Refusal::PriorityTaken {
                    priority,
                    rule: name(rule).to_owned(),
                    bucket: spec.rule.source.clone(),
                });
            }
            priority
        }
        None => {
            let highest = others().filter_map(ReplicationRule::priority).max().unwrap_or(0);
            let next = highest.checked_add(1);
            next.or_else(|| (0..highest).rev().find(|priority| taken(*priority).is_none()))
                .unwrap_or_default()
        }
    };

    let rule = rule(wanted, priority)?;
    let unchanged = ours.is_some_and(|ours| text::rule_lines(ours) == text::rule_lines(&rule));
    if unchanged && current.is_some_and(|configuration| configuration.role() == role) {
        return Ok(None);
    }
    let mut rules = present.to_vec();
    match rules.iter_mut().find(|rule| is_ours(rule)) {
        Some(ours) => *ours = rule,
        None => rules.push(rule),
    }
    Ok(Some(ReplicationConfiguration::builder().role(role).set_rules(Some(rules)).build()?))
}

fn name(rule: &ReplicationRule) -> &str {
    rule.id().unwrap_or("without an id")
}

fn rule(wanted: &WantedRule<'_>, priority: i32) -> Result<ReplicationRule, Refusal> {
    let spec = wanted.spec;
    let minutes = || ReplicationTimeValue::builder().minutes(REPLICATION_TIME_MINUTES).build();
    let criteria = source_selection(wanted.kms, spec.replica_modifications)?;
    let mut destination = Destination::builder()
        .bucket(wanted.destination_arn)
        .set_storage_class(spec.storage_class.clone());
    if let Some(account) = wanted.other_account {
        destination = destination.account(account.as_str());
        if spec.replica_owner == ReplicaOwner::Destination {
            destination = destination.access_control_translation(
                AccessControlTranslation::builder().owner(OwnerOverride::Destination).build()?,
            );
        }
    }
    if criteria.is_some() {
        // S3 requires the one whenever it is given the other.
        destination = destination.encryption_configuration(
            EncryptionConfiguration::builder().replica_kms_key_id(wanted.replica_key).build(),
        );
    }
    if spec.metrics {
        let threshold = spec.replication_time_control.then(minutes);
        destination = destination.metrics(
            Metrics::builder()
                .status(MetricsStatus::Enabled)
                .set_event_threshold(threshold)
                .build()?,
        );
    }
    if spec.replication_time_control {
        destination = destination.replication_time(
            ReplicationTime::builder()
                .status(ReplicationTimeStatus::Enabled)
                .time(minutes())
                .build()?,
        );
    }
    let delete_markers = if spec.delete_marker_replication {
        DeleteMarkerReplicationStatus::Enabled
    } else {
        DeleteMarkerReplicationStatus::Disabled
    };
    let rule = ReplicationRule::builder()
        .id(spec.rule.id.as_str())
        .priority(priority)
        .filter(filter(&spec.filter)?)
        .status(ReplicationRuleStatus::Enabled)
        .set_source_selection_criteria(criteria)
        .destination(destination.build()?)
        .delete_marker_replication(
            DeleteMarkerReplication::builder().status(delete_markers).build(),
        )
        .build()?;
    Ok(rule)
}

fn source_selection(
    kms: bool,
    replica_modifications: bool,
) -> Result<Option<SourceSelectionCriteria>, Refusal> {
    if !kms && !replica_modifications {
        return Ok(None);
    }
    let encrypted = if kms {
        SseKmsEncryptedObjectsStatus::Enabled
    } else {
        SseKmsEncryptedObjectsStatus::Disabled
    };
    let mut criteria = SourceSelectionCriteria::builder()
        .sse_kms_encrypted_objects(SseKmsEncryptedObjects::builder().status(encrypted).build()?);
    if replica_modifications {
        criteria = criteria.replica_modifications(
            ReplicaModifications::builder().status(ReplicaModificationsStatus::Enabled).build()?,
        );
    }
    Ok(Some(criteria.build()))
}

/// S3 takes a prefix alone, one tag alone, or several conditions inside `And`.
fn filter(wanted: &Filter) -> Result<ReplicationRuleFilter, Refusal> {
    let mut tags = wanted
        .tags
        .iter()
        .map(|(key, value)| Ok(Tag::builder().key(key).value(value).build()?))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let filter = ReplicationRuleFilter::builder();
    Ok(match (wanted.prefix.is_empty(), tags.len()) {
        (_, 0) => filter.prefix(&wanted.prefix),
        (true, 1) => filter.set_tag(tags.pop()),
        (no_prefix, _) => {
            let prefix = (!no_prefix).then(|| wanted.prefix.clone());
            filter.and(
                ReplicationRuleAndOperator::builder()
                    .set_prefix(prefix)
                    .set_tags(Some(tags))
                    .build(),
            )
        }
    }
    .build())
}
