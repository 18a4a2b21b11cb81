//! `DestinationRegion` of a policy rule: one Region, or a map from the source's Region to the destination's.
//!
//! It owns the form of the value. It must not know how the Region is used.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{KeyReference, Region};
use crate::spec::Invalid;

use super::placeholders::Placeholder;

const PROPERTY: &str = "DestinationRegion";

/// The destination's Region for each of the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DestinationRegion {
    /// One Region for all sources.
    Fixed(Region),
    /// A Region for each Region of a source.
    Map(BTreeMap<String, Region>),
    /// The Region of the source, since the key is in it.
    OfSource,
}

impl DestinationRegion {
    /// Reads the value of the property, or else the Region of the replica key, whose text may have placeholders.
    ///
    /// # Errors
    /// A value that is neither a Region nor a map of Regions, or a key that does not determine the Region.
    pub(super) fn parse(value: Option<&Value>, replica_key: &str) -> Result<Self, Invalid> {
        let invalid = |problem| Invalid::new(PROPERTY, problem);
        match value {
            Some(Value::String(text)) => Ok(Self::Fixed(Region::parse(text).map_err(invalid)?)),
            Some(Value::Object(map)) if !map.is_empty() => {
                let mut regions = BTreeMap::new();
                for (source, destination) in map {
                    let source = Region::parse(source).map_err(invalid)?;
                    let destination = destination.as_str().unwrap_or_default();
                    regions.insert(
                        source.to_string(),
                        Region::parse(destination).map_err(|problem| {
                            Invalid::new(format!("{PROPERTY}.{source}"), problem)
                        })?,
                    );
                }
                Ok(Self::Map(regions))
            }
            Some(other) => Err(invalid(format!(
                "is `{other}`; it must be a Region, or a map from the source's Region to the destination's, such as {{\"us-east-1\": \"us-west-2\"}}"
            ))),
            None => Self::of_key(replica_key),
        }
    }

    fn of_key(replica_key: &str) -> Result<Self, Invalid> {
        let region = replica_key.split(':').nth(3).unwrap_or_default();
        if region == Placeholder::Region.as_str() {
            return Ok(Self::OfSource);
        }
        if region.contains(Placeholder::DestinationRegion.as_str()) {
            return Err(Invalid::new(
                PROPERTY,
                format!("is required, since the Region of `ReplicaKmsKeyArn` is `{region}`"),
            ));
        }
        match Region::parse(region) {
            Ok(region) => Ok(Self::Fixed(region)),
            // The key's own check says best what is wrong with it.
            Err(problem) => Err(KeyReference::parse(replica_key).map_or_else(
                |problem| Invalid::new("ReplicaKmsKeyArn", problem),
                |_| Invalid::new("ReplicaKmsKeyArn", problem),
            )),
        }
    }

    /// The destination's Region for a source in `region`.
    ///
    /// # Errors
    /// A map that does not have the Region.
    pub(super) fn for_source<'a>(&'a self, region: &'a Region) -> Result<&'a Region, Invalid> {
        match self {
            Self::Fixed(region) => Ok(region),
            Self::OfSource => Ok(region),
            Self::Map(regions) => regions.get(region.as_str()).ok_or_else(|| {
                let known: Vec<&str> = regions.keys().map(String::as_str).collect();
                Invalid::new(
                    PROPERTY,
                    format!("has no entry for {region}, only for {}", known.join(", ")),
                )
            }),
        }
    }

    /// The pairs of Regions that the value names: the source's, or `None` for any, and the destination's, or `None` for the source's.
    pub(super) fn pairs(&self) -> Vec<(Option<Region>, Option<Region>)> {
        match self {
            Self::Fixed(region) => vec![(None, Some(region.clone()))],
            Self::OfSource => vec![(None, None)],
            Self::Map(regions) => regions
                .iter()
                .map(|(source, destination)| {
                    (Region::parse(source).ok(), Some(destination.clone()))
                })
                .collect(),
        }
    }
}
