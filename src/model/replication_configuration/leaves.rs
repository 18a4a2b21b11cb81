//! The values of a rule, each under a path such as `Destination.Metrics.EventThreshold`.
//!
//! It owns the table of the elements that are known, and how their paths are shown. An element or attribute that is not in the table is shown
//! under its full path, so that nothing of a rule is invisible.

use std::collections::BTreeMap;

use super::tree::Element;

/// The known elements that have text, in the order in which they are shown, and how they are shown.
const KNOWN: [(&str, &str); 23] = [
    ("ID", "ID"),
    ("Status", "Status"),
    ("Priority", "Priority"),
    ("Prefix", "Prefix"),
    ("Filter.Prefix", "Filter.Prefix"),
    ("Filter.Tag.Key", "Filter.Tags"),
    ("Filter.Tag.Value", "Filter.Tags"),
    ("Filter.And.Prefix", "Filter.And.Prefix"),
    ("Filter.And.Tag.Key", "Filter.And.Tags"),
    ("Filter.And.Tag.Value", "Filter.And.Tags"),
    (
        "SourceSelectionCriteria.SseKmsEncryptedObjects.Status",
        "SourceSelectionCriteria.SseKmsEncryptedObjects",
    ),
    (
        "SourceSelectionCriteria.ReplicaModifications.Status",
        "SourceSelectionCriteria.ReplicaModifications",
    ),
    ("ExistingObjectReplication.Status", "ExistingObjectReplication"),
    ("Destination.Bucket", "Destination.Bucket"),
    ("Destination.Account", "Destination.Account"),
    ("Destination.StorageClass", "Destination.StorageClass"),
    ("Destination.AccessControlTranslation.Owner", "Destination.AccessControlTranslation.Owner"),
    (
        "Destination.EncryptionConfiguration.ReplicaKmsKeyID",
        "Destination.EncryptionConfiguration.ReplicaKmsKeyID",
    ),
    ("Destination.ReplicationTime.Status", "Destination.ReplicationTime.Status"),
    ("Destination.ReplicationTime.Time.Minutes", "Destination.ReplicationTime.Minutes"),
    ("Destination.Metrics.Status", "Destination.Metrics.Status"),
    ("Destination.Metrics.EventThreshold.Minutes", "Destination.Metrics.EventThreshold"),
    ("DeleteMarkerReplication.Status", "DeleteMarkerReplication"),
];

/// A value of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Where it is, as it is shown.
    pub path: String,
    pub value: String,
    /// Place in the order in which values are shown; `None` when the element or attribute is not known.
    pub rank: Option<usize>,
}

/// Whether an element of a rule is known to have no text, but elements.
pub(super) fn is_parent(path: &str) -> bool {
    let is_above = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    path.is_empty() || KNOWN.iter().any(|(known, _)| is_above(known))
}

/// Every value beneath an element of a rule, in the element's own order; `path` is where the element is, empty for the rule itself.
pub(super) fn leaves(element: &Element, path: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(element, path, &mut found);
    found
}

fn collect(element: &Element, path: &str, found: &mut Vec<Leaf>) {
    for (name, value) in &element.attributes {
        found.push(Leaf { path: format!("{path}@{name}"), value: value.clone(), rank: None });
    }
    if element.is_mixed() {
        let mut value = String::new();
        element.write_content(&mut value);
        // Text among a rule's own elements has no path.
        let path = if path.is_empty() { "#text" } else { path };
        found.push(Leaf { path: path.to_owned(), value, rank: None });
        return;
    }
    match element.text() {
        Some(_) if path.is_empty() => {}
        Some(text) => found.push(text_leaf(path, text)),
        None => collect_children(element, path, found),
    }
}

/// The leaf of an element that has text and nothing else.
fn text_leaf(path: &str, text: &str) -> Leaf {
    let known = KNOWN.iter().enumerate().find(|(_, (known, _))| *known == path);
    let is_empty_parent = text.is_empty() && is_parent(path);
    let (path, rank) = match known {
        Some((rank, (_, shown))) => (*shown, Some(rank)),
        None => (path, is_empty_parent.then_some(KNOWN.len())),
    };
    Leaf { path: path.to_owned(), value: text.to_owned(), rank }
}

/// Collects the leaves of an element's children. A child that is repeated has its number in its path.
fn collect_children(element: &Element, path: &str, found: &mut Vec<Leaf>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for child in element.children() {
        let child_path =
            if path.is_empty() { child.name.clone() } else { format!("{path}.{}", child.name) };
        if let Some((key, value)) = tag(child) {
            let rank =
                KNOWN.iter().position(|(known, _)| known.strip_suffix(".Key") == Some(&child_path));
            found.push(Leaf {
                path: format!("{child_path}s.{key}"),
                value: value.to_owned(),
                rank,
            });
            continue;
        }
        let count = counts.entry(&child.name).or_default();
        *count += 1;
        if *count == 1 {
            collect(child, &child_path, found);
        } else {
            collect(child, &format!("{child_path}[{count}]"), found);
        }
    }
}

/// Key and value of an element that is a tag as S3 has it, with nothing else in it.
pub(super) fn tag(element: &Element) -> Option<(&str, &str)> {
    let mut children = element.children();
    let (Some(one), Some(other), None) = (children.next(), children.next(), children.next()) else {
        return None;
    };
    let (key, value) = if one.name == "Key" { (one, other) } else { (other, one) };
    let is_tag = element.name == "Tag"
        && element.has_only_elements()
        && key.name == "Key"
        && value.name == "Value";
    let is_plain = key.attributes.is_empty() && value.attributes.is_empty();
    if is_tag && is_plain { Some((key.text()?, value.text()?)) } else { None }
}
