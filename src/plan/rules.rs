//! The replication configuration: our rule among foreign rules.
//!
//! This module owns the form of our rule and its place in the configuration. Foreign rules are the values that S3 returned; they are never
//! changed.

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

/// The only threshold that S3 Replication Time Control accepts, in minutes.
const REPLICATION_TIME_MINUTES: i32 = 15;

/// The values that our rule is made from.
pub(super) struct WantedRule<'a> {
    pub spec: &'a Spec,
    pub destination_arn: &'a str,
    /// The account that owns the destination, if it is not the source's.
    pub other_account: Option<&'a Account>,
    pub replica_key: &'a str,
    /// Whether the role can decrypt source objects. Without a source key, KMS-encrypted objects cannot be replicated.
    pub kms: bool,
}

/// The rule with this id.
pub(super) fn find<'a>(
    current: Option<&'a ReplicationConfiguration>,
    rule_id: &RuleId,
) -> Option<&'a ReplicationRule> {
    current?.rules().iter().find(|rule| rule.id() == Some(rule_id.as_str()))
}

/// The configuration with our rule, which replaces its earlier form or is added at the end; `None` if the configuration already has the rule.
pub(super) fn merge(
    current: Option<&ReplicationConfiguration>,
    role: &str,
    wanted: &WantedRule<'_>,
) -> Result<Option<ReplicationConfiguration>, Refusal> {
    let existing = ExistingRules::new(current, &wanted.spec.rule.id);
    existing.check_can_take(wanted.spec)?;
    let rule = rule(wanted, existing.priority_for(wanted.spec)?)?;

    let is_present =
        existing.own.is_some_and(|own| text::rule_lines(own) == text::rule_lines(&rule));
    if is_present && current.is_some_and(|configuration| configuration.role() == role) {
        return Ok(None);
    }
    let mut rules = existing.all.to_vec();
    match rules.iter_mut().find(|other| other.id() == rule.id()) {
        Some(own) => *own = rule,
        None => rules.push(rule),
    }
    Ok(Some(ReplicationConfiguration::builder().role(role).set_rules(Some(rules)).build()?))
}

/// The rules of a bucket before our rule is merged.
struct ExistingRules<'a> {
    all: &'a [ReplicationRule],
    /// Our rule in its earlier form.
    own: Option<&'a ReplicationRule>,
    others: Vec<&'a ReplicationRule>,
}

impl<'a> ExistingRules<'a> {
    fn new(current: Option<&'a ReplicationConfiguration>, rule_id: &RuleId) -> Self {
        let all = current.map(ReplicationConfiguration::rules).unwrap_or_default();
        let is_other = |rule: &&ReplicationRule| rule.id() != Some(rule_id.as_str());
        Self { all, own: find(current, rule_id), others: all.iter().filter(is_other).collect() }
    }

    /// Refuses rules of the V1 form, and one rule more than S3 allows.
    fn check_can_take(&self, spec: &Spec) -> Result<(), Refusal> {
        let bucket = || spec.rule.source.clone();
        let v1 = self.others.iter().filter(|rule| rule.filter().is_none());
        let v1: Vec<&str> = v1.map(|rule| name(rule)).collect();
        if !v1.is_empty() {
            return Err(Refusal::V1Rules { bucket: bucket(), rules: v1.join(", ") });
        }
        let count = self.all.len();
        if self.own.is_none() && count >= MAX_RULES {
            return Err(Refusal::TooManyRules { bucket: bucket(), count });
        }
        Ok(())
    }

    /// The priority of our rule: the requested one, else its present one if no other rule has it, else a free one.
    fn priority_for(&self, spec: &Spec) -> Result<i32, Refusal> {
        if let Some(priority) = spec.priority {
            return match self.with_priority(priority) {
                Some(rule) => Err(Refusal::PriorityTaken {
                    priority,
                    rule: name(rule).to_owned(),
                    bucket: spec.rule.source.clone(),
                }),
                None => Ok(priority),
            };
        }
        let present = self.own.and_then(ReplicationRule::priority);
        let present = present.filter(|priority| self.with_priority(*priority).is_none());
        Ok(present.unwrap_or_else(|| self.free_priority()))
    }

    /// The highest priority of the other rules plus one; the highest free one below it, if there is no higher number.
    fn free_priority(&self) -> i32 {
        let priorities = self.others.iter().filter_map(|rule| rule.priority());
        let highest = priorities.max().unwrap_or(0);
        let below = || (0..highest).rev().find(|priority| self.with_priority(*priority).is_none());
        highest.checked_add(1).or_else(below).unwrap_or_default()
    }

    fn with_priority(&self, priority: i32) -> Option<&'a ReplicationRule> {
        self.others.iter().find(|rule| rule.priority() == Some(priority)).copied()
    }
}

fn name(rule: &ReplicationRule) -> &str {
    rule.id().unwrap_or("without an id")
}

fn rule(wanted: &WantedRule<'_>, priority: i32) -> Result<ReplicationRule, Refusal> {
    let spec = wanted.spec;
    let criteria = source_selection(wanted.kms, spec.replica_modifications)?;
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
        .destination(destination(wanted, criteria.is_some())?)
        .set_source_selection_criteria(criteria)
        .delete_marker_replication(
            DeleteMarkerReplication::builder().status(delete_markers).build(),
        )
        .build()?;
    Ok(rule)
}

/// The destination of the rule. S3 requires a replica key for a rule that `has_criteria` for source objects.
fn destination(wanted: &WantedRule<'_>, has_criteria: bool) -> Result<Destination, Refusal> {
    let spec = wanted.spec;
    let minutes = || ReplicationTimeValue::builder().minutes(REPLICATION_TIME_MINUTES).build();
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
    if has_criteria {
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
    Ok(destination.build()?)
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

/// The filter in S3's form: only a prefix, only one tag, or several conditions inside `And`.
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
