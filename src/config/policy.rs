//! The replication policy document: which buckets are replicated, and how.
//!
//! It owns the document's form and the choice of rules for a bucket. It must not know where the document is kept, nor what exists
//! in AWS.

mod shared_role;

use std::collections::BTreeMap;

use serde_json::Value;

use super::bucket_match::BucketMatch;
use super::destination_region::DestinationRegion;
use super::destination_template::{DestinationTemplate, Place, TemplateValues};
use super::placeholders::{Placeholder, SourceValues, account_regional_suffix};
use crate::model::{
    Access, Account, BucketName, LegacyBucketName, Region, RoleArn, RuleAddress, RuleId,
};
use crate::spec::{Invalid, Object, Properties, Spec, destination_access, read_properties};

/// The name of a bucket of which nothing else is used.
const SAMPLE_SOURCE: &str = "any.sample.source";

/// A replication policy. Every rule that matches a bucket applies to the bucket.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<PolicyRule>,
}

/// One rule of a policy: which buckets it is for, and how they are replicated.
#[derive(Debug, Clone)]
pub struct PolicyRule {
    rule_id: RuleId,
    bucket_match: BucketMatch,
    destination: DestinationTemplate,
    destination_region: DestinationRegion,
    /// The destination's account, if it is not the source's.
    destination_account: Option<Account>,
    properties: Properties,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// The first property that cannot be accepted, with its place in the document.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let document: Value = serde_json::from_str(text)
            .map_err(|error| Invalid::new("", format!("is not JSON: {error}")))?;
        let mut rules: Vec<PolicyRule> = Vec::new();
        for (index, rule) in rules_of_document(&document)?.iter().enumerate() {
            let place = format!("Rules[{index}]");
            let rule = PolicyRule::parse(rule).map_err(|invalid| invalid.within(&place))?;
            rules.push(rule);
        }
        check_names_differ(&rules)?;
        Ok(Self { rules })
    }

    /// The rules whose name patterns match the bucket. Their conditions on tags are not checked.
    pub fn rules_for_name(&self, bucket: &BucketName) -> impl Iterator<Item = &PolicyRule> {
        self.rules.iter().filter(|rule| rule.matches_name(bucket.as_str()))
    }

    /// Whether the policy has no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules whose name patterns match a bucket that has a name from before March 2018.
    pub fn rules_for_legacy_name(
        &self,
        bucket: &LegacyBucketName,
    ) -> impl Iterator<Item = &PolicyRule> {
        self.rules.iter().filter(|rule| rule.matches_name(bucket.as_str()))
    }

    /// The rule with this id.
    pub fn rule(&self, id: &RuleId) -> Option<&PolicyRule> {
        self.rules.iter().find(|rule| rule.rule_id == *id)
    }

    /// What the caller should know about the patterns of all rules, as one sentence for each pattern.
    pub fn pattern_warnings(&self) -> Vec<String> {
        self.rules.iter().flat_map(|rule| rule.bucket_match.warnings()).collect()
    }

    /// What the caller should know about the rules, as one sentence for each thing.
    pub fn warnings(&self) -> Vec<String> {
        let of_rule = |rule: &PolicyRule| {
            let id = rule.rule_id.clone();
            rule.warnings().into_iter().map(move |warning| format!("rule `{id}`: {warning}"))
        };
        self.rules.iter().flat_map(of_rule).collect()
    }

    /// Whether the bucket is the destination of a rule. Such a bucket is a source only of a rule that [replicates back](Self::replicates_back).
    pub fn has_destination(&self, bucket: &BucketName, account: &Account) -> bool {
        self.rules.iter().any(|rule| rule.may_replicate_to(bucket, account))
    }

    /// Whether `rule` is one direction of a two-way replication of `bucket`: another rule replicates from the destination to `bucket`, and both
    /// rules have `ReplicaModifications`. Otherwise the rules would make a chain in which replicas are replicated again.
    pub fn replicates_back(
        &self,
        rule: &PolicyRule,
        bucket: &BucketName,
        region: &Region,
        account: &Account,
    ) -> bool {
        let Ok(forward) = rule.spec(bucket, region, account) else {
            return false;
        };
        let replicates_to_bucket = |other: &PolicyRule| {
            let back = other.spec(&forward.destination, &forward.destination_region, account);
            back.is_ok_and(|back| back.destination == *bucket)
        };
        rule.is_two_way()
            && self
                .rules_for_name(&forward.destination)
                .any(|other| other.is_two_way() && replicates_to_bucket(other))
    }
}

fn rules_of_document(document: &Value) -> Result<&Vec<Value>, Invalid> {
    let object = document.as_object().filter(|object| object.len() == 1);
    object.and_then(|object| object.get("Rules")).and_then(Value::as_array).ok_or_else(|| {
        Invalid::new("Rules", "is required, a list, and the only name at the top of the document")
    })
}

fn check_names_differ(rules: &[PolicyRule]) -> Result<(), Invalid> {
    for (index, rule) in rules.iter().enumerate() {
        if rules.iter().take(index).any(|earlier| earlier.rule_id == rule.rule_id) {
            return Err(Invalid::new(
                format!("Rules[{index}].Name"),
                "is also the name of an earlier rule; names must differ",
            ));
        }
    }
    Ok(())
}

impl PolicyRule {
    fn parse(rule: &Value) -> Result<Self, Invalid> {
        let object = rule
            .as_object()
            .ok_or_else(|| Invalid::new("Name", "is required: a rule is an object"))?;
        let mut reader = Object::new(object);
        let name = reader.text("Name")?.ok_or_else(|| Invalid::new("Name", "is required"))?;
        let rule_id = RuleId::named(&name).map_err(|problem| Invalid::new("Name", problem))?;
        let bucket_match = BucketMatch::parse(reader.take("Match"))?;
        let destination_region = reader.take("DestinationRegion");
        let properties = read_properties(object, &["Name", "Match", "DestinationRegion"])?;
        if properties.source_bucket.is_some() {
            return Err(Invalid::new(
                "SourceBucket",
                "cannot be given in a policy: the source is the bucket that matches",
            ));
        }
        let required = |property: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| Invalid::new(property, "is required"))
        };
        let destination = required("DestinationBucket", &properties.destination_bucket)?;
        let replica_key = required("ReplicaKmsKeyArn", &properties.replica_kms_key_arn)?;
        Placeholder::check("ReplicaKmsKeyArn", &replica_key, &Placeholder::OF_PLACES)?;
        let destination_region = DestinationRegion::parse(destination_region, &replica_key)?;
        let destination_account = destination_account(&properties)?;
        let place = |(region, destination_region)| Place {
            region,
            destination_region,
            destination_account: destination_account.clone(),
        };
        let places: Vec<Place> = destination_region.pairs().into_iter().map(place).collect();
        let destination = DestinationTemplate::parse(&destination, &places)?;
        let rule = Self {
            rule_id,
            bucket_match,
            destination,
            destination_region,
            destination_account,
            properties,
        };
        rule.check_with_sample_buckets()?;
        Ok(rule)
    }

    /// Makes the specs of sample buckets, so that values which are wrong for every bucket of a Region are refused when the policy is read.
    fn check_with_sample_buckets(&self) -> Result<(), Invalid> {
        let invalid = |problem: String| Invalid::new("DestinationBucket", problem);
        let bucket = BucketName::parse(SAMPLE_SOURCE).map_err(invalid)?;
        let region = Region::parse("us-east-1").map_err(invalid)?;
        let account = Account::parse("000000000000").map_err(invalid)?;
        for (source_region, _) in self.destination_region.pairs() {
            self.spec(&bucket, source_region.as_ref().unwrap_or(&region), &account)?;
        }
        Ok(())
    }

    /// The id of the replication rule that this rule makes.
    pub fn rule_id(&self) -> &RuleId {
        &self.rule_id
    }

    /// The address of the replication rule that this rule makes for a source bucket.
    pub fn address(&self, source: &BucketName) -> RuleAddress {
        RuleAddress { source: source.clone(), id: self.rule_id.clone() }
    }

    /// What the caller should know about the rule, as one sentence for each thing.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.bucket_match.warnings().collect();
        if self.bucket_match.can_match_several() && !self.destination.depends_on_name() {
            warnings.push(
                "several buckets can match, and all of them replicate to the same destination: an object replaces the replica of another bucket's object with the same key, unless `DestinationBucket` has `{bucket}`".to_owned(),
            );
        }
        warnings
    }

    /// Whether the rule can be one direction of a two-way replication.
    pub fn is_two_way(&self) -> bool {
        self.properties.replica_modifications == Some(true)
    }

    /// The credentials with which the destination's account is accessed for a source bucket.
    pub fn destination_access(&self, bucket: &BucketName) -> Access {
        destination_access(&self.properties, bucket).unwrap_or_default()
    }

    /// Whether the bucket's tags must be read to decide whether the rule is for the bucket.
    pub fn needs_tags(&self) -> bool {
        self.bucket_match.has_tags()
    }

    /// Whether a bucket with these tags meets the rule's conditions on tags.
    pub fn matches_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        self.bucket_match.matches_tags(tags)
    }

    /// The spec of the rule for a bucket.
    ///
    /// # Errors
    /// The property that cannot be accepted for this bucket, such as a destination whose name is too long.
    pub fn spec(
        &self,
        bucket: &BucketName,
        region: &Region,
        account: &Account,
    ) -> Result<Spec, Invalid> {
        let destination_region = self.destination_region.for_source(region)?;
        let values = SourceValues {
            bucket,
            region,
            account,
            destination_account: self.destination_account.as_ref().unwrap_or(account),
            destination_region,
        };
        // Whoever creates a bucket chooses what such a template is filled with, and so the destination.
        let refuse = || self.destination.has_placeholders().then(|| "Refuse".to_owned());
        let replica_key = self.properties.replica_kms_key_arn.as_deref();
        let properties = Properties {
            source_bucket: Some(bucket.to_string()),
            destination_bucket: Some(self.destination.fill(&values)),
            destination_region: Some(destination_region.to_string()),
            replica_kms_key_arn: replica_key.map(|key| values.fill(key)),
            existing_destination: self.properties.existing_destination.clone().or_else(refuse),
            ..self.properties.clone()
        };
        Spec::new(self.rule_id.clone(), &properties)
    }

    /// A text with the values of the places; `None` if the rule does not apply to buckets in `region`.
    fn fill(&self, text: &str, region: &Region, account: &Account) -> Option<String> {
        let values = SourceValues {
            bucket: &BucketName::parse(SAMPLE_SOURCE).ok()?,
            region,
            account,
            destination_account: self.destination_account.as_ref().unwrap_or(account),
            destination_region: self.destination_region.for_source(region).ok()?,
        };
        Some(values.fill(text))
    }

    fn matches_name(&self, bucket: &str) -> bool {
        self.bucket_match.matches_name(bucket)
    }

    /// Whether a source exists, by the form of its name, that this rule replicates to `bucket`.
    fn may_replicate_to(&self, bucket: &BucketName, account: &Account) -> bool {
        let bucket = bucket.as_str();
        let is_source = |source: &str| source != bucket && self.matches_name(source);
        self.destination.values_for(bucket, account).any(|values| match values {
            TemplateValues { bucket: Some(source), bucket_prefix: None, .. } => is_source(source),
            TemplateValues { bucket: Some(source), bucket_prefix: Some(prefix), region } => {
                is_source(source) && has_prefix(source, prefix, region, account)
            }
            TemplateValues { bucket: None, bucket_prefix: Some(prefix), region: Some(region) } => {
                is_source(prefix)
                    || is_source(&format!("{prefix}{}", account_regional_suffix(account, region)))
            }
            // The source may be in any Region.
            TemplateValues { bucket: None, bucket_prefix: Some(prefix), region: None } => {
                is_source(prefix)
                    || self.bucket_match.may_match_between(&format!("{prefix}-{account}-"), "-an")
            }
            TemplateValues { bucket: None, bucket_prefix: None, .. } => true,
        })
    }
}

/// Whether `{bucket_prefix}` stands for `prefix` in the name of a source: the name is the prefix itself, or an account-regional name in `region`,
/// or in any Region.
fn has_prefix(source: &str, prefix: &str, region: Option<&str>, account: &Account) -> bool {
    let Some(suffix) = source.strip_prefix(prefix) else { return false };
    let suffix_region = suffix
        .strip_prefix(&format!("-{account}-"))
        .and_then(|suffix| suffix.strip_suffix("-an"))
        .filter(|found| Region::parse(found).is_ok());
    suffix.is_empty()
        || suffix_region.is_some_and(|found| region.is_none_or(|region| region == found))
}

/// The destination's account, if the properties name it.
fn destination_account(properties: &Properties) -> Result<Option<Account>, Invalid> {
    let given = properties.destination_account.as_deref().map(Account::parse).transpose();
    let given = given.map_err(|problem| Invalid::new("DestinationAccount", problem))?;
    let role = properties.destination_role_arn.as_deref().map(RoleArn::parse).transpose();
    let role = role.map_err(|problem| Invalid::new("DestinationRoleArn", problem))?;
    Ok(given.or_else(|| role.map(|role| role.account().clone())))
}
