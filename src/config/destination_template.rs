//! The template of a rule's destination: `DestinationBucket` with placeholders for the source bucket.
//!
//! This module owns the placeholders and the matching of names against them. It must not know which buckets a rule is for.

use crate::model::{Account, BucketName, Region};
use crate::spec::Invalid;

const BUCKET: &str = "{bucket}";
const ACCOUNT: &str = "{account}";
const REGION: &str = "{region}";

/// A bucket's name or ARN with the placeholders `{bucket}`, `{account}` and `{region}`.
#[derive(Debug, Clone)]
pub(super) struct DestinationTemplate {
    text: String,
    /// The parts of the bucket's name, without the beginning of an ARN.
    segments: Vec<Segment>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Bucket,
    Account,
    Region,
}

/// What the placeholders of a template stand for; `None` for a placeholder that the template does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TemplateValues<'a> {
    pub(super) bucket: Option<&'a str>,
    region: Option<&'a str>,
}

impl DestinationTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// A placeholder that is not known, or a brace outside a placeholder.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
        let segments = segments(name);
        let has_brace = |segment: &Segment| matches!(segment, Segment::Literal(literal) if literal.contains(['{', '}']));
        let arn = text.strip_suffix(name).unwrap_or_default();
        if segments.iter().any(has_brace) || arn.contains(['{', '}']) {
            let problem =
                format!("is `{text}`; the placeholders are {BUCKET}, {ACCOUNT} and {REGION}");
            return Err(Invalid::new("DestinationBucket", problem));
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// Whether the destination's name has the source bucket's name in it.
    pub(super) fn depends_on_name(&self) -> bool {
        self.segments.contains(&Segment::Bucket)
    }

    /// The destination's name or ARN for a source bucket.
    pub(super) fn fill(&self, bucket: &BucketName, region: &Region, account: &Account) -> String {
        self.text
            .replace(BUCKET, bucket.as_str())
            .replace(REGION, region.as_str())
            .replace(ACCOUNT, account.as_str())
    }

    /// All values with which the template gives the bucket name `name`. Every value is one character or more, and `{region}` has the form of a
    /// Region's code.
    ///
    /// Takes quadratic time at most: once the length of `{bucket}` is chosen, the length of the name determines the length of `{region}`, so
    /// every segment has one possible place.
    pub(super) fn values_for<'a>(
        &self,
        name: &'a str,
        account: &Account,
    ) -> impl Iterator<Item = TemplateValues<'a>> {
        self.lengths(name.len(), account)
            .filter_map(move |lengths| self.match_segments(name, lengths, account))
    }

    /// The lengths of `{bucket}` and `{region}` with which the template gives a name of the length `total`; 0 for a placeholder that the
    /// template does not have.
    fn lengths(&self, total: usize, account: &Account) -> impl Iterator<Item = Lengths> {
        let count =
            |placeholder| self.segments.iter().filter(|other| **other == placeholder).count();
        let (buckets, regions) = (count(Segment::Bucket), count(Segment::Region));
        let fixed: usize = self.segments.iter().map(|segment| segment.fixed_length(account)).sum();
        total.checked_sub(fixed).into_iter().flat_map(move |variable| {
            let candidates = variable.checked_div(buckets).map_or(0..=0, |longest| 1..=longest);
            candidates.filter_map(move |bucket| {
                let rest = variable - buckets * bucket;
                let region = rest.checked_div(regions).unwrap_or(0);
                let is_complete = regions * region == rest && (region > 0) == (regions > 0);
                is_complete.then_some(Lengths { bucket, region })
            })
        })
    }

    /// The values of the placeholders, when `name` matches every segment with these lengths.
    fn match_segments<'a>(
        &self,
        name: &'a str,
        lengths: Lengths,
        account: &Account,
    ) -> Option<TemplateValues<'a>> {
        let mut values = TemplateValues::default();
        let mut rest = name;
        for segment in &self.segments {
            rest = match segment {
                Segment::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Segment::Account => rest.strip_prefix(account.as_str())?,
                Segment::Bucket => bind(&mut values.bucket, rest, lengths.bucket)?,
                Segment::Region => bind(&mut values.region, rest, lengths.region)?,
            };
        }
        let is_region = values.region.is_none_or(|region| Region::parse(region).is_ok());
        (rest.is_empty() && is_region).then_some(values)
    }
}

/// How many bytes the placeholders stand for.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    bucket: usize,
    region: usize,
}

impl Segment {
    /// The length of a segment that does not depend on the source bucket; 0 for the others.
    fn fixed_length(&self, account: &Account) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Account => account.as_str().len(),
            Self::Bucket | Self::Region => 0,
        }
    }
}

/// Takes the first `length` bytes of `text` as the value of a placeholder, and returns the rest; `None` when the placeholder already has
/// another value.
fn bind<'a>(value: &mut Option<&'a str>, text: &'a str, length: usize) -> Option<&'a str> {
    let (taken, rest) = text.split_at_checked(length)?;
    (*value.get_or_insert(taken) == taken).then_some(rest)
}

/// Splits a template into its segments.
fn segments(template: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = template;
    while let Some((literal, placeholder, after)) = split_at_placeholder(rest) {
        segments.extend([Segment::Literal(literal.to_owned()), placeholder]);
        rest = after;
    }
    segments.push(Segment::Literal(rest.to_owned()));
    segments
}

/// The text before the first placeholder, the placeholder, and the text after it.
fn split_at_placeholder(text: &str) -> Option<(&str, Segment, &str)> {
    let placeholders =
        [(BUCKET, Segment::Bucket), (ACCOUNT, Segment::Account), (REGION, Segment::Region)];
    let found = placeholders.into_iter().filter_map(|(placeholder, segment)| {
        let (before, after) = text.split_once(placeholder)?;
        Some((before, segment, after))
    });
    found.min_by_key(|(before, ..)| before.len())
}
