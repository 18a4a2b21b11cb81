//! Decides which rules of the replication policy apply to one bucket. Pure.
//!
//! It must not know AWS or how rules are applied.

use std::collections::BTreeMap;

use crate::config::{Policy, PolicyRule};
use crate::model::{Account, BucketLocation, BucketName, RuleId};
use crate::plan::Refusal;

/// Why a bucket is skipped that no rule matches.
pub(super) const NO_NAME_MATCHES: SkipReason =
    "no rule of the replication policy matches the bucket's name";

/// Why a bucket is skipped when all rules that match its name require tags that it does not have.
pub(super) const NO_TAGS_MATCH: SkipReason =
    "no rule of the replication policy matches the bucket's tags";

const IS_DESTINATION: &str = "the bucket is the destination of a rule of the replication policy";
const CREATED_BY_US: &str = "this function created the bucket as a destination";

/// Why a bucket is skipped.
pub(super) type SkipReason = &'static str;

/// The rules whose name patterns match a bucket.
pub(super) struct Candidates<'a> {
    /// The rules, in the policy's order; at least one.
    pub rules: Vec<&'a PolicyRule>,
    /// Whether the bucket is the destination of a rule. Then only two-way rules may apply.
    pub is_destination: bool,
}

/// The rules of the policy for a bucket.
pub(super) struct RulesOfBucket<'a> {
    /// Rules that must not apply, since the bucket is a destination and the rule does not replicate back.
    pub refused: Vec<(RuleId, Refusal)>,
    /// Rules to apply.
    pub matching: Vec<&'a PolicyRule>,
    /// Rules that match the bucket's name but not its tags: they are removed.
    pub untagged: Vec<&'a PolicyRule>,
}

/// Returns the rules whose name patterns match the bucket.
pub(super) fn match_name<'a>(
    policy: &'a Policy,
    bucket: &BucketName,
) -> Result<Vec<&'a PolicyRule>, String> {
    let rules: Vec<&PolicyRule> = policy.rules_for_name(bucket).collect();
    if rules.is_empty() {
        let expressions: Vec<String> = policy.pattern_warnings();
        Err(match expressions.as_slice() {
            [] => NO_NAME_MATCHES.to_owned(),
            warnings => format!("{NO_NAME_MATCHES}; {}", warnings.join("; ")),
        })
    } else {
        Ok(rules)
    }
}

/// Skips a bucket that is the destination of a rule, unless one of its rules is two-way.
pub(super) fn check_destination<'a>(
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

/// Sorts the rules into those to refuse, to apply and to remove, by the bucket's tags. `is_created_by_us` is whether the program has created the
/// bucket as a destination.
pub(super) fn match_tags<'a>(
    policy: &Policy,
    candidates: Candidates<'a>,
    location: &BucketLocation,
    tags: &BTreeMap<String, String>,
    is_created_by_us: bool,
) -> Result<RulesOfBucket<'a>, SkipReason> {
    let Candidates { rules, is_destination } = candidates;
    let (rules, one_way): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| {
        !(is_destination || is_created_by_us)
            || policy.replicates_back(rule, &location.bucket, &location.region, &location.owner)
    });
    if rules.is_empty() {
        return Err(if is_created_by_us { CREATED_BY_US } else { IS_DESTINATION });
    }
    let refusal = || Refusal::DestinationOfRule { bucket: location.bucket.clone() };
    let refused = one_way.into_iter().map(|rule| (rule.rule_id().clone(), refusal())).collect();
    let (matching, untagged) = rules.into_iter().partition(|rule| rule.matches_tags(tags));
    Ok(RulesOfBucket { refused, matching, untagged })
}
