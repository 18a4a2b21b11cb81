//! Patterns with wildcards: `*` for any characters, also `/` and `:`, and `?` for one character.
//!
//! It owns the matching of whole texts and of texts of which the beginning is known. It must not know what a pattern is written for.

use std::collections::BTreeSet;

use super::decision::Cause;
use super::text::Text;
use super::truth::Truth;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Character(char),
    One,
    Any,
}

/// A pattern without variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads a pattern in which `*` and `?` are wildcards.
    pub fn with_wildcards(text: &str) -> Self {
        let mut pattern = Self::default();
        text.chars().for_each(|character| pattern.push(Token::wildcard(character)));
        pattern
    }

    /// Adds a token. Several `*` in a row are one.
    pub fn push(&mut self, token: Token) {
        if token != Token::Any || self.0.last() != Some(&Token::Any) {
            self.0.push(token);
        }
    }

    /// Adds text whose `*` and `?` are no wildcards.
    pub fn push_literal(&mut self, text: &str) {
        self.0.extend(text.chars().map(Token::Character));
    }

    /// This pattern in lower case.
    pub fn to_lowercase(&self) -> Self {
        let lower = |token: &Token| match token {
            Token::Character(character) => character.to_lowercase().map(Token::Character).collect(),
            Token::One | Token::Any => vec![*token],
        };
        Self(self.0.iter().flat_map(lower).collect())
    }

    /// The parts between the first separators, at most `count`.
    pub fn split(&self, separator: char, count: usize) -> Vec<Self> {
        let is_separator = |token: &Token| *token == Token::Character(separator);
        self.0.splitn(count, is_separator).map(|part| Self(part.to_vec())).collect()
    }

    /// Whether every text matches.
    pub fn is_everything(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|token| *token == Token::Any)
    }

    /// Whether a text matches; of an open text, whether all texts that begin so match, or none.
    pub fn matches(&self, text: &Text) -> Truth {
        match text {
            Text::Exact(text) => self.matches_exactly(text).into(),
            Text::Open(start) => self.matches_open(start),
        }
    }

    fn matches_open(&self, start: &str) -> Truth {
        let reached = self.places_after(start);
        let for_every_next = self.places_next(&reached, |token| token == Token::One);
        let for_some_next = self.places_next(&reached, |_| true);
        if for_some_next.is_empty() {
            Truth::No
        } else if for_every_next.iter().any(|place| self.0.get(*place..) == Some(&[Token::Any])) {
            Truth::Yes
        } else {
            Truth::unknown(Cause::EndOfName)
        }
    }

    /// A text that begins with `start`, goes on, and matches; the shortest one that is easily made.
    pub fn example(&self, start: &str) -> Option<String> {
        let character = |token: &Token| match token {
            Token::Character(character) => *character,
            Token::One | Token::Any => 'x',
        };
        let places = self.places_after(start);
        let mut ends = places.iter().rev().filter_map(|place| self.0.get(*place..));
        let end = ends.find(|tokens| !tokens.is_empty())?;
        Some(start.chars().chain(end.iter().map(character)).collect())
    }

    /// The places in the pattern where the rest of a text must match, when `start` has matched what is before them.
    fn places_after(&self, start: &str) -> BTreeSet<usize> {
        start.chars().fold(self.with_any_skipped([0]), |places, character| {
            self.places_next(&places, |token| {
                token == Token::One || token == Token::Character(character)
            })
        })
    }

    /// The places after one more character, which the tokens that `accepts` names take.
    fn places_next(
        &self,
        places: &BTreeSet<usize>,
        accepts: impl Fn(Token) -> bool,
    ) -> BTreeSet<usize> {
        self.with_any_skipped(places.iter().filter_map(|place| match self.0.get(*place)? {
            Token::Any => Some(*place),
            token => accepts(*token).then_some(place + 1),
        }))
    }

    /// These places, and those after a `*`, which may stand for nothing.
    fn with_any_skipped(&self, places: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let skipped = |place: usize| {
            let is_any = self.0.get(place) == Some(&Token::Any);
            std::iter::once(place).chain(is_any.then_some(place + 1))
        };
        places.into_iter().flat_map(skipped).collect()
    }

    /// Whether `text` as a whole matches. Each `*` takes as little as it can; only the last one met is ever tried with more, so the number of
    /// steps is at most the product of both lengths.
    pub fn matches_exactly(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut token, mut character) = (0, 0);
        let mut last_any: Option<(usize, usize)> = None;
        loop {
            let matched = match (self.0.get(token), text.get(character)) {
                (None, None) => return true,
                (Some(Token::Any), _) => {
                    last_any = Some((token, character));
                    token += 1;
                    continue;
                }
                (Some(Token::One), Some(_)) => true,
                (Some(Token::Character(wanted)), Some(actual)) => wanted == actual,
                (None, Some(_)) | (Some(Token::One | Token::Character(_)), None) => false,
            };
            if matched {
                token += 1;
                character += 1;
                continue;
            }
            match &mut last_any {
                Some((any, taken)) if *taken < text.len() => {
                    *taken += 1;
                    (token, character) = (*any + 1, *taken);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    pub fn wildcard(character: char) -> Self {
        match character {
            '*' => Self::Any,
            '?' => Self::One,
            other => Self::Character(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_text_matches_if_every_end_does_and_does_not_if_none_does() {
        let unknown = Truth::unknown(Cause::EndOfName);
        for (pattern, start, expected) in [
            ("b/*", "b/", Truth::Yes),
            ("*", "b/", Truth::Yes),
            ("b/?*", "b/", Truth::Yes),
            ("b*/*", "b/logs/", Truth::Yes),
            ("b/logs/*", "b/logs/2026", Truth::Yes),
            ("b/logs/*", "b/", unknown.clone()),
            ("b/??*", "b/", unknown.clone()),
            ("b/?", "b/", unknown.clone()),
            ("*.tmp", "b/logs/", unknown.clone()),
            ("b/*/x", "b/logs/", unknown),
            ("b/", "b/", Truth::No),
            ("b", "b/", Truth::No),
            ("c/*", "b/", Truth::No),
            ("b/tax/*", "b/logs/", Truth::No),
            ("", "", Truth::No),
        ] {
            let found = Pattern::with_wildcards(pattern).matches(&Text::Open(start.to_owned()));
            assert_eq!(found, expected, "{pattern} {start}");
        }
    }

    #[test]
    fn example_matches_and_begins_as_it_must() {
        for (pattern, start, expected) in [
            ("b/logs/*", "b/", Some("b/logs/x")),
            ("*.tmp", "b/logs/", Some("b/logs/.tmp")),
            ("b*/secret/?", "b/", Some("b/secret/x")),
            ("b/*", "b/logs/", Some("b/logs/x")),
            ("b/tax/*", "b/logs/", None),
            ("b/", "b/", None),
        ] {
            let pattern = Pattern::with_wildcards(pattern);
            let example = pattern.example(start);
            assert_eq!(example.as_deref(), expected, "{pattern:?} {start}");
            assert!(example.is_none_or(|text| pattern.matches_exactly(&text)), "{pattern:?}");
        }
    }
}
