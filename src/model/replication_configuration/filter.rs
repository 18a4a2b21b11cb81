//! Which objects a rule selects, in the forms that S3 has for it.
//!
//! It owns the decision whether a filter is fully understood. It must not know where a rule comes from.

use super::leaves::{leaves, tag};
use super::tree::{Content, Element};

/// A tag that an object must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterTag {
    /// The tag's key.
    pub key: String,
    /// The tag's value.
    pub value: String,
}

/// The form of a rule's filter.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ReplicationRuleFilter.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleFilter {
    /// The rule has no `Filter`: the first version of replication rules.
    V1 {
        /// The rule's own prefix; empty when it has none.
        prefix: String,
    },
    /// A prefix, which is empty when the filter is.
    Prefix(String),
    /// One tag.
    Tag(FilterTag),
    /// All of several conditions.
    And {
        /// A prefix.
        prefix: Option<String>,
        /// Tags, in the order of the document.
        tags: Vec<FilterTag>,
    },
    /// The filter has elements that are not known, or known ones in a combination that S3 does not document: which objects it selects
    /// cannot be said.
    NotUnderstood {
        /// Paths of what is not understood, such as `Filter.Not.Prefix`.
        elements: Vec<String>,
    },
}

impl RuleFilter {
    /// Whether the rule is of the first version, which S3 does not mix with rules that have a `Filter`.
    pub fn is_v1(&self) -> bool {
        matches!(self, Self::V1 { .. })
    }

    /// The prefix that keys must have, empty for any; `None` when the filter is not understood.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Self::V1 { prefix } | Self::Prefix(prefix) => Some(prefix),
            Self::Tag(_) => Some(""),
            Self::And { prefix, .. } => Some(prefix.as_deref().unwrap_or_default()),
            Self::NotUnderstood { .. } => None,
        }
    }

    /// The tags that objects must have; `None` when the filter is not understood.
    pub fn tags(&self) -> Option<&[FilterTag]> {
        match self {
            Self::V1 { .. } | Self::Prefix(_) => Some(&[]),
            Self::Tag(tag) => Some(std::slice::from_ref(tag)),
            Self::And { tags, .. } => Some(tags),
            Self::NotUnderstood { .. } => None,
        }
    }

    /// Reads the filter of a rule that has been normalized.
    pub(super) fn read(rule: &Element) -> Self {
        let prefix = rule.child("Prefix");
        let Some(filter) = rule.child("Filter") else {
            return match prefix {
                None => Self::V1 { prefix: String::new() },
                Some(prefix) => match plain_text(prefix) {
                    Some(prefix) => Self::V1 { prefix: prefix.to_owned() },
                    None => not_understood(prefix, "Prefix"),
                },
            };
        };
        if let Some(prefix) = prefix {
            return not_understood(prefix, "Prefix");
        }
        read_filter(filter).unwrap_or_else(|| not_understood(filter, "Filter"))
    }

    /// Gives the filter of a rule the one form that stands for all forms of the same selection: a prefix, and tags sorted by key. A filter
    /// that is not understood stays as it is.
    pub(super) fn normalize(&self, rule: &mut Element) {
        let (Some(prefix), Some(tags)) = (self.prefix(), self.tags()) else {
            return;
        };
        let prefix = Element::leaf("Prefix", prefix);
        let (name, wanted) = if self.is_v1() {
            ("Prefix", prefix)
        } else {
            let mut tags = tags.to_vec();
            tags.sort();
            let tags = tags.iter().map(|tag| {
                Element::parent(
                    "Tag",
                    [Element::leaf("Key", &tag.key), Element::leaf("Value", &tag.value)],
                )
            });
            ("Filter", Element::parent("Filter", std::iter::once(prefix).chain(tags)))
        };
        let current = rule.content.iter_mut().find_map(|part| match part {
            Content::Element(child) if child.name == name => Some(child),
            _ => None,
        });
        match current {
            Some(current) => *current = wanted,
            None => {
                rule.content.push(Content::Element(wanted));
                rule.normalize("", &|_| false);
            }
        }
    }
}

fn plain_text(element: &Element) -> Option<&str> {
    element.text().filter(|_| element.attributes.is_empty())
}

/// One of S3's forms; `None` for anything else.
fn read_filter(filter: &Element) -> Option<RuleFilter> {
    if !filter.has_only_elements() {
        return None;
    }
    let mut children = filter.children();
    match (children.next(), children.next()) {
        (None, _) => Some(RuleFilter::Prefix(String::new())),
        (Some(only), None) => match only.name.as_str() {
            "Prefix" => Some(RuleFilter::Prefix(plain_text(only)?.to_owned())),
            "Tag" => Some(RuleFilter::Tag(read_tag(only)?)),
            "And" => read_and(only),
            _ => None,
        },
        _ => None,
    }
}

fn read_and(and: &Element) -> Option<RuleFilter> {
    if !and.has_only_elements() || and.content.is_empty() {
        return None;
    }
    let (mut prefix, mut tags) = (None, Vec::new());
    for child in and.children() {
        match child.name.as_str() {
            "Prefix" if prefix.is_none() => prefix = Some(plain_text(child)?.to_owned()),
            "Tag" => tags.push(read_tag(child)?),
            _ => return None,
        }
    }
    Some(RuleFilter::And { prefix, tags })
}

fn read_tag(element: &Element) -> Option<FilterTag> {
    tag(element).map(|(key, value)| FilterTag { key: key.to_owned(), value: value.to_owned() })
}

/// Names what is not known; where each element is known by itself, all of them.
fn not_understood(element: &Element, path: &str) -> RuleFilter {
    let all = leaves(element, path);
    let unknown: Vec<String> =
        all.iter().filter(|leaf| leaf.rank.is_none()).map(|leaf| leaf.path.clone()).collect();
    let elements =
        if unknown.is_empty() { all.into_iter().map(|leaf| leaf.path).collect() } else { unknown };
    RuleFilter::NotUnderstood { elements }
}
