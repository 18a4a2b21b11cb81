//! The namespaces that the root element of a configuration declares.
//!
//! It owns what keeps a rule's text valid when it comes to stand beneath another root element.

use std::collections::BTreeMap;

use roxmltree::Node;

use super::tree::is_s3;
use crate::model::xml::{S3_NAMESPACE, attribute_names, escape, start_tag_len};

/// The namespaces in scope beneath a root element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespaces {
    /// By prefix; the empty prefix is the default namespace.
    by_prefix: BTreeMap<String, String>,
    /// The root element's own namespace, empty for none.
    root: String,
}

impl Namespaces {
    /// S3's namespace as the default, as S3 answers and the SDK sends.
    pub fn of_s3() -> Self {
        Self {
            by_prefix: BTreeMap::from([(String::new(), S3_NAMESPACE.to_owned())]),
            root: S3_NAMESPACE.to_owned(),
        }
    }

    /// What a root element declares.
    pub fn of_root(root: Node<'_, '_>) -> Self {
        let declared = root.namespaces().filter(|namespace| namespace.name() != Some("xml"));
        Self {
            by_prefix: declared
                .map(|namespace| {
                    (namespace.name().unwrap_or_default().to_owned(), namespace.uri().to_owned())
                })
                .collect(),
            root: root.tag_name().namespace().unwrap_or_default().to_owned(),
        }
    }

    fn default_namespace(&self) -> &str {
        self.by_prefix.get("").map(String::as_str).unwrap_or_default()
    }

    /// The declarations, each after a space, that an element from this scope needs to mean the same in `target`.
    pub fn missing_in(&self, target: &Self, element: &str) -> String {
        let start_tag = element.get(..start_tag_len(element)).unwrap_or_default();
        let own = attribute_names(start_tag);
        let mut missing = String::new();
        let mut declare = |name: &str, uri: &str| {
            if !own.contains(&name) {
                missing.push_str(&format!(" {name}=\""));
                escape(uri, &mut missing);
                missing.push('"');
            }
        };
        let (default, target_default) = (self.default_namespace(), target.default_namespace());
        if is_s3(Some(default)) {
            // What has no prefix is S3's, and S3's elements take the form of the target's root.
            if target_default != target.root {
                declare("xmlns", &target.root);
            }
        } else if default != target_default {
            declare("xmlns", default);
        }
        let prefixed = self.by_prefix.iter().filter(|(prefix, _)| !prefix.is_empty());
        for (prefix, uri) in
            prefixed.filter(|(prefix, uri)| target.by_prefix.get(*prefix) != Some(*uri))
        {
            declare(&format!("xmlns:{prefix}"), uri);
        }
        missing
    }
}
