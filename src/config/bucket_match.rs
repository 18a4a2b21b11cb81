//! `Match` of a policy rule: which buckets the rule is for.
//!
//! It owns the patterns of names and the tags. It must not know what the rule does with the buckets.

use std::collections::BTreeMap;

use serde_json::Value;
use wildmatch::WildMatch;

use crate::spec::{Invalid, Object};

/// The most characters that a bucket's name has.
const MAX_NAME: usize = 63;

/// Conditions on a bucket's name and tags, all of which must hold.
#[derive(Debug, Clone)]
pub(super) struct BucketMatch {
    names: Vec<WildMatch>,
    /// Whether `BucketNames` is given.
    has_names: bool,
    excluded_names: Vec<WildMatch>,
    tags: BTreeMap<String, String>,
    /// The patterns that look like regular expressions.
    expressions: Vec<String>,
}

impl BucketMatch {
    /// Reads the value of `Match`.
    ///
    /// # Errors
    /// The property that cannot be accepted, as a path that begins with `Match`.
    pub(super) fn parse(value: Option<&Value>) -> Result<Self, Invalid> {
        let object = value.and_then(Value::as_object).ok_or_else(|| {
            Invalid::new(
                "Match",
                "is required, with `BucketNames` or `BucketTags`; `[\"*\"]` names every bucket",
            )
        })?;
        Self::parse_conditions(Object::new(object)).map_err(|invalid| invalid.within("Match"))
    }

    fn parse_conditions(mut object: Object<'_>) -> Result<Self, Invalid> {
        let names = object.list("BucketNames")?.filter(|names| !names.is_empty());
        let excluded_names = object.list("ExcludeBucketNames")?.unwrap_or_default();
        let tags = object.tags("BucketTags")?.unwrap_or_default();
        object.finish()?;
        if names.is_none() && tags.is_empty() {
            return Err(Invalid::new(
                "",
                "needs `BucketNames` or `BucketTags`; `[\"*\"]` names every bucket",
            ));
        }
        let has_names = names.is_some();
        let names = names.unwrap_or_else(|| vec!["*".to_owned()]);
        let all = names.iter().chain(&excluded_names);
        let expressions = all.filter(|text| is_like_expression(text)).cloned().collect();
        Ok(Self {
            names: patterns(&names),
            has_names,
            excluded_names: patterns(&excluded_names),
            tags,
            expressions,
        })
    }

    /// Whether buckets of more than one name can match.
    pub(super) fn can_match_several(&self) -> bool {
        let is_pattern = |name: &WildMatch| name.to_string().contains(['*', '?']);
        self.names.len() > 1 || self.names.iter().any(is_pattern)
    }

    /// What the caller should know about the patterns, as one sentence for each.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.expressions.iter().map(|pattern| {
            format!(
                "the pattern `{pattern}` looks like a regular expression; in a pattern of bucket names only `*`, for any characters, and `?`, for one, have a meaning"
            )
        })
    }

    /// Whether a pattern matches the name and no excluded pattern does.
    pub(super) fn matches_name(&self, bucket: &str) -> bool {
        let any = |patterns: &[WildMatch]| patterns.iter().any(|pattern| pattern.matches(bucket));
        any(&self.names) && !any(&self.excluded_names)
    }

    /// Whether a name can match that begins with `start`, ends with `end`, and has any characters between.
    ///
    /// A name that only some values of these characters exclude can match. The characters need not make sense where they stand, so the answer
    /// can be yes for a pattern that no name of the account meets.
    pub(super) fn may_match_between(&self, start: &str, end: &str) -> bool {
        // More characters than a name has, which only a `*` matches.
        let any = "\0".repeat(MAX_NAME);
        let is_excluded = |pattern: &WildMatch| pattern.matches(&format!("{start}{any}{end}"));
        self.names.iter().any(|pattern| overlap(&pattern.to_string(), &format!("{start}*{end}")))
            && !self.excluded_names.iter().any(is_excluded)
    }

    /// The patterns of names; `None` if only tags are given.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        self.has_names.then(|| self.names.iter().map(ToString::to_string).collect())
    }

    /// The patterns of names that do not match.
    pub(super) fn excluded_names(&self) -> impl Iterator<Item = String> {
        self.excluded_names.iter().map(ToString::to_string)
    }

    /// Whether there are conditions on tags.
    pub(super) fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Whether a bucket with these tags meets the conditions on tags.
    pub(super) fn matches_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}

/// Whether two patterns match the same name.
fn overlap(one: &str, other: &str) -> bool {
    let other: Vec<char> = other.chars().collect();
    // For each length, whether the beginning of `one` and the beginning of `other` match the same name.
    let mut row: Vec<bool> =
        (0..=other.len()).map(|length| other.iter().take(length).all(|c| *c == '*')).collect();
    for character in one.chars() {
        let mut next = vec![row.first() == Some(&true) && character == '*'];
        for ((above, pair), opposite) in row.iter().skip(1).zip(row.windows(2)).zip(&other) {
            let left = next.last() == Some(&true);
            let diagonal = pair.first() == Some(&true);
            let is_same = character == *opposite || character == '?' || *opposite == '?';
            next.push(match (character, *opposite) {
                ('*', _) | (_, '*') => *above || left || diagonal,
                _ => diagonal && is_same,
            });
        }
        row = next;
    }
    row.last() == Some(&true)
}

fn patterns(texts: &[String]) -> Vec<WildMatch> {
    texts.iter().map(|text| WildMatch::new(text)).collect()
}

/// Whether a pattern has characters that no bucket's name has, or a `.*` where no name has a dot.
fn is_like_expression(pattern: &str) -> bool {
    let is_of_name =
        |character: char| character.is_ascii_alphanumeric() || "._-*?".contains(character);
    !pattern.chars().all(is_of_name) || pattern.starts_with(".*") || pattern.contains("-.*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_where_a_name_matches_both() {
        for (one, other, expected) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("*", "a*b", true),
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("a?c", "a*c", true),
            ("a?c", "ac", false),
            ("*-eu-*", "x-*-an", true),
            ("*-an-", "x-*-an", false),
            ("x-*-us-?-an", "x-*-an", true),
            ("ab*ba", "ab*ba", true),
            ("a*c*e", "abcd", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn name_can_match_unless_it_is_excluded_whatever_is_between() {
        for (names, excluded, expected) in [
            (r#"["*"]"#, r#"[]"#, true),
            (r#"["logs-1-eu-west-9-an"]"#, r#"[]"#, true),
            (r#"["logs"]"#, r#"[]"#, false),
            (r#"["*"]"#, r#"["*-an"]"#, false),
            (r#"["*"]"#, r#"["logs-1-*"]"#, false),
            (r#"["*"]"#, r#"["*-eu-*"]"#, true),
            (r#"["*"]"#, r#"["logs-1-??-????-?-an"]"#, true),
        ] {
            let text = format!(r#"{{"BucketNames": {names}, "ExcludeBucketNames": {excluded}}}"#);
            let value: Value = serde_json::from_str(&text).unwrap();
            let found = BucketMatch::parse(Some(&value)).unwrap();
            assert_eq!(found.may_match_between("logs-1-", "-an"), expected, "{text}");
        }
    }
}
