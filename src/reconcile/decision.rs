//! What the replication policy means for one bucket. Pure.

use std::collections::BTreeMap;

use crate::config::{Policy, PolicyRule};
use crate::model::{Account, BucketName, Location, OWNER_TAG, RuleId};
use crate::plan::Refusal;

/// Why a bucket is skipped when all rules with its name ask for tags that it never had.
pub(super) const NO_TAGS_MATCH: SkipReason =
    "no rule of the replication policy matches the bucket's tags";

const IS_DESTINATION: &str = "the bucket is the destination of a rule of the replication policy";
const WAS_CREATED: &str = "the bucket was created as a destination by this function";

/// Why a bucket is skipped.
pub(super) type SkipReason = &'static str;

/// The rules whose name patterns match a bucket.
pub(super) struct Candidates<'a> {
    /// The rules, in the policy's order; at least one.
    pub rules: Vec<&'a PolicyRule>,
    /// Whether the bucket is the destination of a rule, so that only rules of two directions may apply.
    pub is_destination: bool,
}

/// The rules of the policy for a bucket.
pub(super) struct RulesOfBucket<'a> {
    /// Rules that cannot apply, since the bucket is their own or another rule's destination.
    pub refused: Vec<(RuleId, Refusal)>,
    /// Rules to apply.
    pub matching: Vec<&'a PolicyRule>,
    /// Rules whose names match and whose tags do not: what they made is removed.
    pub untagged: Vec<&'a PolicyRule>,
}

/// The rules whose name patterns match the bucket.
pub(super) fn by_name<'a>(
    policy: &'a Policy,
    bucket: &BucketName,
) -> Result<Vec<&'a PolicyRule>, SkipReason> {
    let rules: Vec<&PolicyRule> = policy.rules_for_name(bucket).collect();
    if rules.is_empty() {
        Err("no rule of the replication policy matches the bucket's name")
    } else {
        Ok(rules)
    }
}

/// Those of the rules that may apply, going by whose destination the bucket is.
pub(super) fn by_destination<'a>(
    policy: &Policy,
    rules: Vec<&'a PolicyRule>,
    bucket: &BucketName,
    account: &Account,
) -> Result<Candidates<'a>, SkipReason> {
    let is_destination = policy.has_destination(bucket, account);
    if is_destination && !rules.iter().any(|rule| rule.is_two_way()) {
        return Err(IS_DESTINATION);
    }
    Ok(Candidates { rules, is_destination })
}

/// What is to be done about the rules, going by the bucket's tags.
pub(super) fn by_tags<'a>(
    policy: &Policy,
    candidates: Candidates<'a>,
    location: &Location,
    tags: &BTreeMap<String, String>,
) -> Result<RulesOfBucket<'a>, SkipReason> {
    let Candidates { rules, is_destination } = candidates;
    let is_created = tags.contains_key(OWNER_TAG);
    let (rules, one_way): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| {
        !(is_destination || is_created)
            || policy.replicates_back(rule, &location.bucket, &location.region, &location.owner)
    });
    if rules.is_empty() {
        return Err(if is_created { WAS_CREATED } else { IS_DESTINATION });
    }
    let refusal = || Refusal::DestinationOfRule { bucket: location.bucket.clone() };
    let refused = one_way.into_iter().map(|rule| (rule.rule_id().clone(), refusal())).collect();
    let (matching, untagged) = rules.into_iter().partition(|rule| rule.matches_tags(tags));
    Ok(RulesOfBucket { refused, matching, untagged })
}
