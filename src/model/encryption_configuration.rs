//! A bucket's default encryption as S3 returns it, with another key put in.
//!
//! PutBucketEncryption replaces the whole configuration, which also says which kinds of encryption are blocked, and may say what is not known
//! here. It owns the change of its text. It must not know which key is wanted.

use roxmltree::Node;

use super::xml::{MAX_ANSWER_BYTES, XmlError, decode, escape, parse};

const ROOT: &str = "ServerSideEncryptionConfiguration";

/// The elements that are replaced.
const REPLACED: [&str; 2] = ["ApplyServerSideEncryptionByDefault", "BucketKeyEnabled"];

/// The namespace of a new configuration.
const DECLARATION: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// A configuration with SSE-KMS with this key and an S3 Bucket Key as the default, and nothing else.
pub fn default_key_only(key: &str) -> String {
    written(DECLARATION, key, "", "")
}

/// The configuration `current`, as S3 returned it, with SSE-KMS with this key and an S3 Bucket Key as the default.
///
/// # Errors
/// An [`XmlError`] when the text is not a whole configuration.
pub fn with_default_key(current: &[u8], key: &str) -> Result<String, XmlError> {
    let text = decode(current, MAX_ANSWER_BYTES)?;
    let document = parse(text)?;
    let root = document.root_element();
    if root.tag_name().name() != ROOT {
        let found = root.tag_name().name().to_owned();
        return Err(XmlError::Root { found, expected: ROOT.to_owned() });
    }
    let of = |node: Node<'_, '_>| text.get(node.range()).unwrap_or_default().to_owned();
    let mut rules = root.children().filter(Node::is_element);
    let first = rules.next().into_iter().flat_map(|rule| rule.children());
    let kept = first
        .filter(|node| node.is_element() && !REPLACED.contains(&node.tag_name().name()))
        .map(of)
        .collect::<String>();
    let other_rules: String = rules.map(of).collect();
    Ok(written(&declared(root), key, &kept, &other_rules))
}

fn written(declarations: &str, key: &str, kept: &str, other_rules: &str) -> String {
    let mut escaped = String::new();
    escape(key, &mut escaped);
    format!(
        "<{ROOT}{declarations}><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{escaped}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>{kept}</Rule>{other_rules}</{ROOT}>"
    )
}

/// The namespaces that an element declares or is in, as attributes.
fn declared(element: Node<'_, '_>) -> String {
    let mut attributes = String::new();
    for namespace in element.namespaces() {
        let Some(prefix) = namespace.name() else {
            attributes.push_str(" xmlns=\"");
            escape(namespace.uri(), &mut attributes);
            attributes.push('"');
            continue;
        };
        if prefix != "xml" {
            attributes.push_str(&format!(" xmlns:{prefix}=\""));
            escape(namespace.uri(), &mut attributes);
            attributes.push('"');
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>key</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>";

    #[test]
    fn all_but_the_default_key_is_kept() {
        let blocked = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
        let s3 = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>";
        let new = "<n:New xmlns:n=\"u\" a=\"&lt;\">x</n:New><!-- c -->";
        for (content, kept, others) in [
            ("<Rule/>".to_owned(), String::new(), ""),
            (String::new(), String::new(), ""),
            (
                format!("<Rule>{s3}<BucketKeyEnabled>false</BucketKeyEnabled></Rule>"),
                String::new(),
                "",
            ),
            (format!("<Rule>{blocked}{s3}</Rule>"), blocked.to_owned(), ""),
            (
                format!("<Rule>{s3}{blocked}<New>1</New></Rule><Rule><Other/></Rule>"),
                format!("{blocked}<New>1</New>"),
                "<Rule><Other/></Rule>",
            ),
            (
                format!("<Rule>{new}</Rule>"),
                "<n:New xmlns:n=\"u\" a=\"&lt;\">x</n:New>".to_owned(),
                "",
            ),
        ] {
            for declarations in
                ["", " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"", " xmlns:p=\"q\""]
            {
                let current = format!("<{ROOT}{declarations}>{content}</{ROOT}>");
                let changed = with_default_key(current.as_bytes(), "key").unwrap();
                assert_eq!(
                    changed,
                    format!("<{ROOT}{declarations}><Rule>{DEFAULT}{kept}</Rule>{others}</{ROOT}>")
                );
                assert!(roxmltree::Document::parse(&changed).is_ok(), "{changed}");
            }
        }
        let none = default_key_only("key");
        assert!(none.contains(DEFAULT) && none.contains("xmlns="), "{none}");
    }

    #[test]
    fn text_that_is_not_a_whole_configuration_is_an_error() {
        for text in ["", "<Other/>", "<ServerSideEncryptionConfiguration><Rule>"] {
            assert!(with_default_key(text.as_bytes(), "key").is_err(), "{text}");
        }
    }
}
