//! Patterns with wildcards: `*` for any characters, also `/` and `:`, and `?` for one character.

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
        Self(text.chars().map(Token::wildcard).collect())
    }

    pub fn push(&mut self, token: Token) {
        self.0.push(token);
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

    /// Whether `text` as a whole matches. Each `*` takes as little as it can; only the last one met is ever tried with more, so the number of
    /// steps is at most the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
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
