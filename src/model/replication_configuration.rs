//! The replication configuration of a bucket, kept as S3 returned it.
//!
//! It owns the text of the configuration: what others wrote is sent back byte by byte, with elements that this program does not know. It
//! must not know the AWS SDK, whose types drop such elements, nor what our own rule is to say.
//!
//! # Guarantees
//! - [`ReplicationConfiguration::to_xml`] holds the text of every rule that was read and not replaced, in order, beneath the root element as
//!   it was read, so that each prefix keeps its namespace.
//! - Equality compares what configurations say. It ignores white space between elements, the order of attributes and of elements of
//!   different names, comments, entities, CDATA, prefixes, and the forms that S3 has for one filter. Everything else counts, with elements
//!   that are not known and the order of the rules: S3 is not documented to reorder them, and a configuration that another writer has
//!   reordered is another writer's.
//! - A document that is not whole, or says something twice that this program relies on, is an error, never a smaller configuration.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ReplicationConfiguration.html>.

use std::sync::Arc;

use roxmltree::Node;

mod error;
mod filter;
mod leaves;
mod namespaces;
mod rule;
mod rule_elements;
mod tree;

pub use error::ParseError;
pub use filter::{FilterTag, RuleFilter};
pub use rule::Rule;
pub use rule_elements::{Metrics, RuleElements};

use crate::model::xml::{
    InvalidCharacter, MAX_CONFIGURATION_BYTES, S3_NAMESPACE, XmlError, check_characters, decode,
    escape, parse, start_tag_len,
};
use leaves::leaves;
use namespaces::Namespaces;
use tree::{Element, attributes_of, is_s3, name_of};

/// Name of the root element.
const ROOT: &str = "ReplicationConfiguration";

/// A replication configuration: one role, and at least one rule.
#[derive(Debug, Clone)]
pub struct ReplicationConfiguration {
    /// The text up to the end of the root element's start tag.
    head: String,
    parts: Vec<Part>,
    /// The text from the root element's end tag on.
    tail: String,
    namespaces: Arc<Namespaces>,
    /// The root element's attributes, without declarations of namespaces.
    attributes: Vec<(String, String)>,
}

/// What stands beneath the root element.
#[derive(Debug, Clone)]
enum Part {
    /// White space, comments and processing instructions.
    Filler(String),
    Role {
        xml: String,
        tree: Element,
    },
    Rule(Rule),
    /// An element that is not known.
    Other {
        xml: String,
        tree: Element,
    },
}

impl Part {
    fn xml(&self) -> &str {
        match self {
            Self::Filler(xml) | Self::Role { xml, .. } | Self::Other { xml, .. } => xml,
            Self::Rule(rule) => rule.xml(),
        }
    }

    fn is_rule(&self, id: &str) -> bool {
        matches!(self, Self::Rule(rule) if rule.id() == Some(id))
    }
}

impl ReplicationConfiguration {
    /// Reads the body of GetBucketReplication's answer.
    ///
    /// # Errors
    /// A [`ParseError`] when it is not a whole configuration, or says what it must say once twice or not at all.
    pub fn parse(xml: &[u8]) -> Result<Self, ParseError> {
        let text = decode(xml, MAX_CONFIGURATION_BYTES)?;
        let document = parse(text)?;
        let root = document.root_element();
        if root.tag_name().name() != ROOT || !is_s3(root.tag_name().namespace()) {
            return Err(XmlError::Root { found: name_of(root), expected: ROOT.to_owned() }.into());
        }
        if root.children().any(|child| {
            child.is_text() && !child.text().unwrap_or_default().trim_ascii().is_empty()
        }) {
            return Err(ParseError::Text);
        }
        let slice = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        let range = root.range();
        let content_start = range.start + start_tag_len(slice(range.clone()));
        let content_end = slice(range.clone())
            .rfind("</")
            .map_or(content_start, |end| range.start + end)
            .max(content_start);

        let namespaces = Arc::new(Namespaces::of_root(root));
        let (mut parts, mut end, mut rules) = (Vec::new(), content_start, 0);
        for child in root.children().filter(Node::is_element) {
            let range = child.range();
            let (filler, xml) = (slice(end..range.start), slice(range.clone()));
            if !filler.is_empty() {
                parts.push(Part::Filler(filler.to_owned()));
            }
            end = range.end;
            parts.push(match name_of(child).as_str() {
                "Rule" => {
                    rules += 1;
                    Part::Rule(Rule::read(child, xml, &namespaces, rules)?)
                }
                "Role" => Part::Role { xml: xml.to_owned(), tree: read_role(child)? },
                _ => Part::Other { xml: xml.to_owned(), tree: read_other(child)? },
            });
        }
        if end < content_end {
            parts.push(Part::Filler(slice(end..content_end).to_owned()));
        }
        let (head, tail) =
            (slice(0..content_start).to_owned(), slice(content_end..text.len()).to_owned());
        let configuration = Self { head, parts, tail, namespaces, attributes: attributes_of(root) };
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), ParseError> {
        match self.parts.iter().filter(|part| matches!(part, Part::Role { .. })).count() {
            0 => return Err(ParseError::NoRole),
            1 => {}
            _ => return Err(ParseError::Roles),
        }
        let mut ids: Vec<&str> = self.rules().filter_map(Rule::id).collect();
        ids.sort_unstable();
        if let Some(id) =
            ids.iter().zip(ids.iter().skip(1)).find_map(|(one, next)| (one == next).then_some(*one))
        {
            return Err(ParseError::RuleIds { id: id.escape_debug().to_string() });
        }
        if self.rules().next().is_none() { Err(ParseError::NoRule) } else { Ok(()) }
    }

    /// Makes a configuration of one rule; [`ReplicationConfiguration::with_rule`] adds further ones.
    ///
    /// # Errors
    /// [`InvalidCharacter`] when XML cannot hold the role's ARN.
    pub fn new(role: &str, rule: &Rule) -> Result<Self, InvalidCharacter> {
        let namespaces = Arc::new(Namespaces::of_s3());
        let parts = vec![
            role_part("<Role>", "</Role>", role, Vec::new())?,
            Part::Rule(rule.moved_to(&namespaces)),
        ];
        let (head, tail) = (format!("<{ROOT} xmlns=\"{S3_NAMESPACE}\">"), format!("</{ROOT}>"));
        Ok(Self { head, parts, tail, namespaces, attributes: Vec::new() })
    }

    /// The role's ARN.
    pub fn role(&self) -> &str {
        let role = self.parts.iter().find_map(|part| match part {
            Part::Role { tree, .. } => tree.text(),
            _ => None,
        });
        role.unwrap_or_default()
    }

    /// The rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.parts.iter().filter_map(|part| match part {
            Part::Rule(rule) => Some(rule),
            _ => None,
        })
    }

    /// The rule with this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules().find(|rule| rule.id() == Some(id))
    }

    /// The configuration with a rule: in the place of the one with the same id, else after the last.
    #[must_use]
    pub fn with_rule(&self, rule: &Rule) -> Self {
        let mut changed = self.clone();
        let part = Part::Rule(rule.moved_to(&self.namespaces));
        match changed.parts.iter_mut().find(|part| rule.id().is_some_and(|id| part.is_rule(id))) {
            Some(present) => *present = part,
            None => {
                let last = changed.parts.iter().rposition(|part| matches!(part, Part::Rule(_)));
                changed.parts.insert(last.map_or(changed.parts.len(), |last| last + 1), part);
            }
        }
        changed
    }

    /// The configuration without the rule of this id; `None` when no rule is left, which S3 cannot store.
    #[must_use]
    pub fn without_rule(&self, id: &str) -> Option<Self> {
        let mut changed = self.clone();
        changed.parts.retain(|part| !part.is_rule(id));
        let has_rules = changed.rules().next().is_some();
        has_rules.then_some(changed)
    }

    /// The configuration with another role.
    ///
    /// # Errors
    /// [`InvalidCharacter`] when XML cannot hold the role's ARN.
    pub fn with_role(&self, role: &str) -> Result<Self, InvalidCharacter> {
        let mut changed = self.clone();
        for part in &mut changed.parts {
            let Part::Role { xml, tree } = part else {
                continue;
            };
            if tree.text() == Some(role) {
                continue;
            }
            let (start, _) = xml.split_at(start_tag_len(xml));
            let name = start
                .trim_start_matches('<')
                .split(|end: char| end.is_ascii_whitespace() || matches!(end, '/' | '>'))
                .next();
            let start = start
                .strip_suffix("/>")
                .map_or_else(|| start.to_owned(), |start| format!("{start}>"));
            let end = format!("</{}>", name.unwrap_or_default());
            *part = role_part(&start, &end, role, tree.attributes.clone())?;
        }
        Ok(changed)
    }

    /// The body that PutBucketReplication takes.
    pub fn to_xml(&self) -> String {
        let parts = self.parts.iter().map(Part::xml);
        std::iter::once(self.head.as_str()).chain(parts).chain([self.tail.as_str()]).collect()
    }

    /// Every value as path and value: `Role`, those of each rule under `Rules[<id>]`, then what is not known.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![("Role".to_owned(), self.role().to_owned())];
        for (index, rule) in self.rules().enumerate() {
            let name = rule.id().map_or_else(|| format!("#{}", index + 1), str::to_owned);
            lines.extend(
                rule.lines()
                    .into_iter()
                    .map(|(path, value)| (format!("Rules[{name}].{path}"), value)),
            );
        }
        let tree = self.tree();
        let unknown = Element {
            content: tree.content.into_iter().filter(|part| !is_known(part)).collect(),
            ..tree
        };
        let role_attributes = self.parts.iter().filter_map(|part| match part {
            Part::Role { tree, .. } => Some(
                tree.attributes.iter().map(|(name, value)| (format!("Role@{name}"), value.clone())),
            ),
            _ => None,
        });
        lines.extend(role_attributes.flatten());
        lines.extend(leaves(&unknown, "").into_iter().map(|leaf| (leaf.path, leaf.value)));
        lines
    }

    /// Role, rules in order, other elements sorted by name.
    fn tree(&self) -> Element {
        let mut children: Vec<&Element> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Filler(_) => None,
                Part::Role { tree, .. } | Part::Other { tree, .. } => Some(tree),
                Part::Rule(rule) => Some(&rule.tree),
            })
            .collect();
        children.sort_by(|one, other| one.name.cmp(&other.name));
        Element {
            attributes: self.attributes.clone(),
            ..Element::parent(ROOT, children.into_iter().cloned())
        }
    }
}

impl PartialEq for ReplicationConfiguration {
    fn eq(&self, other: &Self) -> bool {
        self.tree() == other.tree()
    }
}

impl Eq for ReplicationConfiguration {}

fn is_known(part: &tree::Content) -> bool {
    matches!(part, tree::Content::Element(element) if matches!(element.name.as_str(), "Role" | "Rule"))
}

fn read_role(node: Node<'_, '_>) -> Result<Element, ParseError> {
    let tree = Element::read(node)?;
    if tree.text().is_some() { Ok(tree) } else { Err(ParseError::RoleNotText) }
}

fn read_other(node: Node<'_, '_>) -> Result<Element, ParseError> {
    let mut tree = Element::read(node)?;
    tree.normalize("", &|_| false);
    Ok(tree)
}

fn role_part(
    start: &str,
    end: &str,
    role: &str,
    attributes: Vec<(String, String)>,
) -> Result<Part, InvalidCharacter> {
    check_characters("Role", role)?;
    let mut xml = start.to_owned();
    escape(role, &mut xml);
    xml.push_str(end);
    Ok(Part::Role { xml, tree: Element { attributes, ..Element::leaf("Role", role) } })
}
