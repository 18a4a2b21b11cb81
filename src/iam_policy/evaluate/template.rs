//! Texts with policy variables, such as `${aws:PrincipalTag/team, 'none'}`.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.

use super::context::Known;
use super::decision::Cause;
use super::document::Version;
use super::layers::Request;
use super::pattern::{Pattern, Token};
use super::text::Text;

/// A text of a policy whose variables have values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolved {
    Pattern(Pattern),
    /// A variable has no value: the text is equal to nothing and like nothing.
    Nothing,
    /// The value of a variable is unknown, for this reason.
    Unknown(Cause),
}

/// Which characters of a text are special.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syntax {
    /// Variables are special since the version 2012-10-17.
    pub version: Version,
    pub wildcards: bool,
}

enum Piece<'a> {
    Character(char),
    Variable(&'a str),
}

/// Puts the request's values in the place of the variables. A value is taken literally: its `*` and `?` are no wildcards.
pub(super) fn resolve(text: &str, syntax: Syntax, request: &Request) -> Resolved {
    let mut pattern = Pattern::default();
    let mut rest = text;
    while let Some((piece, after)) = next_piece(rest, syntax.version) {
        rest = after;
        match piece {
            Piece::Character(character) if syntax.wildcards => {
                pattern.push(Token::wildcard(character));
            }
            Piece::Character(character) => pattern.push(Token::Character(character)),
            Piece::Variable(literal @ ("*" | "?" | "$")) => pattern.push_literal(literal),
            Piece::Variable(variable) => {
                let (key, default) = key_and_default(variable);
                match (request.key(key), default) {
                    (Known::Values([Text::Exact(value)]), _) => pattern.push_literal(value),
                    (Known::Values([Text::Open(_)]), _) => {
                        return Resolved::Unknown(Cause::EndOfName);
                    }
                    (Known::Values(_), _) | (Known::Absent, None) => return Resolved::Nothing,
                    (Known::Absent, Some(default)) => pattern.push_literal(default),
                    (Known::Unknown, _) => {
                        return Resolved::Unknown(Cause::ConditionKey(key.to_owned()));
                    }
                }
            }
        }
    }
    Resolved::Pattern(pattern)
}

fn next_piece(text: &str, version: Version) -> Option<(Piece<'_>, &str)> {
    if version == Version::V2012
        && let Some((variable, after)) =
            text.strip_prefix("${").and_then(|inside| inside.split_once('}'))
    {
        return Some((Piece::Variable(variable), after));
    }
    let mut characters = text.chars();
    let character = characters.next()?;
    Some((Piece::Character(character), characters.as_str()))
}

/// The key of a variable, and its default, which is written in single quotes.
fn key_and_default(variable: &str) -> (&str, Option<&str>) {
    let Some((key, default)) = variable.split_once(',') else { return (variable.trim(), None) };
    let quoted = default.trim();
    let default = quoted.strip_prefix('\'').and_then(|default| default.strip_suffix('\''));
    (key.trim(), default)
}
