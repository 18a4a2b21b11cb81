//! The patterns of object keys in `Resource` and in the encryption context, for the objects with a prefix.
//!
//! It owns how a prefix is written in a pattern. It must not know which statements have patterns.

use crate::spec::grantable_prefix;

/// The pattern for all object keys that begin with the [`grantable_prefix`] of `prefix`. The pattern is for documents of
/// [`VERSION`](super::document::VERSION), in which policy variables stand for the characters `*`, `?` and `$`.
pub(super) fn key_pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in grantable_prefix(prefix).chars() {
        match character {
            '*' | '?' | '$' => pattern.extend(["${", character.encode_utf8(&mut [0; 4]), "}"]),
            _ => pattern.push(character),
        }
    }
    pattern.push('*');
    pattern
}

/// The pattern of [`key_pattern`] for foreign documents, whose version may not support policy variables. The prefix is cut before the first
/// character that needs a variable.
pub(super) fn plain_key_pattern(prefix: &str) -> String {
    format!("{}*", grantable_prefix(prefix).split(['*', '?', '$']).next().unwrap_or_default())
}
