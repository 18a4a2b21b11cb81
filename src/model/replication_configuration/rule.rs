//! One rule of a replication configuration: its text as S3 returned it, and what can be read of it.
//!
//! It owns the reading of a rule's elements. It must not know the other rules.

use std::sync::Arc;

use roxmltree::Node;

use super::ParseError;
use super::filter::RuleFilter;
use super::leaves::{is_parent, leaves};
use super::namespaces::Namespaces;
use super::tree::Element;

/// Elements of which a rule has at most one, and which are relied on.
const SINGLE: [&str; 6] = ["ID", "Priority", "Status", "Prefix", "Filter", "Destination"];

/// A rule, kept as text. Two rules are equal when they say the same, however each is written.
#[derive(Debug, Clone)]
pub struct Rule {
    xml: String,
    /// The namespaces that the text relies on.
    pub(super) scope: Arc<Namespaces>,
    pub(super) tree: Element,
    id: Option<String>,
    priority: Option<i32>,
    filter: RuleFilter,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl Eq for Rule {}

impl Rule {
    /// Reads a `Rule` element whose text is `xml`; `position` counts from 1 and names a rule without an id.
    pub(super) fn read(
        node: Node<'_, '_>,
        xml: &str,
        scope: &Arc<Namespaces>,
        position: usize,
    ) -> Result<Self, ParseError> {
        let mut tree = Element::read(node)?;
        tree.normalize("", &is_parent);
        let text = |name: &'static str| {
            let not_text = || ParseError::NotText { rule: position, element: name };
            tree.child(name).map(|child| child.text().ok_or_else(not_text)).transpose()
        };
        let (id, priority, _) =
            (text("ID")?.map(str::to_owned), text("Priority")?, text("Status")?);
        let priority = match priority {
            None => None,
            Some(text) => {
                let invalid = || ParseError::Priority {
                    rule: position,
                    value: text.escape_debug().to_string(),
                };
                Some(text.trim_ascii().parse::<i32>().map_err(|_| invalid())?)
            }
        };
        for element in SINGLE {
            if tree.children().filter(|child| child.name == element).count() > 1 {
                return Err(ParseError::Repeated { rule: position, element });
            }
        }
        Ok(Self::with_filter_read(tree, xml.to_owned(), Arc::clone(scope), id, priority))
    }

    /// A rule whose elements are in order, as their text is.
    pub(super) fn built(
        mut tree: Element,
        xml: String,
        scope: Arc<Namespaces>,
        id: String,
        priority: i32,
    ) -> Self {
        tree.normalize("", &is_parent);
        Self::with_filter_read(tree, xml, scope, Some(id), Some(priority))
    }

    fn with_filter_read(
        mut tree: Element,
        xml: String,
        scope: Arc<Namespaces>,
        id: Option<String>,
        priority: Option<i32>,
    ) -> Self {
        let filter = RuleFilter::read(&tree);
        filter.normalize(&mut tree);
        Self { xml, scope, tree, id, priority, filter }
    }

    /// The rule's `ID`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The rule's `Priority`; rules of the first version have none.
    pub fn priority(&self) -> Option<i32> {
        self.priority
    }

    /// The rule's `Status`, empty when it has none.
    pub fn status(&self) -> &str {
        self.text(&["Status"]).unwrap_or_default()
    }

    /// Whether the rule's `Status` is `Enabled`.
    pub fn is_enabled(&self) -> bool {
        self.status() == "Enabled"
    }

    /// Which objects the rule selects.
    pub fn filter(&self) -> &RuleFilter {
        &self.filter
    }

    /// Whether the rule selects objects that are encrypted with SSE-KMS.
    pub fn selects_kms_objects(&self) -> bool {
        self.text(&["SourceSelectionCriteria", "SseKmsEncryptedObjects", "Status"])
            == Some("Enabled")
    }

    /// ARN of the destination bucket.
    pub fn destination_bucket(&self) -> Option<&str> {
        self.text(&["Destination", "Bucket"])
    }

    /// The account that owns the destination bucket, where the rule names it.
    pub fn destination_account(&self) -> Option<&str> {
        self.text(&["Destination", "Account"])
    }

    /// Whether replicas belong to the destination bucket's owner.
    pub fn overrides_owner(&self) -> bool {
        self.text(&["Destination", "AccessControlTranslation", "Owner"]).is_some()
    }

    /// The key that encrypts replicas, as the rule names it.
    pub fn replica_kms_key_id(&self) -> Option<&str> {
        self.text(&["Destination", "EncryptionConfiguration", "ReplicaKmsKeyID"])
    }

    /// The text of an element by its path, such as `["Destination", "ReplicationTime", "Status"]`; `None` when the rule has no such
    /// element, or the element has child elements. A filter is best read by [`Rule::filter`].
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(&self.tree, |element, name| element.child(name))?.text()
    }

    /// The rule's text, exactly as it was read; prefixes in it may be declared by the configuration's root element.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// Every value of the rule but its `ID`, as path and value. Known elements come first and in a fixed order; elements and attributes that
    /// are not known follow under their full path, attributes with `@`, and an element that is repeated with its number, such as `New[2]`.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut leaves = leaves(&self.tree, "");
        leaves.retain(|leaf| leaf.path != "ID");
        leaves.sort_by_key(|leaf| leaf.rank.unwrap_or(usize::MAX));
        leaves.into_iter().map(|leaf| (leaf.path, leaf.value)).collect()
    }

    /// The rule as it can stand beneath another root element: declares what its text relies on and that root does not.
    pub(super) fn moved_to(&self, target: &Arc<Namespaces>) -> Self {
        let (declarations, xml) = (self.scope.missing_in(target, &self.xml), &self.xml);
        let name_end = xml
            .find(|character: char| {
                character.is_ascii_whitespace() || matches!(character, '>' | '/')
            })
            .unwrap_or(xml.len());
        let (name, rest) = xml.split_at(name_end);
        Self {
            xml: format!("{name}{declarations}{rest}"),
            scope: Arc::clone(target),
            ..self.clone()
        }
    }
}
