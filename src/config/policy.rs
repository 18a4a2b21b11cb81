//! The replication policy document: which buckets are replicated, and how.

use std::collections::BTreeMap;

use serde_json::Value;
use wildmatch::WildMatch;

use crate::model::{Access, Account, BucketName, Region, RuleAddress, RuleId};
use crate::spec::{Invalid, Object, Properties, Spec, destination_access, read_properties};

/// Every rule that matches a bucket applies to it.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<PolicyRule>,
}

/// One rule of the policy: which buckets it is for, and the replication that they get.
#[derive(Debug, Clone)]
pub struct PolicyRule {
    rule_id: RuleId,
    bucket_names: Vec<WildMatch>,
    exclude_bucket_names: Vec<WildMatch>,
    bucket_tags: BTreeMap<String, String>,
    /// `DestinationBucket` with its placeholders.
    destination: String,
    properties: Properties,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// The first thing that cannot be accepted, with its place in the document.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let document: Value = serde_json::from_str(text)
            .map_err(|error| Invalid::new("", format!("is not JSON: {error}")))?;
        let rules = document
            .as_object()
            .filter(|object| object.len() == 1)
            .and_then(|object| object.get("Rules"))
            .and_then(Value::as_array);
        let rules = rules.ok_or_else(|| {
            Invalid::new(
                "Rules",
                "is required, a list, and the only name at the top of the document",
            )
        })?;
        let rules = rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| {
            PolicyRule::parse(rule).map_err(|invalid| invalid.within(&format!("Rules[{index}]")))
        });
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        for (index, rule) in rules.iter().enumerate() {
            if rules.iter().take(index).any(|earlier| earlier.rule_id == rule.rule_id) {
                return Err(Invalid::new(
                    format!("Rules[{index}].Name"),
                    "is the name of an earlier rule, too; names must differ",
                ));
            }
        }
        Ok(Self { rules })
    }

    /// The rules whose name patterns match the bucket; their tags have yet to be looked at.
    pub fn named(&self, bucket: &BucketName) -> impl Iterator<Item = &PolicyRule> {
        self.rules.iter().filter(|rule| rule.matches_name(bucket.as_str()))
    }

    /// Whether the bucket is the destination of some rule, so that it is no source but to [replicate back](Self::replicates_back).
    pub fn has_destination(&self, bucket: &BucketName, account: &Account) -> bool {
        self.rules.iter().any(|rule| rule.may_replicate_to(bucket.as_str(), account))
    }

    /// Whether `rule` replicates `bucket` to a bucket from which another rule replicates to `bucket`, both of them with
    /// `ReplicaModifications`: the two directions of one replication, and no chain of copies of copies.
    pub fn replicates_back(
        &self,
        rule: &PolicyRule,
        bucket: &BucketName,
        region: &Region,
        account: &Account,
    ) -> bool {
        let Ok(there) = rule.spec(bucket, region, account) else {
            return false;
        };
        let back = |other: &&PolicyRule| {
            other.is_two_way() && other.matches_name(there.destination.as_str())
        };
        let mut back = self.rules.iter().filter(back).filter_map(|other| {
            other.spec(&there.destination, &there.destination_region, account).ok()
        });
        rule.is_two_way() && back.any(|back| back.destination == *bucket)
    }
}

impl PolicyRule {
    fn parse(rule: &Value) -> Result<Self, Invalid> {
        let object = rule
            .as_object()
            .ok_or_else(|| Invalid::new("Name", "is required: a rule is an object"))?;
        let mut own = Object::new(object);
        let name = own.text("Name")?.ok_or_else(|| Invalid::new("Name", "is required"))?;
        let rule_id = RuleId::named(&name).map_err(|problem| Invalid::new("Name", problem))?;
        let matching = own.take("Match").and_then(Value::as_object);
        let matching = matching.ok_or_else(|| {
            Invalid::new(
                "Match",
                "is required, with `BucketNames` or `BucketTags`; `[\"*\"]` names every bucket",
            )
        })?;
        let mut matching = Object::new(matching);
        let within = |invalid: Invalid| invalid.within("Match");
        let bucket_names =
            matching.list("BucketNames").map_err(within)?.filter(|names| !names.is_empty());
        let exclude_bucket_names =
            matching.list("ExcludeBucketNames").map_err(within)?.unwrap_or_default();
        let bucket_tags = matching.tags("BucketTags").map_err(within)?.unwrap_or_default();
        matching.finish().map_err(within)?;
        if bucket_names.is_none() && bucket_tags.is_empty() {
            return Err(Invalid::new(
                "Match",
                "needs `BucketNames` or `BucketTags`; `[\"*\"]` names every bucket",
            ));
        }

        let properties = read_properties(object, &["Name", "Match"])?;
        if properties.source_bucket.is_some() {
            return Err(Invalid::new(
                "SourceBucket",
                "cannot be given in a policy: it is the bucket that matches",
            ));
        }
        let destination = properties
            .destination_bucket
            .clone()
            .ok_or_else(|| Invalid::new("DestinationBucket", "is required"))?;
        let pattern = |pattern: &String| WildMatch::new(pattern);
        let rule = Self {
            rule_id,
            bucket_names: bucket_names.map_or_else(
                || vec![WildMatch::new("*")],
                |names| names.iter().map(pattern).collect(),
            ),
            exclude_bucket_names: exclude_bucket_names.iter().map(pattern).collect(),
            bucket_tags,
            destination,
            properties,
        };
        rule.check()?;
        Ok(rule)
    }

    /// Tries the rule on a made-up bucket, so that what is wrong for every bucket is known at start.
    fn check(&self) -> Result<(), Invalid> {
        let unfilled = self
            .destination
            .replace("{bucket}", "")
            .replace("{account}", "")
            .replace("{region}", "");
        if unfilled.contains(['{', '}']) {
            let problem = format!(
                "is `{}`; the placeholders are {{bucket}}, {{account}} and {{region}}",
                self.destination
            );
            return Err(Invalid::new("DestinationBucket", problem));
        }
        let sample = |problem: String| Invalid::new("DestinationBucket", problem);
        let bucket = BucketName::parse("any.sample.source").map_err(sample)?;
        let region = Region::parse("us-east-1").map_err(sample)?;
        let account = Account::parse("000000000000").map_err(sample)?;
        self.spec(&bucket, &region, &account).map(|_| ())
    }

    /// The id of the replication rule that this rule makes.
    pub fn rule_id(&self) -> &RuleId {
        &self.rule_id
    }

    /// The rule that it is of a source bucket.
    pub fn address(&self, source: &BucketName) -> RuleAddress {
        RuleAddress { source: source.clone(), id: self.rule_id.clone() }
    }

    /// Whether the rule can be one direction of two.
    pub fn is_two_way(&self) -> bool {
        self.properties.replica_modifications == Some(true)
    }

    /// With whose credentials the destination's account is accessed on behalf of a bucket.
    pub fn destination_access(&self, bucket: &BucketName) -> Access {
        destination_access(&self.properties, bucket).unwrap_or_default()
    }

    /// Whether it takes the bucket's tags to know if it is meant.
    pub fn asks_for_tags(&self) -> bool {
        !self.bucket_tags.is_empty()
    }

    /// Whether a bucket with these tags is meant.
    pub fn matches_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        self.bucket_tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    /// What the rule asks for a bucket.
    ///
    /// # Errors
    /// The property that cannot be accepted for this bucket, such as a destination whose name gets too long.
    pub fn spec(
        &self,
        bucket: &BucketName,
        region: &Region,
        account: &Account,
    ) -> Result<Spec, Invalid> {
        let properties = Properties {
            source_bucket: Some(bucket.to_string()),
            destination_bucket: Some(self.filled(bucket.as_str(), region.as_str(), account)),
            ..self.properties.clone()
        };
        Spec::new(self.rule_id.clone(), &properties)
    }

    fn filled(&self, bucket: &str, region: &str, account: &Account) -> String {
        self.destination
            .replace("{bucket}", bucket)
            .replace("{region}", region)
            .replace("{account}", account.as_str())
    }

    fn matches_name(&self, bucket: &str) -> bool {
        let any = |patterns: &[WildMatch]| patterns.iter().any(|pattern| pattern.matches(bucket));
        any(&self.bucket_names) && !any(&self.exclude_bucket_names)
    }

    /// Whether there is a source that this rule, going by names, replicates to `bucket`.
    fn may_replicate_to(&self, bucket: &str, account: &Account) -> bool {
        let written = self.in_form_of_destination(bucket);
        let is_region = |region: &&str| region.is_empty() || Region::parse(region).is_ok();
        let sources = values_of("{bucket}", &self.destination, bucket);
        sources
            .into_iter()
            .filter(|source| *source != bucket && (source.is_empty() || self.matches_name(source)))
            .any(|source| {
                let mut regions =
                    values_of("{region}", &self.destination, bucket).into_iter().filter(is_region);
                regions.any(|region| self.filled(source, region, account) == written)
            })
    }

    /// The bucket as the rule writes destinations: by name, or as an ARN.
    fn in_form_of_destination(&self, bucket: &str) -> String {
        match self.destination.rsplit_once(':') {
            Some((arn, _)) => format!("{arn}:{bucket}"),
            None => bucket.to_owned(),
        }
    }
}

/// What a placeholder can stand for in a destination that is `bucket`: any part of it, or nothing when the placeholder is not there.
fn values_of<'a>(placeholder: &str, destination: &str, bucket: &'a str) -> Vec<&'a str> {
    if !destination.contains(placeholder) {
        return vec![""];
    }
    let starts = 0..bucket.len();
    starts
        .flat_map(|start| (start + 1..=bucket.len()).filter_map(move |end| bucket.get(start..end)))
        .collect()
}
