//! What a configuration says, apart from how it is written, and strategies for it.

use proptest::prelude::*;

/// Namespaces of generated elements and attributes: none of an attribute, or S3's of an element, comes first.
pub const NAMESPACES: [&str; 3] = ["", "http://example.com/newer", "urn:other&more"];

#[derive(Debug, Clone, PartialEq)]
pub struct El {
    pub namespace: usize,
    pub name: String,
    pub attributes: Vec<(usize, String, String)>,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Text(String),
    Children(Vec<El>),
    /// Text before each child, and after the last; none is white space alone.
    Mixed(Vec<(String, El)>, String),
}

impl El {
    pub fn text(name: &str, text: &str) -> Self {
        Self {
            namespace: 0,
            name: name.to_owned(),
            attributes: Vec::new(),
            body: Body::Text(text.to_owned()),
        }
    }

    pub fn of(name: &str, children: Vec<Self>) -> Self {
        Self {
            namespace: 0,
            name: name.to_owned(),
            attributes: Vec::new(),
            body: Body::Children(children),
        }
    }

    /// Every element, itself first.
    pub fn all_mut<'a>(&'a mut self, visit: &mut dyn FnMut(&mut El)) {
        visit(self);
        match &mut self.body {
            Body::Text(_) => {}
            Body::Children(children) => children.iter_mut().for_each(|child| child.all_mut(visit)),
            Body::Mixed(parts, _) => parts.iter_mut().for_each(|(_, child)| child.all_mut(visit)),
        }
    }
}

/// Text with whatever XML 1.0 can hold, often with what must be escaped.
pub fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => proptest::char::range('a', 'e'),
        3 => proptest::sample::select(vec!['<', '>', '&', '"', '\'', ']', ' ', '\t', '\n', '\r', '-', '?', '=', '/', '\u{85}', '\u{2028}']),
        1 => any::<char>().prop_filter("XML", |c| matches!(*c, ' '..='\u{fffd}' | '\u{10000}'..)),
    ];
    proptest::collection::vec(character, 0..8)
        .prop_map(|characters| characters.into_iter().collect())
}

fn attributes() -> impl Strategy<Value = Vec<(usize, String, String)>> {
    let attribute = (0..3_usize, proptest::sample::select(vec!["a", "b", "Status"]), text());
    proptest::collection::vec(attribute, 0..3).prop_map(|attributes| {
        let mut unique: Vec<(usize, String, String)> = Vec::new();
        for (namespace, name, value) in attributes {
            if !unique.iter().any(|other| other.0 == namespace && other.1 == name) {
                unique.push((namespace, name.to_owned(), value));
            }
        }
        unique
    })
}

/// An element that the program does not know, with anything in it.
pub fn unknown() -> impl Strategy<Value = El> {
    let name = || proptest::sample::select(vec!["Newer", "Not", "Scope", "Rule_2", "Key", "été"]);
    let leaf = (0..3_usize, name(), attributes(), text()).prop_map(
        |(namespace, name, attributes, text)| El {
            namespace,
            name: name.to_owned(),
            attributes,
            body: Body::Text(text),
        },
    );
    leaf.prop_recursive(4, 12, 3, move |inner| {
        let solid = || text().prop_map(|text| format!("x{text}"));
        let body = prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(Body::Children),
            1 => (proptest::collection::vec((solid(), inner), 1..3), solid()).prop_map(|(parts, last)| Body::Mixed(parts, last)),
        ];
        (0..3_usize, name(), attributes(), body)
            .prop_map(|(namespace, name, attributes, body)| El { namespace, name: name.to_owned(), attributes, body })
    })
}

/// Up to two elements that are not known, with a name of their own in S3's namespace.
fn some_unknown() -> impl Strategy<Value = Vec<El>> {
    let named = unknown().prop_map(|mut element| {
        element.name = format!("X{}", element.name);
        element
    });
    proptest::collection::vec(named, 0..3)
}

fn tag() -> impl Strategy<Value = El> {
    (text(), text()).prop_map(|(key, value)| {
        El::of("Tag", vec![El::text("Key", &key), El::text("Value", &value)])
    })
}

/// `Filter` in each of S3's forms, or with what is not known.
fn filter() -> impl Strategy<Value = El> {
    let prefix = || text().prop_map(|prefix| El::text("Prefix", &prefix));
    let body = prop_oneof![
        Just(vec![]),
        prefix().prop_map(|prefix| vec![prefix]),
        tag().prop_map(|tag| vec![tag]),
        (prefix(), proptest::collection::vec(tag(), 1..3)).prop_map(|(prefix, tags)| {
            vec![El::of("And", std::iter::once(prefix).chain(tags).collect())]
        }),
        prefix().prop_map(|prefix| vec![El::of("Not", vec![prefix])]),
        (prefix(), some_unknown()).prop_map(|(prefix, more)| vec![El::of(
            "And",
            std::iter::once(prefix).chain(more).collect()
        )]),
    ];
    body.prop_map(|children| El::of("Filter", children))
}

fn destination() -> impl Strategy<Value = El> {
    (text(), proptest::option::of(text()), any::<bool>(), some_unknown()).prop_map(
        |(bucket, key, metrics, more)| {
            let mut children = vec![El::text("Bucket", &bucket)];
            children.extend(key.map(|key| {
                El::of("EncryptionConfiguration", vec![El::text("ReplicaKmsKeyID", &key)])
            }));
            if metrics {
                let threshold = El::of("EventThreshold", vec![El::text("Minutes", "15")]);
                children.push(El::of("Metrics", vec![El::text("Status", "Enabled"), threshold]));
            }
            children.extend(more);
            El::of("Destination", children)
        },
    )
}

fn rule() -> impl Strategy<Value = El> {
    let parts = (
        text(),
        any::<i32>(),
        proptest::option::of(filter()),
        destination(),
        some_unknown(),
        attributes(),
    );
    parts.prop_map(|(id, priority, filter, destination, more, attributes)| {
        let status = El::of("DeleteMarkerReplication", vec![El::text("Status", "Disabled")]);
        let mut children = vec![
            El::text("ID", &id),
            El::text("Priority", &priority.to_string()),
            El::text("Status", "Enabled"),
        ];
        children.extend(filter);
        children.extend([destination, status]);
        children.extend(more);
        El { attributes, ..El::of("Rule", children) }
    })
}

/// The root element: a role, one to four rules with different ids, and what is not known.
pub fn root() -> impl Strategy<Value = El> {
    let parts = (text(), proptest::collection::vec(rule(), 1..5), some_unknown(), attributes());
    parts.prop_map(|(role, mut rules, more, attributes)| {
        for (index, rule) in rules.iter_mut().enumerate() {
            if let Body::Children(children) = &mut rule.body
                && let Body::Text(id) = &mut children[0].body
            {
                *id = format!("{id}{index}");
            }
        }
        let children = std::iter::once(El::text("Role", &role)).chain(rules).chain(more).collect();
        El { attributes, ..El::of("ReplicationConfiguration", children) }
    })
}

/// One change of what a configuration says.
#[derive(Debug, Clone, Copy)]
pub enum Mutation {
    Text,
    AttributeValue,
    AddAttribute,
    RemoveAttribute,
    AddElement,
    RemoveElement,
    Rename,
    Namespace,
    SwapRules,
}

pub const MUTATIONS: [Mutation; 9] = [
    Mutation::Text,
    Mutation::AttributeValue,
    Mutation::AddAttribute,
    Mutation::RemoveAttribute,
    Mutation::AddElement,
    Mutation::RemoveElement,
    Mutation::Rename,
    Mutation::Namespace,
    Mutation::SwapRules,
];

/// Applies the mutation at the `at`th place where it can be; `None` when there is no place for it.
pub fn mutated(root: &El, mutation: Mutation, at: usize) -> Option<El> {
    let places = |element: &El| match (mutation, &element.body) {
        (Mutation::Text, Body::Text(_))
        | (Mutation::AddElement, Body::Children(_))
        | (Mutation::AddAttribute, _) => true,
        (Mutation::Text, Body::Mixed(..)) => true,
        (Mutation::AttributeValue | Mutation::RemoveAttribute, _) => !element.attributes.is_empty(),
        // An element that is not known, or is known and not what an absent one means.
        (Mutation::RemoveElement, Body::Children(children)) => children.iter().any(is_removable),
        (Mutation::Rename | Mutation::Namespace, _) => is_removable(element),
        (Mutation::SwapRules, Body::Children(children)) => {
            children.iter().filter(|child| child.name == "Rule").count() > 1
        }
        _ => false,
    };
    let (mut count, mut copy) = (0, root.clone());
    copy.all_mut(&mut |element| count += usize::from(places(element)));
    let wanted = at.checked_rem(count)?;
    let mut index = 0;
    copy.all_mut(&mut |element| {
        if places(element) {
            if index == wanted {
                change(element, mutation);
            }
            index += 1;
        }
    });
    Some(copy)
}

fn is_removable(element: &El) -> bool {
    element.name.starts_with('X') || element.name == "DeleteMarkerReplication"
}

fn change(element: &mut El, mutation: Mutation) {
    match (mutation, &mut element.body) {
        (Mutation::Text, Body::Text(text)) => {
            // Another number for `Priority`, and another text for all else.
            let digit = text.chars().next_back().filter(char::is_ascii_digit);
            match digit {
                Some(digit) => {
                    text.pop();
                    text.push(if digit == '1' { '2' } else { '1' });
                }
                None => text.push(' '),
            }
        }
        (Mutation::Text, Body::Mixed(_, last)) => last.push(' '),
        (Mutation::AttributeValue, _) => element.attributes[0].2.push(' '),
        (Mutation::AddAttribute, _) => {
            element.attributes.push((0, "added".to_owned(), String::new()))
        }
        (Mutation::RemoveAttribute, _) => drop(element.attributes.pop()),
        (Mutation::AddElement, Body::Children(children)) => children.push(El::text("Added", "")),
        (Mutation::RemoveElement, Body::Children(children)) => {
            let index = children.iter().position(is_removable).unwrap();
            children.remove(index);
        }
        (Mutation::Rename, _) => element.name.push('2'),
        (Mutation::Namespace, _) => element.namespace = (element.namespace + 1) % NAMESPACES.len(),
        (Mutation::SwapRules, Body::Children(children)) => {
            let mut rules = (0..children.len()).filter(|index| children[*index].name == "Rule");
            let (one, other) = (rules.next().unwrap(), rules.next().unwrap());
            children.swap(one, other);
        }
        _ => {}
    }
}
