//! A rule of our own, from typed values to XML.
//!
//! It owns the order and the escaping of the elements, as S3's schema and the SDK have them. It must not know which values a rule needs.

use std::sync::Arc;

use super::namespaces::Namespaces;
use super::rule::Rule;
use super::tree::{Content, Element};
use crate::model::xml::{InvalidCharacter, check_characters};

/// The values of a rule, of the second version.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ReplicationRule.html>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleElements {
    /// `ID`, up to 255 characters.
    pub id: String,
    /// `Priority`: of the rules that select an object for one destination, the one with the highest number decides.
    pub priority: i32,
    /// The prefix that keys must have; empty for any.
    pub prefix: String,
    /// Keys and values of the tags that objects must have.
    pub tags: Vec<(String, String)>,
    /// Whether objects that are encrypted with SSE-KMS are replicated, too. S3 then demands a replica key.
    pub sse_kms_encrypted_objects: bool,
    /// Whether changes of replicas' metadata are replicated back.
    pub replica_modifications: bool,
    /// ARN of the destination bucket.
    pub destination_bucket: String,
    /// The account that owns the destination bucket, when it is another.
    pub destination_account: Option<String>,
    /// Whether replicas belong to the destination bucket's owner. S3 then demands the account.
    pub owner_override: bool,
    /// Storage class of replicas; that of the source object when absent.
    pub storage_class: Option<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_kms_key_id: Option<String>,
    /// Minutes of S3 Replication Time Control, of which S3 knows 15 alone; off when absent. S3 then demands metrics with the threshold.
    pub replication_time_minutes: Option<u32>,
    /// Replication metrics; off when absent.
    pub metrics: Option<Metrics>,
    /// Whether delete markers are replicated. S3 refuses it together with tags.
    pub delete_marker_replication: bool,
}

/// Replication metrics of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Minutes after which S3 raises an event about an object that is not replicated; of which S3 knows 15 alone.
    pub event_threshold_minutes: Option<u32>,
}

impl RuleElements {
    /// Makes the rule.
    ///
    /// # Errors
    /// [`InvalidCharacter`] when a value has a character that XML cannot hold.
    pub fn into_rule(self) -> Result<Rule, InvalidCharacter> {
        let rule = Element::parent(
            "Rule",
            [
                Some(Element::leaf("ID", &self.id)),
                Some(Element::leaf("Priority", &self.priority.to_string())),
                Some(self.filter()),
                Some(enabled("Status")),
                self.source_selection_criteria(),
                Some(self.destination()),
                Some(Element::parent(
                    "DeleteMarkerReplication",
                    [status(self.delete_marker_replication)],
                )),
            ]
            .into_iter()
            .flatten(),
        );
        check(&rule)?;
        let mut xml = String::new();
        rule.write(&mut xml);
        Ok(Rule::built(rule, xml, Arc::new(Namespaces::of_s3()), self.id, self.priority))
    }

    /// S3 takes a prefix alone, one tag alone, or several conditions inside `And`.
    fn filter(&self) -> Element {
        let prefix = Element::leaf("Prefix", &self.prefix);
        let mut tags = self.tags.iter().map(|(key, value)| {
            Element::parent("Tag", [Element::leaf("Key", key), Element::leaf("Value", value)])
        });
        Element::parent(
            "Filter",
            [match (self.prefix.is_empty(), self.tags.len()) {
                (true, 1) => tags.next().unwrap_or(prefix),
                (_, 0) => prefix,
                (no_prefix, _) => {
                    Element::parent("And", (!no_prefix).then_some(prefix).into_iter().chain(tags))
                }
            }],
        )
    }

    /// Absent unless something is selected: S3 always wants `SseKmsEncryptedObjects` in it.
    fn source_selection_criteria(&self) -> Option<Element> {
        let encrypted =
            Element::parent("SseKmsEncryptedObjects", [status(self.sse_kms_encrypted_objects)]);
        let modifications = self
            .replica_modifications
            .then(|| Element::parent("ReplicaModifications", [enabled("Status")]));
        let is_needed = self.sse_kms_encrypted_objects || self.replica_modifications;
        is_needed.then(|| {
            Element::parent(
                "SourceSelectionCriteria",
                std::iter::once(encrypted).chain(modifications),
            )
        })
    }

    fn destination(&self) -> Element {
        let text = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| Element::leaf(name, value))
        };
        let minutes = |name: &str, minutes: u32| {
            Element::parent(name, [Element::leaf("Minutes", &minutes.to_string())])
        };
        let owner = self.owner_override.then(|| {
            Element::parent("AccessControlTranslation", [Element::leaf("Owner", "Destination")])
        });
        let key = text("ReplicaKmsKeyID", &self.replica_kms_key_id);
        let time = self.replication_time_minutes.map(|limit| {
            Element::parent("ReplicationTime", [enabled("Status"), minutes("Time", limit)])
        });
        let metrics = self.metrics.map(|Metrics { event_threshold_minutes }| {
            let threshold = event_threshold_minutes.map(|limit| minutes("EventThreshold", limit));
            Element::parent("Metrics", std::iter::once(enabled("Status")).chain(threshold))
        });
        let elements = [
            Some(Element::leaf("Bucket", &self.destination_bucket)),
            text("Account", &self.destination_account),
            text("StorageClass", &self.storage_class),
            owner,
            key.map(|key| Element::parent("EncryptionConfiguration", [key])),
            time,
            metrics,
        ];
        Element::parent("Destination", elements.into_iter().flatten())
    }
}

fn enabled(name: &str) -> Element {
    Element::leaf(name, "Enabled")
}

fn status(is_enabled: bool) -> Element {
    Element::leaf("Status", if is_enabled { "Enabled" } else { "Disabled" })
}

fn check(element: &Element) -> Result<(), InvalidCharacter> {
    element.content.iter().try_for_each(|part| match part {
        Content::Text(text) => check_characters(&element.name, text),
        Content::Element(child) => check(child),
    })
}
