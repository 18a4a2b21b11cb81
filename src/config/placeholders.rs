//! The placeholders of a policy's texts, and what they stand for.
//!
//! It owns their names and values. It must not know which property a text is for.

use crate::model::{Account, BucketName, Region};
use crate::spec::Invalid;

/// A placeholder, which is written in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// The source bucket.
    Bucket,
    /// The source bucket without the `-<account>-<region>-an` of an account-regional name.
    BucketPrefix,
    /// The source's account.
    Account,
    /// The source's Region.
    Region,
    /// The destination's account.
    DestinationAccount,
    /// The destination's Region.
    DestinationRegion,
}

impl Placeholder {
    pub(super) const ALL: [Self; 6] = [
        Self::Bucket,
        Self::BucketPrefix,
        Self::Account,
        Self::Region,
        Self::DestinationAccount,
        Self::DestinationRegion,
    ];

    /// Those that do not depend on the source bucket's name.
    pub(super) const OF_PLACES: [Self; 4] =
        [Self::Account, Self::Region, Self::DestinationAccount, Self::DestinationRegion];

    /// The placeholder as it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "{bucket}",
            Self::BucketPrefix => "{bucket_prefix}",
            Self::Account => "{account}",
            Self::Region => "{region}",
            Self::DestinationAccount => "{destination_account}",
            Self::DestinationRegion => "{destination_region}",
        }
    }

    /// The text before the first placeholder, the placeholder, and the text after it.
    pub(super) fn split(text: &str) -> Option<(&str, Self, &str)> {
        let found = Self::ALL.into_iter().filter_map(|placeholder| {
            let (before, after) = text.split_once(placeholder.as_str())?;
            Some((before, placeholder, after))
        });
        found.min_by_key(|(before, ..)| before.len())
    }

    /// Refuses a text with other placeholders than `allowed`, or with a brace outside a placeholder.
    pub(super) fn check(property: &str, text: &str, allowed: &[Self]) -> Result<(), Invalid> {
        let mut rest = text;
        let mut is_allowed = true;
        while let Some((literal, placeholder, after)) = Self::split(rest) {
            is_allowed &= !literal.contains(['{', '}']) && allowed.contains(&placeholder);
            rest = after;
        }
        if is_allowed && !rest.contains(['{', '}']) {
            return Ok(());
        }
        let names: Vec<&str> = allowed.iter().map(|placeholder| placeholder.as_str()).collect();
        let names =
            if names.is_empty() { "not allowed there".to_owned() } else { names.join(", ") };
        Err(Invalid::new(property, format!("is `{text}`; the placeholders are {names}")))
    }
}

/// What the placeholders stand for, for one source bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceValues<'a> {
    pub(super) bucket: &'a BucketName,
    pub(super) region: &'a Region,
    pub(super) account: &'a Account,
    pub(super) destination_account: &'a Account,
    pub(super) destination_region: &'a Region,
}

impl SourceValues<'_> {
    /// The text with the values in place of the placeholders.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((literal, placeholder, after)) = Placeholder::split(rest) {
            filled.push_str(literal);
            filled.push_str(match placeholder {
                Placeholder::Bucket => self.bucket.as_str(),
                Placeholder::BucketPrefix => self.bucket_prefix(),
                Placeholder::Account => self.account.as_str(),
                Placeholder::Region => self.region.as_str(),
                Placeholder::DestinationAccount => self.destination_account.as_str(),
                Placeholder::DestinationRegion => self.destination_region.as_str(),
            });
            rest = after;
        }
        filled + rest
    }

    fn bucket_prefix(&self) -> &str {
        let suffix = account_regional_suffix(self.account, self.region.as_str());
        let name = self.bucket.as_str();
        name.strip_suffix(&suffix).filter(|prefix| !prefix.is_empty()).unwrap_or(name)
    }
}

/// The end of the names in an account-regional namespace.
pub(super) fn account_regional_suffix(account: &Account, region: &str) -> String {
    format!("-{account}-{region}-an")
}
