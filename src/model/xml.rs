//! XML as S3 sends and takes it: read within limits, checked for wholeness, escaped.
//!
//! It owns the choice of the XML parser and every limit on what is read. It must not know replication, S3's operations or the SDK.
//!
//! The parser is roxmltree: it refuses a DTD, reads without recursion (since 0.21.2), checks well-formedness and namespaces strictly, gives
//! the byte range of every element, so that text can be kept verbatim, and depends on `memchr` alone.

use std::fmt::Write;

use roxmltree::{Document, ParsingOptions};

/// Namespace of S3's elements.
pub const S3_NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Size up to which a replication configuration is read. S3 stores up to 2 MB of it, and may escape more than the writer did.
pub const MAX_CONFIGURATION_BYTES: usize = 4 << 20;

/// Size up to which any other answer is read: a page of a listing has a thousand keys of up to 1,024 bytes, each of which may be escaped.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Depth up to which elements may be nested; S3's own schemas need fewer than ten levels.
pub const MAX_DEPTH: usize = 64;

/// Bytes that a tag may have. The parser compares each attribute of a tag with every other.
const MAX_TAG_BYTES: usize = 16 << 10;

/// Namespaces that a document may declare. The parser copies those in scope to every element that declares another.
const MAX_NAMESPACES: usize = 4_000;

/// Nodes that a document may have.
const MAX_NODES: u32 = 1_000_000;

/// Why bytes are not a document that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what its fields are")]
pub enum XmlError {
    #[error("the document is empty")]
    Empty,

    #[error("the document has {bytes} bytes, more than the {limit} that are read")]
    TooLarge { bytes: usize, limit: usize },

    #[error("the document is not UTF-8 at byte {offset}")]
    NotUtf8 { offset: usize },

    #[error("the document declares the encoding `{0}`, not UTF-8")]
    Encoding(String),

    #[error("the document has a DOCTYPE")]
    Doctype,

    #[error("the document has a tag of more than {MAX_TAG_BYTES} bytes")]
    LongTag,

    #[error("the document declares more than {MAX_NAMESPACES} namespaces")]
    TooManyNamespaces,

    #[error("the document nests elements deeper than {MAX_DEPTH} levels")]
    TooDeep,

    #[error("the document is not well-formed: {0}")]
    NotWellFormed(String),

    #[error("the root element is `{found}`, not `{expected}`")]
    Root { found: String, expected: String },
}

/// A character that XML 1.0 has no form for, in a value that is to be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{element}` has the character U+{code:04X}, which XML cannot hold", code = u32::from(*character))]
pub struct InvalidCharacter {
    /// Name of the element that was to hold the value.
    pub element: String,
    /// The character.
    pub character: char,
}

/// Checks that an answer is whole: a well-formed document whose root element has this name, in any namespace.
///
/// Character references are not checked: S3 lists keys with control characters as references that XML 1.0 does not allow, and the SDK
/// reads them.
///
/// # Errors
/// An [`XmlError`] when the answer is empty, cut, followed by anything else, or another document.
pub fn check_whole(answer: &[u8], root: &str) -> Result<(), XmlError> {
    let text = decode(answer, MAX_ANSWER_BYTES)?.replace('&', " ");
    let document = parse(&text)?;
    let found = document.root_element().tag_name().name();
    if found == root {
        Ok(())
    } else {
        Err(XmlError::Root { found: found.to_owned(), expected: root.to_owned() })
    }
}

/// The text of a document of at most `limit` bytes, without its byte order mark.
pub(crate) fn decode(bytes: &[u8], limit: usize) -> Result<&str, XmlError> {
    if bytes.len() > limit {
        return Err(XmlError::TooLarge { bytes: bytes.len(), limit });
    }
    let text =
        str::from_utf8(bytes).map_err(|error| XmlError::NotUtf8 { offset: error.valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Parses a document that has no DOCTYPE and declares no other encoding than UTF-8.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, XmlError> {
    if text.trim_ascii().is_empty() {
        return Err(XmlError::Empty);
    }
    if text.split('<').any(|token| start_tag_len(token) > MAX_TAG_BYTES) {
        return Err(XmlError::LongTag);
    }
    if text.matches("xmlns").count() > MAX_NAMESPACES {
        return Err(XmlError::TooManyNamespaces);
    }
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, entity_resolver: None };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => XmlError::Doctype,
        other => XmlError::NotWellFormed(one_line(&other.to_string())),
    })?;
    let prolog = text.get(..document.root_element().range().start).unwrap_or_default();
    match declared_encoding(prolog) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => {
            Err(XmlError::Encoding(one_line(encoding)))
        }
        _ => Ok(document),
    }
}

/// The encoding that the XML declaration names.
fn declared_encoding(prolog: &str) -> Option<&str> {
    let (declaration, _) = prolog.strip_prefix("<?xml ")?.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = value.chars().next()?;
    value.get(1..)?.split(quote).next()
}

fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Checks that XML can hold a value that `element` is to have.
pub(crate) fn check_characters(element: &str, value: &str) -> Result<(), InvalidCharacter> {
    let is_allowed = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    match value.chars().find(|character| !is_allowed(*character)) {
        Some(character) => Err(InvalidCharacter { element: element.to_owned(), character }),
        None => Ok(()),
    }
}

/// Writes text so that it is read back as it is, inside an element or an attribute; it escapes what the SDK escapes, and tabs.
pub(crate) fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' => {
                // Writing to a string does not fail.
                let _ = write!(out, "&#x{:X};", u32::from(character));
            }
            other => out.push(other),
        }
    }
}

/// Length of the start tag that a well-formed element begins with; a `>` in an attribute's value does not end it.
pub(crate) fn start_tag_len(element: &str) -> usize {
    let mut quote = None;
    for (index, byte) in element.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return index + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    element.len()
}

/// Names of the attributes, `xmlns` ones too, of a well-formed start tag.
pub(crate) fn attribute_names(start_tag: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = start_tag;
    while let Some((before, value)) = rest.split_once('=') {
        names.extend(before.split_ascii_whitespace().next_back());
        let value = value.trim_ascii_start();
        let Some(quote) = value.chars().next() else {
            break;
        };
        rest =
            value.get(1..).and_then(|value| value.split_once(quote)).map_or("", |(_, rest)| rest);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_between_tags_is_whole() {
        let policy = format!("<Policy>{}</Policy>", "%20".repeat(MAX_TAG_BYTES));
        assert_eq!(check_whole(policy.as_bytes(), "Policy"), Ok(()));
    }

    #[test]
    fn check_whole_refuses_whatever_is_not_one_complete_document_with_the_root() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let attributes: String = (0..10_000).map(|index| format!(" a{index}=''")).collect();
        for (answer, expected) in [
            ("", "the document is empty"),
            (" \n", "the document is empty"),
            ("\u{feff}", "the document is empty"),
            (
                "<Tagging>",
                "the document is not well-formed: the root node was opened but never closed",
            ),
            ("<Tagging/><Tagging/>", "the document is not well-formed: unknown token at 1:11"),
            ("<Tagging/>x", "the document is not well-formed: unknown token at 1:11"),
            ("<html><body/></html>", "the root element is `html`, not `Tagging`"),
            ("<!DOCTYPE html><html/>", "the document has a DOCTYPE"),
            ("<!DOCTYPE Tagging [<!ENTITY a 'b'>]><Tagging/>", "the document has a DOCTYPE"),
            (
                "<?xml version='1.0' encoding='ISO-8859-1'?><Tagging/>",
                "the document declares the encoding `ISO-8859-1`, not UTF-8",
            ),
            (deep.as_str(), "the root element is `a`, not `Tagging`"),
            (&format!("<Tagging{attributes}/>"), "the document has a tag of more than 16384 bytes"),
            (
                &format!("<Tagging>{}</Tagging>", "<a xmlns:a='u'/>".repeat(MAX_NAMESPACES + 1)),
                "the document declares more than 4000 namespaces",
            ),
        ] {
            assert_eq!(
                check_whole(answer.as_bytes(), "Tagging").unwrap_err().to_string(),
                expected
            );
        }
        assert_eq!(
            check_whole(b"<Tagging>\xff</Tagging>", "Tagging").unwrap_err(),
            XmlError::NotUtf8 { offset: 9 }
        );
        let huge = vec![b' '; MAX_ANSWER_BYTES + 1];
        assert!(matches!(check_whole(&huge, "Tagging").unwrap_err(), XmlError::TooLarge { .. }));
    }

    #[test]
    fn check_whole_accepts_the_forms_that_s3_answers_with() {
        for answer in [
            "<Tagging/>",
            "\u{feff}<Tagging/>",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></Tagging>\n",
            "<s3:Tagging xmlns:s3='u'><Key>a&#x1;b&amp;c</Key></s3:Tagging>",
        ] {
            assert_eq!(check_whole(answer.as_bytes(), "Tagging"), Ok(()), "{answer}");
        }
    }

    #[test]
    fn attribute_names_and_tag_length_are_not_misled_by_values() {
        let element = "<a b='>=\"' xmlns:c = \"x='y'\"\n d=''><e/></a>";
        let tag = &element[..start_tag_len(element)];
        assert_eq!(tag, "<a b='>=\"' xmlns:c = \"x='y'\"\n d=''>");
        assert_eq!(attribute_names(tag), ["b", "xmlns:c", "d"]);
        assert_eq!(attribute_names("<a>"), [""; 0]);
    }

    #[test]
    fn only_characters_of_xml_are_written() {
        for allowed in
            ['\t', '\n', '\r', ' ', '\u{7f}', '\u{d7ff}', '\u{fffd}', '\u{10000}', '\u{10ffff}']
        {
            assert_eq!(check_characters("Prefix", &allowed.to_string()), Ok(()), "{allowed:?}");
        }
        for refused in ['\0', '\u{1}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(check_characters("Prefix", &format!("a{refused}")).is_err(), "{refused:?}");
        }
        let error = check_characters("Prefix", "\u{1}").unwrap_err();
        assert_eq!(error.to_string(), "`Prefix` has the character U+0001, which XML cannot hold");
    }
}
