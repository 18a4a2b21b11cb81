//! The replication policy as the grants of one role (`RoleScope` Policy).
//!
//! This module owns which policies one role can serve, and what the role must allow for each rule. It must not know the form of policy
//! documents.

use std::collections::BTreeSet;

use super::{Policy, PolicyRule, SAMPLE_SOURCE};
use crate::config::placeholders::Placeholder;
use crate::iam_policy::{INLINE_POLICY_LIMIT, SharedGrants, policy_size};
use crate::model::{
    Access, Account, BucketName, BucketPattern, Identity, Partition, Region, RuleId, can_match_both,
};
use crate::spec::{Invalid, ReplicaOwner, SourceKeys, Spec};

impl Policy {
    /// Checks that one role can serve the buckets of this policy in `region`, and is confined to them.
    ///
    /// # Errors
    /// The first property that does not allow it, with its place in the document, or the sizes of too many grants.
    pub(crate) fn check_shared_role(
        &self,
        region: &Region,
        partition: Partition,
    ) -> Result<(), Invalid> {
        for (index, rule) in self.rules.iter().enumerate() {
            let at_rule = |invalid: Invalid| invalid.within(&format!("Rules[{index}]"));
            rule.check_patterns().map_err(at_rule)?;
            for other in self.rules.iter().filter(|other| other.rule_id != rule.rule_id) {
                rule.check_exclusions(other).map_err(at_rule)?;
            }
        }
        check_sizes(&self.sizes(region, partition))
    }

    /// Warns if the role may have no room for the former grants, which stay for a time when the policy changes.
    pub(crate) fn warning_of_shared_role(
        &self,
        region: &Region,
        partition: Partition,
    ) -> Option<String> {
        let total = total(&self.sizes(region, partition));
        (2 * total > INLINE_POLICY_LIMIT).then(|| {
            format!(
                "the role of all buckets has {total} characters of inline policies, of {INLINE_POLICY_LIMIT}; the former grants of a changed rule stay for 25 hours and may not fit, so change few rules at a time"
            )
        })
    }

    /// The sizes of the rules' inline policies.
    fn sizes(&self, region: &Region, partition: Partition) -> Vec<(RuleId, usize)> {
        // Every account has twelve digits.
        let account = Account::parse("000000000000").ok();
        let identity = account.map(|account| Identity { account, partition });
        let grants = identity.iter().flat_map(|identity| self.shared_grants(region, identity));
        grants
            .map(|grants| {
                let size = policy_size(&grants.document().to_string());
                (grants.rule, size)
            })
            .collect()
    }

    /// The credentials with which the replica key of a rule is read.
    pub(crate) fn key_access(&self, rule: &RuleId) -> Access {
        let sample = BucketName::parse(SAMPLE_SOURCE).ok();
        let access = self.rule(rule).zip(sample.as_ref());
        access.map(|(rule, sample)| rule.destination_access(sample)).unwrap_or_default()
    }

    /// The grants that the role needs for each rule that applies to buckets in `region`.
    pub(crate) fn shared_grants(&self, region: &Region, identity: &Identity) -> Vec<SharedGrants> {
        self.rules.iter().filter_map(|rule| rule.shared_grants(region, identity)).collect()
    }
}

fn total(sizes: &[(RuleId, usize)]) -> usize {
    sizes.iter().map(|(_, size)| size).sum()
}

fn check_sizes(sizes: &[(RuleId, usize)]) -> Result<(), Invalid> {
    let total = total(sizes);
    if total <= INLINE_POLICY_LIMIT {
        return Ok(());
    }
    let sizes: Vec<String> = sizes.iter().map(|(rule, size)| format!("`{rule}` {size}")).collect();
    Err(Invalid::new(
        "Rules",
        format!(
            "need {total} characters of inline policies in one role; IAM allows {INLINE_POLICY_LIMIT}: use fewer rules, names or keys, or `RoleScope` Bucket ({})",
            sizes.join(", ")
        ),
    ))
}

impl PolicyRule {
    /// Refuses patterns to which IAM cannot confine a role.
    fn check_patterns(&self) -> Result<(), Invalid> {
        let names = self.bucket_match.names().ok_or_else(|| {
            Invalid::new(
                "Match.BucketNames",
                "is required with `RoleScope` Policy: IAM cannot confine a role by the tags of buckets; `[\"*\"]` names every bucket",
            )
        })?;
        let mut patterns = Vec::new();
        for name in names {
            patterns.push(
                BucketPattern::parse(&name)
                    .map_err(|problem| Invalid::new("Match.BucketNames", problem))?,
            );
        }
        let is_of_name =
            |character: char| character.is_ascii_alphanumeric() || "._-*?".contains(character);
        for pattern in self.bucket_match.excluded_names() {
            if !pattern.chars().all(is_of_name) {
                return Err(Invalid::new(
                    "Match.ExcludeBucketNames",
                    format!("has `{pattern}`, which no bucket's name can match"),
                ));
            }
        }
        let is_open = |pattern: &BucketPattern| matches!(pattern, BucketPattern::Beginning(_));
        if patterns.iter().any(is_open)
            && self.destination.depends_on_name()
            && self.destination_before_name().is_none()
        {
            return Err(Invalid::new(
                "DestinationBucket",
                "must have `{bucket}` at its end, as in `replica-{bucket}`, with `RoleScope` Policy and a pattern in `BucketNames`: in IAM `*` also stands for `/`, so `*-replica/*` would allow to write the object `x-replica/y` of any bucket",
            ));
        }
        Ok(())
    }

    /// Refuses exclusions of buckets that `other` may include, since the role serves both rules and a denial holds for both.
    fn check_exclusions(&self, other: &Self) -> Result<(), Invalid> {
        let excluded_by_other: BTreeSet<String> = other.bucket_match.excluded_names().collect();
        let included: Vec<String> = other.bucket_match.names().into_iter().flatten().collect();
        for excluded in self.bucket_match.excluded_names() {
            let include = included.iter().find(|name| can_match_both(&excluded, name));
            if let Some(include) = include.filter(|_| !excluded_by_other.contains(&excluded)) {
                return Err(Invalid::new(
                    "Match.ExcludeBucketNames",
                    format!(
                        "has `{excluded}`, and rule `{}` may include such buckets by `{include}`; with `RoleScope` Policy one role serves both rules, so both must exclude `{excluded}`",
                        other.rule_id
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The grants of the rule; `None` if it does not apply to any bucket in `region`.
    fn shared_grants(&self, region: &Region, identity: &Identity) -> Option<SharedGrants> {
        let Identity { account, partition } = identity;
        let names = self.bucket_match.names()?;
        let patterns = names.iter().filter_map(|name| BucketPattern::parse(name).ok());
        let mut pairs: Vec<(BucketPattern, BucketPattern)> = patterns
            .filter_map(|source| {
                let destination = self.destination_of(&source, region, account)?;
                Some((source, destination))
            })
            .collect();
        pairs.sort();
        let (sources, destinations): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let (sources, destinations) = (without_covered(sources), without_covered(destinations));
        let spec = match sources.first()? {
            BucketPattern::Name(name) => self.spec(name, region, account).ok()?,
            BucketPattern::Beginning(_) => self.sample_spec(region, account)?,
        };
        let other_account = spec.other_account(account).cloned();
        let owner_override =
            other_account.is_some() && spec.replica_owner == ReplicaOwner::Destination;
        let Spec { rule, filter, replica_key, source_keys, destination_region, .. } = spec;
        Some(SharedGrants {
            rule: rule.id,
            partition: *partition,
            account: account.clone(),
            region: region.clone(),
            sources,
            excluded: self.bucket_match.excluded_names().collect(),
            destinations,
            destination_region,
            destination_account: other_account.unwrap_or_else(|| account.clone()),
            prefix: filter.prefix,
            source_keys: match source_keys {
                SourceKeys::BucketDefault => BTreeSet::new(),
                SourceKeys::Given(keys) => keys.iter().map(ToString::to_string).collect(),
            },
            replica_key: replica_key.to_string(),
            owner_override,
        })
    }

    /// The destinations of the sources; `None` if the rule cannot apply to them.
    fn destination_of(
        &self,
        source: &BucketPattern,
        region: &Region,
        account: &Account,
    ) -> Option<BucketPattern> {
        match (source, self.destination_before_name()) {
            (BucketPattern::Name(name), _) => self
                .spec(name, region, account)
                .ok()
                .map(|spec| BucketPattern::Name(spec.destination)),
            (BucketPattern::Beginning(beginning), Some(before)) => {
                let name = self.fill(&before, region, account)?;
                Some(BucketPattern::Beginning(format!("{name}{beginning}")))
            }
            (BucketPattern::Beginning(_), None) => {
                let spec = self.sample_spec(region, account)?;
                Some(BucketPattern::Name(spec.destination))
            }
        }
    }

    /// The text before `{bucket}`, without the beginning of an ARN, if the destination's name ends with that and depends on the source's name
    /// nowhere else.
    fn destination_before_name(&self) -> Option<String> {
        let before = self.destination.text().strip_suffix(Placeholder::Bucket.as_str())?;
        let depends_on_name = [Placeholder::Bucket, Placeholder::BucketPrefix]
            .into_iter()
            .any(|placeholder| before.contains(placeholder.as_str()));
        let name = before.rsplit_once(':').map_or(before, |(_, name)| name);
        (!depends_on_name).then(|| name.to_owned())
    }

    /// The spec for a bucket of which nothing but the name is used.
    fn sample_spec(&self, region: &Region, account: &Account) -> Option<Spec> {
        let sample = BucketName::parse(SAMPLE_SOURCE).ok()?;
        self.spec(&sample, region, account).ok()
    }
}

/// The patterns without those that another pattern covers.
fn without_covered(patterns: Vec<BucketPattern>) -> Vec<BucketPattern> {
    let mut kept: Vec<BucketPattern> = Vec::new();
    for pattern in patterns {
        if kept.iter().all(|other| !other.covers(&pattern)) {
            kept.retain(|other| !pattern.covers(other));
            kept.push(pattern);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
