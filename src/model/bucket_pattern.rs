//! Patterns of bucket names to which IAM can confine a grant.
//!
//! This module owns the form of these patterns. It must not know what is granted.

use super::{BucketName, Partition};

/// A bucket's name, or the beginning of bucket names.
///
/// In IAM `*` also stands for `/`: `*-prod/*` matches the object `x-prod/y` of a bucket `secret`. So only a `*` at the end of the pattern of a
/// bucket's ARN matches nothing but buckets with the pattern's name, and their objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketPattern {
    /// One bucket.
    Name(BucketName),
    /// All buckets whose names begin so; all buckets if the text is empty.
    Beginning(String),
}

impl BucketPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is neither a bucket's name nor the beginning of one with a `*` after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_of_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        match text.strip_suffix('*') {
            Some(beginning) if beginning.bytes().all(is_of_name) => {
                Ok(Self::Beginning(beginning.to_owned()))
            }
            None if !text.contains(['*', '?']) => BucketName::parse(text).map(Self::Name),
            Some(_) | None => Err(format!(
                "has `{text}`; one role can be confined only to whole names, and to beginnings of names with one `*` at the end: in IAM `*` also stands for `/`, so `*-prod/*` would allow the object `x-prod/y` of a bucket `secret`"
            )),
        }
    }

    /// Whether every bucket that `other` matches is matched by this pattern.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(name), Self::Name(other)) => name == other,
            (Self::Name(_), Self::Beginning(_)) => false,
            (Self::Beginning(beginning), Self::Name(name)) => name.as_str().starts_with(beginning),
            (Self::Beginning(beginning), Self::Beginning(other)) => other.starts_with(beginning),
        }
    }

    /// The pattern of the buckets' ARNs.
    pub fn arn(&self, partition: Partition) -> String {
        match self {
            Self::Name(name) => name.arn(partition),
            Self::Beginning(beginning) => format!("arn:{partition}:s3:::{beginning}*"),
        }
    }
}

/// Whether a bucket's name can match both patterns, in which `*` stands for any characters and `?` for one.
pub fn can_match_both(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut reached = vec![(0, 0)];
    let mut next = 0;
    while let Some(&(at, at_other)) = reached.get(next) {
        next += 1;
        if at == one.len() && at_other == other.len() {
            return true;
        }
        for step in steps((one.get(at..), at), (other.get(at_other..), at_other)) {
            if !reached.contains(&step) {
                reached.push(step);
            }
        }
    }
    false
}

/// The positions in two patterns after one more character, or after the end of a `*`.
fn steps(
    (one, at): (Option<&[u8]>, usize),
    (other, at_other): (Option<&[u8]>, usize),
) -> Vec<(usize, usize)> {
    let first = |rest: Option<&[u8]>| rest.and_then(|rest| rest.first().copied());
    match (first(one), first(other)) {
        (Some(b'*'), Some(b'*')) => vec![(at + 1, at_other), (at, at_other + 1)],
        (Some(b'*'), Some(_)) => vec![(at + 1, at_other), (at, at_other + 1)],
        (Some(_), Some(b'*')) => vec![(at, at_other + 1), (at + 1, at_other)],
        (Some(b'*'), None) => vec![(at + 1, at_other)],
        (None, Some(b'*')) => vec![(at, at_other + 1)],
        (Some(one), Some(other)) if one == other || one == b'?' || other == b'?' => {
            vec![(at + 1, at_other + 1)]
        }
        (Some(_) | None, Some(_) | None) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_beginning_with_one_star_at_the_end() {
        for (text, arn) in [
            ("prod-orders", "arn:aws:s3:::prod-orders"),
            ("prod-*", "arn:aws:s3:::prod-*"),
            ("*", "arn:aws:s3:::*"),
        ] {
            assert_eq!(BucketPattern::parse(text).unwrap().arn(Partition::Aws), arn);
        }
        for text in ["*-prod", "a*b", "a?", "a**", "Prod-*", "a_b*", "${aws:x}*", "", "ab"] {
            assert!(BucketPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_the_patterns_that_match_no_other_buckets() {
        let pattern = |text| BucketPattern::parse(text).unwrap();
        for (one, other, covers) in [
            ("prod-*", "prod-a", true),
            ("prod-*", "prod-a*", true),
            ("prod-*", "prod-*", true),
            ("prod-a*", "prod-*", false),
            ("prod-a", "prod-a", true),
            ("prod-a", "prod-a*", false),
            ("*", "prod-a", true),
        ] {
            assert_eq!(pattern(one).covers(&pattern(other)), covers, "{one} {other}");
        }
    }

    #[test]
    fn patterns_are_compared_by_the_names_that_match_both() {
        for (one, other, both) in [
            ("prod-*", "*-logs", true),
            ("prod-*", "test-*", false),
            ("prod-a", "prod-?", true),
            ("prod-a", "prod-??", false),
            ("*", "*", true),
            ("*a*", "b*b", true),
            ("a*b", "?c*", true),
            ("a*b", "*c", false),
            ("", "*", true),
            ("abc", "abc", true),
            ("abc", "abd", false),
        ] {
            assert_eq!(can_match_both(one, other), both, "{one} {other}");
            assert_eq!(can_match_both(other, one), both, "{other} {one}");
        }
    }
}
