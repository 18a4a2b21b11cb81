//! The template of a rule's destination: `DestinationBucket` with placeholders for the source bucket and the place of the destination.
//!
//! It owns the matching of names against the placeholders. It must not know which buckets a rule is for.

use super::placeholders::{Placeholder, SourceValues};
use crate::model::{Account, Region};
use crate::spec::Invalid;

/// A bucket's name or ARN with placeholders.
#[derive(Debug, Clone)]
pub(super) struct DestinationTemplate {
    text: String,
    /// The parts of the bucket's name, without the beginning of an ARN, for each place that the destination can have.
    variants: Vec<Vec<Segment>>,
}

/// A place of source and destination, as far as a rule determines it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The only Region of the source; `None` for any Region.
    pub(super) region: Option<Region>,
    /// The destination's Region; `None` for the source's.
    pub(super) destination_region: Option<Region>,
    /// The destination's account; `None` for the source's.
    pub(super) destination_account: Option<Account>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Bucket,
    BucketPrefix,
    Account,
    Region,
}

/// What the placeholders of a template stand for; `None` for a placeholder that the template does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TemplateValues<'a> {
    pub(super) bucket: Option<&'a str>,
    pub(super) bucket_prefix: Option<&'a str>,
    pub(super) region: Option<&'a str>,
}

impl DestinationTemplate {
    /// Reads a template for a rule whose sources and destinations have these places.
    ///
    /// # Errors
    /// A placeholder that is not known, or a brace outside a placeholder.
    pub(super) fn parse(text: &str, places: &[Place]) -> Result<Self, Invalid> {
        Placeholder::check("DestinationBucket", text, &Placeholder::ALL)?;
        let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
        let arn = text.strip_suffix(name).unwrap_or_default();
        Placeholder::check("DestinationBucket", arn, &[])?;
        let variants = places.iter().map(|place| segments(name, place)).collect();
        Ok(Self { text: text.to_owned(), variants })
    }

    /// The template as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the destination's name has the source bucket's name in it.
    pub(super) fn depends_on_name(&self) -> bool {
        [Placeholder::Bucket, Placeholder::BucketPrefix]
            .into_iter()
            .any(|placeholder| self.text.contains(placeholder.as_str()))
    }

    /// Whether the destination's name depends on anything of the source.
    pub(super) fn has_placeholders(&self) -> bool {
        self.text.contains('{')
    }

    /// The destination's name or ARN for a source bucket.
    pub(super) fn fill(&self, values: &SourceValues<'_>) -> String {
        values.fill(&self.text)
    }

    /// All values with which the template gives the bucket name `name`. Every value is one character or more, and `{region}` has the form of a
    /// Region's code.
    ///
    /// Takes cubic time at most: once the lengths of `{bucket}` and `{bucket_prefix}` are chosen, the length of the name determines the length of
    /// `{region}`, so every segment has one possible place.
    pub(super) fn values_for<'a>(
        &'a self,
        name: &'a str,
        account: &'a Account,
    ) -> impl Iterator<Item = TemplateValues<'a>> {
        self.variants.iter().flat_map(move |variant| {
            lengths(variant, name.len(), account)
                .filter_map(move |lengths| match_segments(variant, name, lengths, account))
        })
    }
}

/// The lengths of the placeholders with which the segments give a name of the length `total`; 0 for a placeholder that is not there.
fn lengths(
    segments: &[Segment],
    total: usize,
    account: &Account,
) -> impl Iterator<Item = Lengths> + use<> {
    let count = |placeholder| segments.iter().filter(|other| **other == placeholder).count();
    let (buckets, prefixes, regions) =
        (count(Segment::Bucket), count(Segment::BucketPrefix), count(Segment::Region));
    let fixed: usize = segments.iter().map(|segment| segment.fixed_length(account)).sum();
    let candidates =
        |count: usize, room: usize| room.checked_div(count).map_or(0..=0, |longest| 1..=longest);
    total.checked_sub(fixed).into_iter().flat_map(move |variable| {
        candidates(buckets, variable).flat_map(move |bucket| {
            let after_bucket = variable - buckets * bucket;
            candidates(prefixes, after_bucket).filter_map(move |bucket_prefix| {
                let rest = after_bucket - prefixes * bucket_prefix;
                let region = rest.checked_div(regions).unwrap_or(0);
                let is_complete = regions * region == rest && (region > 0) == (regions > 0);
                is_complete.then_some(Lengths { bucket, bucket_prefix, region })
            })
        })
    })
}

/// The values of the placeholders, when `name` matches every segment with these lengths.
fn match_segments<'a>(
    segments: &[Segment],
    name: &'a str,
    lengths: Lengths,
    account: &Account,
) -> Option<TemplateValues<'a>> {
    let mut values = TemplateValues::default();
    let mut rest = name;
    for segment in segments {
        rest = match segment {
            Segment::Literal(literal) => rest.strip_prefix(literal.as_str())?,
            Segment::Account => rest.strip_prefix(account.as_str())?,
            Segment::Bucket => bind(&mut values.bucket, rest, lengths.bucket)?,
            Segment::BucketPrefix => bind(&mut values.bucket_prefix, rest, lengths.bucket_prefix)?,
            Segment::Region => bind(&mut values.region, rest, lengths.region)?,
        };
    }
    let is_region = values.region.is_none_or(|region| Region::parse(region).is_ok());
    (rest.is_empty() && is_region).then_some(values)
}

/// How many bytes the placeholders stand for.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    bucket: usize,
    bucket_prefix: usize,
    region: usize,
}

impl Segment {
    /// The length of a segment that does not depend on the source bucket; 0 for the others.
    fn fixed_length(&self, account: &Account) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Account => account.as_str().len(),
            Self::Bucket | Self::BucketPrefix | Self::Region => 0,
        }
    }

    fn of_region(region: Option<&Region>) -> Self {
        region.map_or(Self::Region, |region| Self::Literal(region.to_string()))
    }
}

/// Takes the first `length` bytes of `text` as the value of a placeholder, and returns the rest; `None` when the placeholder already has
/// another value.
fn bind<'a>(value: &mut Option<&'a str>, text: &'a str, length: usize) -> Option<&'a str> {
    let (taken, rest) = text.split_at_checked(length)?;
    (*value.get_or_insert(taken) == taken).then_some(rest)
}

/// Splits a template into its segments, with the values that the place determines filled in.
fn segments(template: &str, place: &Place) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = template;
    while let Some((literal, placeholder, after)) = Placeholder::split(rest) {
        let segment = match placeholder {
            Placeholder::Bucket => Segment::Bucket,
            Placeholder::BucketPrefix => Segment::BucketPrefix,
            Placeholder::Account => Segment::Account,
            Placeholder::Region => Segment::of_region(place.region.as_ref()),
            Placeholder::DestinationAccount => match &place.destination_account {
                Some(account) => Segment::Literal(account.to_string()),
                None => Segment::Account,
            },
            Placeholder::DestinationRegion => {
                let region = place.destination_region.as_ref().or(place.region.as_ref());
                Segment::of_region(region)
            }
        };
        segments.extend([Segment::Literal(literal.to_owned()), segment]);
        rest = after;
    }
    segments.push(Segment::Literal(rest.to_owned()));
    segments
}
