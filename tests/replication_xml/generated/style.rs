//! Ways to write one and the same configuration as XML.

use super::model::{Body, El, NAMESPACES};

const S3: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Choices of a writer, made by a generator of numbers.
pub struct Style {
    state: u64,
    /// Whether S3's elements have no namespace at all.
    no_namespace: bool,
    /// Whether the order of elements with different names is changed.
    pub reorders: bool,
}

/// Prefixes and namespaces that are in scope, the innermost last.
type Scope = Vec<(String, String)>;

impl Style {
    pub fn new(seed: u64, reorders: bool) -> Self {
        let mut style = Self { state: seed, no_namespace: false, reorders };
        style.no_namespace = style.one_in(5);
        style
    }

    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// A whole document; nothing follows the root element.
    pub fn document(&mut self, root: &El) -> String {
        let mut out = String::new();
        if self.one_in(2) {
            out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
            out.push_str(["", "\n"][self.below(2)]);
        }
        if self.one_in(4) {
            out.push_str("<!-- > <Rule> -->");
        }
        let mut scope = Scope::new();
        if self.one_in(2) {
            scope.push(("n".to_owned(), NAMESPACES[1].to_owned()));
        }
        if self.one_in(4) {
            scope.push(("o".to_owned(), NAMESPACES[2].to_owned()));
        }
        let declared = scope.clone();
        self.element(root, &mut scope, &declared, &mut out);
        out
    }

    fn uri(&self, namespace: usize) -> &'static str {
        match namespace {
            0 if self.no_namespace => "",
            0 => S3,
            other => NAMESPACES[other],
        }
    }

    fn element(
        &mut self,
        element: &El,
        scope: &mut Scope,
        declared: &[(String, String)],
        out: &mut String,
    ) {
        let outer = scope.len();
        let mut declarations: Scope = declared.to_vec();
        let prefix = self.prefix_for(self.uri(element.namespace), scope, &mut declarations, true);
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (namespace, name, value) in &element.attributes {
            let prefix = match namespace {
                0 => String::new(),
                other => self.prefix_for(NAMESPACES[*other], scope, &mut declarations, false),
            };
            attributes.push((qualified(&prefix, name), value.clone()));
        }
        for (prefix, uri) in declarations {
            attributes.push((
                if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") },
                uri,
            ));
        }
        let name = qualified(&prefix, &element.name);
        out.push('<');
        out.push_str(&name);
        while !attributes.is_empty() {
            let (name, value) = attributes.swap_remove(self.below(attributes.len()));
            out.push_str([" ", "\n", "  "][self.below(3)]);
            out.push_str(&name);
            out.push_str(["=", " = "][self.below(2)]);
            let quote = ['"', '\''][self.below(2)];
            out.push(quote);
            self.value(&value, quote, out);
            out.push(quote);
        }
        let is_empty = matches!(&element.body, Body::Text(text) if text.is_empty());
        if is_empty && self.one_in(2) {
            out.push_str([" />", "/>"][self.below(2)]);
        } else {
            out.push('>');
            self.body(element, scope, out);
            out.push_str("</");
            out.push_str(&name);
            out.push_str([" >", ">"][self.below(2)]);
        }
        scope.truncate(outer);
    }

    /// A prefix that stands for the namespace, declared now when there is none or another one is wanted.
    fn prefix_for(
        &mut self,
        uri: &str,
        scope: &mut Scope,
        declarations: &mut Scope,
        may_be_default: bool,
    ) -> String {
        let resolve = |prefix: &str| {
            scope.iter().rfind(|(other, _)| other == prefix).map_or("", |(_, uri)| uri.as_str())
        };
        let mut known: Vec<String> = scope
            .iter()
            .map(|(prefix, _)| prefix.clone())
            .filter(|prefix| resolve(prefix) == uri)
            .collect();
        known.push(String::new());
        known.retain(|prefix| (may_be_default || !prefix.is_empty()) && resolve(prefix) == uri);
        if !known.is_empty() && (uri.is_empty() || !self.one_in(6)) {
            return known[self.below(known.len())].clone();
        }
        let default_is_free = !declarations.iter().any(|(prefix, _)| prefix.is_empty());
        let as_default = may_be_default && default_is_free && (uri.is_empty() || !self.one_in(3));
        let prefix = if as_default { String::new() } else { format!("p{}", scope.len()) };
        scope.push((prefix.clone(), uri.to_owned()));
        declarations.push((prefix.clone(), uri.to_owned()));
        prefix
    }

    fn body(&mut self, element: &El, scope: &mut Scope, out: &mut String) {
        match &element.body {
            Body::Text(text) => self.text(text, out),
            Body::Mixed(parts, last) => {
                for (text, child) in parts {
                    self.text(text, out);
                    self.element(child, scope, &[], out);
                }
                self.text(last, out);
            }
            Body::Children(children) => {
                let mut children: Vec<&El> = children.iter().collect();
                if self.reorders && self.one_in(2) {
                    let first = self.below(children.len().max(1));
                    // Those of one name stay in their order.
                    children.sort_by_key(|child| {
                        (child.name.bytes().map(usize::from).sum::<usize>() + first) % 7
                    });
                }
                let empty_prefix = El::text("Prefix", "");
                if element.name == "Filter" && element.namespace == 0 {
                    match children.as_slice() {
                        [] if self.one_in(2) => children.push(&empty_prefix),
                        [prefix] if **prefix == empty_prefix && self.one_in(2) => children.clear(),
                        _ => {}
                    }
                }
                self.filler(out);
                for child in children {
                    self.element(child, scope, &[], out);
                    self.filler(out);
                }
            }
        }
    }

    /// What may stand between elements and says nothing.
    fn filler(&mut self, out: &mut String) {
        while self.one_in(3) {
            out.push_str(
                [
                    " ",
                    "\n",
                    "\t",
                    "<!-- <Rule>&]]> -->",
                    "<?pi <Role> ?>",
                    "<![CDATA[ ]]>",
                    "&#32;",
                ][self.below(7)],
            );
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        let mut rest = text.chars().peekable();
        while rest.peek().is_some() {
            if self.one_in(8) {
                out.push_str(["<!---->", "<?x?>", "<![CDATA[]]>"][self.below(3)]);
            }
            if self.one_in(4) {
                let part: String = rest.by_ref().take(3).collect();
                // A line feed would stand for a carriage return, and the end of a CDATA section cannot stand in one.
                if part.contains(['\r', ']']) {
                    part.chars().for_each(|character| self.character(character, None, out));
                } else {
                    out.push_str(&format!("<![CDATA[{part}]]>"));
                }
            } else if let Some(character) = rest.next() {
                self.character(character, None, out);
            }
        }
    }

    fn value(&mut self, value: &str, quote: char, out: &mut String) {
        value.chars().for_each(|character| self.character(character, Some(quote), out));
    }

    fn character(&mut self, character: char, quote: Option<char>, out: &mut String) {
        let is_space = matches!(character, '\t' | '\n');
        let must = matches!(character, '<' | '&' | '\r' | '>')
            || Some(character) == quote
            || (is_space && quote.is_some());
        if !must && !self.one_in(10) {
            out.push(character);
            return;
        }
        let named =
            [('<', "&lt;"), ('>', "&gt;"), ('&', "&amp;"), ('"', "&quot;"), ('\'', "&apos;")];
        match (self.below(3), named.iter().find(|(other, _)| *other == character)) {
            (0, Some((_, name))) => out.push_str(name),
            (1, _) => out.push_str(&format!("&#{};", u32::from(character))),
            _ => out.push_str(&format!("&#x{:x};", u32::from(character))),
        }
    }
}

fn qualified(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}:{name}") }
}
