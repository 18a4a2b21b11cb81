//! The replication configuration: our rule put among the foreign ones.
//!
//! It must not know how the configuration is read and written.
//!
//! Foreign rules stay the text that S3 returned.

use super::{Refusal, overlap};
use crate::model::{
    Account, Metrics, ReplicationConfiguration, ReplicationRule, RuleElements, RuleId,
};
use crate::spec::{ReplicaOwner, Spec};

/// S3's limit for the rules of one configuration.
const MAX_RULES: usize = 1_000;

/// The number of rules that a message lists.
const LISTED_RULES: usize = 20;

/// The only threshold of S3 Replication Time Control, in minutes.
const REPLICATION_TIME_MINUTES: u32 = 15;

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
    current?.rule(rule_id.as_str())
}

/// Our rule among the other rules.
pub(super) struct Merged {
    /// The configuration with our rule in it: replaced in its place, or added at the end. `None` when it is there already.
    pub configuration: Option<ReplicationConfiguration>,
    /// What our rule and the other rules do to each other, as one sentence for each rule.
    pub warnings: Vec<String>,
}

/// Puts our rule among the other rules.
pub(super) fn merge(
    current: Option<&ReplicationConfiguration>,
    role: &str,
    wanted: &WantedRule<'_>,
) -> Result<Merged, Refusal> {
    let rule_id = &wanted.spec.rule.id;
    check_foreign_rules(current, wanted.spec)?;
    let present = find(current, rule_id);
    let rule = wanted.elements(priority(current, wanted.spec)?).into_rule()?;
    let warnings = foreign(current, rule_id)
        .filter_map(|other| overlap::warning(&rule, other, wanted.destination_arn))
        .collect();
    let Some(current) = current else {
        let configuration = Some(ReplicationConfiguration::new(role, &rule)?);
        return Ok(Merged { configuration, warnings });
    };
    let is_unchanged = present.is_some_and(|present| *present == rule) && current.role() == role;
    let configuration =
        if is_unchanged { None } else { Some(current.with_role(role)?.with_rule(&rule)) };
    Ok(Merged { configuration, warnings })
}

/// The rules of the configuration that are not ours.
fn foreign<'a>(
    current: Option<&'a ReplicationConfiguration>,
    rule_id: &RuleId,
) -> impl Iterator<Item = &'a ReplicationRule> {
    let rules = current.into_iter().flat_map(ReplicationConfiguration::rules);
    rules.filter(move |rule| rule.id() != Some(rule_id.as_str()))
}

/// Refuses foreign rules among which ours cannot stand.
fn check_foreign_rules(
    current: Option<&ReplicationConfiguration>,
    spec: &Spec,
) -> Result<(), Refusal> {
    let bucket = || spec.rule.source.clone();
    let v1: Vec<&str> =
        foreign(current, &spec.rule.id).filter(|rule| rule.filter().is_v1()).map(name).collect();
    if !v1.is_empty() {
        return Err(Refusal::V1Rules { bucket: bucket(), rules: v1.join(", ") });
    }
    let count = foreign(current, &spec.rule.id).count();
    if count >= MAX_RULES {
        return Err(Refusal::TooManyRules { bucket: bucket(), count });
    }
    Ok(())
}

/// The priority of our rule: as the spec says, else the present one, else the highest of the foreign ones plus one.
fn priority(current: Option<&ReplicationConfiguration>, spec: &Spec) -> Result<i32, Refusal> {
    let taken = |priority: i32| {
        foreign(current, &spec.rule.id).find(|rule| rule.priority() == Some(priority))
    };
    if let Some(priority) = spec.priority {
        return match taken(priority) {
            None => Ok(priority),
            Some(rule) => {
                let bucket = spec.rule.source.clone();
                Err(match rule.id().and_then(RuleId::parse) {
                    Some(rule) => Refusal::PriorityTakenByOwn { priority, rule, bucket },
                    None => {
                        Refusal::PriorityTaken { priority, rule: name(rule).to_owned(), bucket }
                    }
                })
            }
        };
    }
    let present = find(current, &spec.rule.id).and_then(ReplicationRule::priority);
    if let Some(priority) = present.filter(|priority| taken(*priority).is_none()) {
        return Ok(priority);
    }
    let priorities = foreign(current, &spec.rule.id).filter_map(ReplicationRule::priority);
    let highest = priorities.max().unwrap_or(0);
    let free = || (0..highest).rev().find(|priority| taken(*priority).is_none());
    Ok(highest.checked_add(1).or_else(free).unwrap_or_default())
}

pub(super) fn name(rule: &ReplicationRule) -> &str {
    rule.id().unwrap_or("without an id")
}

impl WantedRule<'_> {
    fn elements(&self, priority: i32) -> RuleElements {
        let Self { spec, destination_arn, other_account, replica_key, kms } = self;
        let minutes = spec.replication_time_control.then_some(REPLICATION_TIME_MINUTES);
        let overrides_owner = spec.replica_owner == ReplicaOwner::Destination;
        RuleElements {
            id: spec.rule.id.to_string(),
            priority,
            prefix: spec.filter.prefix.clone(),
            tags: spec.filter.tags.clone().into_iter().collect(),
            sse_kms_encrypted_objects: *kms,
            replica_modifications: spec.replica_modifications,
            destination_bucket: (*destination_arn).to_owned(),
            destination_account: other_account.map(ToString::to_string),
            owner_override: other_account.is_some() && overrides_owner,
            storage_class: spec.storage_class.as_ref().map(ToString::to_string),
            // S3 requires the key whenever it is given source selection criteria.
            replica_kms_key_id: (*kms || spec.replica_modifications)
                .then(|| (*replica_key).to_owned()),
            replication_time_minutes: minutes,
            metrics: spec.metrics.then_some(Metrics { event_threshold_minutes: minutes }),
            delete_marker_replication: spec.delete_marker_replication,
        }
    }
}

/// The ids of a bucket's rules for a message: the first ones, and how many others there are.
pub fn list_rules(replication: &ReplicationConfiguration) -> String {
    let rules: Vec<String> = replication
        .rules()
        .map(|rule| {
            let id = rule.id().unwrap_or_default();
            match RuleId::parse(id) {
                Some(_) => format!("`{id}`"),
                None => format!("`{id}` (not made by this program)"),
            }
        })
        .collect();
    let others = rules.len().saturating_sub(LISTED_RULES);
    let listed = rules.into_iter().take(LISTED_RULES).collect::<Vec<_>>().join(", ");
    if others == 0 { listed } else { format!("{listed} and {others} more") }
}
