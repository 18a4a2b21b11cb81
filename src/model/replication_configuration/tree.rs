//! XML elements in canonical form, so that equal content compares equal.
//!
//! It owns the canonical form: prefixes resolved to namespaces, entities and CDATA decoded, comments and processing instructions dropped,
//! attributes sorted. It must not know which elements a replication configuration has.

use roxmltree::Node;

use crate::model::xml::{MAX_DEPTH, S3_NAMESPACE, XmlError, escape};

/// An element. Its name is the local name for S3's elements, else `{namespace}name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub name: String,
    /// Names and values, sorted by name; declarations of namespaces are none.
    pub attributes: Vec<(String, String)>,
    pub content: Vec<Content>,
}

/// A part of an element's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text, never empty and never next to other text.
    Text(String),
    Element(Element),
}

impl Element {
    /// An element of S3's with text alone.
    pub fn leaf(name: &str, text: &str) -> Self {
        let content =
            if text.is_empty() { Vec::new() } else { vec![Content::Text(text.to_owned())] };
        Self { name: name.to_owned(), attributes: Vec::new(), content }
    }

    /// An element of S3's with elements alone.
    pub fn parent(name: &str, children: impl IntoIterator<Item = Self>) -> Self {
        let content = children.into_iter().map(Content::Element).collect();
        Self { name: name.to_owned(), attributes: Vec::new(), content }
    }

    /// Reads an element with all that it contains.
    pub fn read(node: Node<'_, '_>) -> Result<Self, XmlError> {
        Self::read_at(node, 1)
    }

    fn read_at(node: Node<'_, '_>, depth: usize) -> Result<Self, XmlError> {
        if depth > MAX_DEPTH {
            return Err(XmlError::TooDeep);
        }
        let mut content = Vec::new();
        for child in node.children() {
            if child.is_element() {
                content.push(Content::Element(Self::read_at(child, depth + 1)?));
            } else if child.is_text() {
                let text = child.text().unwrap_or_default();
                match content.last_mut() {
                    // A comment stood between the two.
                    Some(Content::Text(before)) => before.push_str(text),
                    _ if text.is_empty() => {}
                    _ => content.push(Content::Text(text.to_owned())),
                }
            }
        }
        Ok(Self { name: name_of(node), attributes: attributes_of(node), content })
    }

    /// Its child elements.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|part| match part {
            Content::Element(child) => Some(child),
            Content::Text(_) => None,
        })
    }

    /// Its first child element of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children().find(|child| child.name == name)
    }

    /// Its text; `None` when it has child elements.
    pub fn text(&self) -> Option<&str> {
        match self.content.as_slice() {
            [] => Some(""),
            [Content::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it has neither attributes nor text, only child elements.
    pub fn has_only_elements(&self) -> bool {
        self.attributes.is_empty()
            && self.content.iter().all(|part| matches!(part, Content::Element(_)))
    }

    /// Whether it has text among its child elements, whose order then matters.
    pub fn is_mixed(&self) -> bool {
        self.children().next().is_some()
            && !self.content.iter().all(|part| matches!(part, Content::Element(_)))
    }

    /// Drops white space between elements and sorts elements by name, those of one name staying in their order: S3's members are named, so
    /// their order says nothing. Where `is_parent` says that an element has no text of its own, white space alone is dropped, too.
    pub fn normalize(&mut self, path: &str, is_parent: &impl Fn(&str) -> bool) {
        let is_blank =
            |part: &Content| matches!(part, Content::Text(text) if text.trim_ascii().is_empty());
        let is_text = |part: &Content| matches!(part, Content::Text(_));
        let has_elements = self.children().next().is_some();
        if (has_elements || is_parent(path))
            && self.content.iter().filter(|part| is_text(part)).all(is_blank)
        {
            self.content.retain(|part| !is_text(part));
        }
        for part in &mut self.content {
            if let Content::Element(child) = part {
                let child_path = if path.is_empty() {
                    child.name.clone()
                } else {
                    format!("{path}.{}", child.name)
                };
                child.normalize(&child_path, is_parent);
            }
        }
        if !self.is_mixed() {
            self.content.sort_by(|one, other| one.name().cmp(&other.name()));
        }
    }

    /// Writes it as XML without white space; a document that is read back only where every name is S3's.
    pub fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        out.push('>');
        self.write_content(out);
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }

    /// Writes what is between its tags.
    pub fn write_content(&self, out: &mut String) {
        for part in &self.content {
            match part {
                Content::Text(text) => escape(text, out),
                Content::Element(child) => child.write(out),
            }
        }
    }
}

impl Content {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Element(element) => Some(&element.name),
            Self::Text(_) => None,
        }
    }
}

/// Whether the elements of a namespace are S3's: S3 takes them without a namespace, too.
pub(super) fn is_s3(namespace: Option<&str>) -> bool {
    matches!(namespace, None | Some("" | S3_NAMESPACE))
}

/// The element's name as in [`Element::name`].
pub(super) fn name_of(node: Node<'_, '_>) -> String {
    let tag = node.tag_name();
    match tag.namespace() {
        Some(namespace) if !is_s3(Some(namespace)) => format!("{{{namespace}}}{}", tag.name()),
        _ => tag.name().to_owned(),
    }
}

/// The element's attributes as in [`Element::attributes`].
pub(super) fn attributes_of(node: Node<'_, '_>) -> Vec<(String, String)> {
    let mut attributes: Vec<(String, String)> = node
        .attributes()
        .map(|attribute| {
            let name = match attribute.namespace() {
                Some(namespace) => format!("{{{namespace}}}{}", attribute.name()),
                None => attribute.name().to_owned(),
            };
            (name, attribute.value().to_owned())
        })
        .collect();
    attributes.sort();
    attributes
}
