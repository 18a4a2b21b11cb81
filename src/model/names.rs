//! Types of AWS names. A name is checked once, when it is read. The names that this program chooses are in `rule_names`.
//!
//! A `parse` that fails returns the rest of a sentence whose subject is the property that held the value: "is `x`; …".

use std::fmt;

use super::Partition;

/// A Region's code, such as `us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);
text_newtype!(Region);

impl Region {
    /// Reads a Region's code.
    ///
    /// # Errors
    /// The rest of a sentence, if the text does not have the form of a Region's code.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let number = parts.next_back().unwrap_or_default();
        let words: Vec<&str> = parts.collect();
        let well_formed = words.len() >= 2
            && words
                .iter()
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("is `{text}`; a Region's code looks like us-east-1"))
        }
    }
}

/// The twelve digits of an AWS account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(String);
text_newtype!(Account);

impl Account {
    /// Reads an account's id.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is not twelve digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("has the account `{text}`; an account's id is 12 digits"))
        }
    }
}

/// The name of a general purpose bucket.
///
/// Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);
text_newtype!(BucketName);

/// Suffixes that S3 reserves for access points, directory buckets and table buckets.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Prefixes of names that S3 reserves: existing buckets may have them, new ones cannot.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Suffix of the names of an account-regional namespace.
const ACCOUNT_REGIONAL_SUFFIX: &str = "-an";

/// The namespace of a new bucket's name.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketNamespace {
    /// One namespace for all accounts of a partition.
    Global,
    /// The namespace of one account in one Region, whose names end with `-<account>-<region>-an`.
    AccountRegional,
}

impl BucketName {
    /// Reads a bucket's name.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is not the name of a general purpose bucket.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; a bucket is named with 3 to 63 characters".to_owned());
        }
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        if !(3..=63).contains(&bytes.len())
            || !bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'.'))
            || !bytes.first().is_some_and(alphanumeric)
            || !bytes.last().is_some_and(alphanumeric)
        {
            return Err(format!(
                "is `{text}`; a bucket's name has 3 to 63 of a-z, 0-9, `-` and `.`, and begins and ends with a letter or digit"
            ));
        }
        if text.contains("..") || text.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(format!(
                "is `{text}`; a bucket's name has no two dots in a row and is no IP address"
            ));
        }
        if let Some(suffix) = RESERVED_SUFFIXES.into_iter().find(|suffix| text.ends_with(suffix)) {
            return Err(format!(
                "is `{text}`; names that end with `{suffix}` are reserved by S3 and are no general purpose buckets"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads a bucket's name or its ARN.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is neither the name nor the ARN of a general purpose bucket.
    pub fn parse_name_or_arn(text: &str) -> Result<Self, String> {
        if !text.starts_with("arn:") {
            return Self::parse(text);
        }
        match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            [_, partition, "s3", "", "", name] => {
                Partition::check_name(partition)?;
                Self::parse(name)
            }
            _ => Err(format!("is `{text}`; a bucket's ARN looks like arn:aws:s3:::name")),
        }
    }

    /// The namespace in which `account` can create a bucket of this name in `region`. An existing bucket may have a name that S3 no longer
    /// gives to new ones.
    ///
    /// # Errors
    /// The rest of a sentence, if S3 refuses to create a bucket of this name.
    pub fn namespace_for_creation(
        &self,
        account: &Account,
        region: &Region,
    ) -> Result<BucketNamespace, String> {
        let name = &self.0;
        if let Some(prefix) = RESERVED_PREFIXES.into_iter().find(|prefix| name.starts_with(prefix))
        {
            return Err(format!(
                "is `{name}`; S3 creates no buckets whose names begin with `{prefix}`"
            ));
        }
        if !name.ends_with(ACCOUNT_REGIONAL_SUFFIX) {
            return Ok(BucketNamespace::Global);
        }
        let suffix = format!("-{account}-{region}{ACCOUNT_REGIONAL_SUFFIX}");
        match name.strip_suffix(&suffix) {
            Some(prefix) if !prefix.is_empty() => Ok(BucketNamespace::AccountRegional),
            Some(_) | None => Err(format!(
                "is `{name}`; account {account} can create a bucket in {region} whose name ends with `{ACCOUNT_REGIONAL_SUFFIX}` only if it ends with `{suffix}`"
            )),
        }
    }

    /// The bucket's ARN.
    pub fn arn(&self, partition: Partition) -> String {
        format!("arn:{partition}:s3:::{self}")
    }
}

/// The name of a bucket that S3 accepted before March 2018, in us-east-1, and accepts no more: with capitals or underscores, or longer than 63
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegacyBucketName(String);
text_newtype!(LegacyBucketName);

impl LegacyBucketName {
    /// Reads a name of that form; `None` for a name that a new bucket can have, and for one that no bucket can have.
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_legacy = (3..=255).contains(&text.len())
            && text.bytes().all(is_allowed)
            && !RESERVED_SUFFIXES.into_iter().any(|suffix| text.ends_with(suffix))
            && BucketName::parse(text).is_err();
        is_legacy.then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_naming_rules() {
        for good in ["abc", "a1-b.c", "prefix-111122223333-us-east-1-an", &"a".repeat(63)] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a_b_c",
            "-abc",
            "abc-",
            "a..b",
            "192.168.5.4",
            "x--x-s3",
            "x-s3alias",
            "t--table-s3",
            &"a".repeat(64),
        ] {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_bucket_has_a_name_of_its_accounts_namespace_or_of_the_global_one() {
        let namespace = |name: &str| {
            let account = Account::parse("111122223333").unwrap();
            let region = Region::parse("us-west-2").unwrap();
            BucketName::parse(name).unwrap().namespace_for_creation(&account, &region).ok()
        };
        for (name, expected) in [
            ("orders", Some(BucketNamespace::Global)),
            ("orders-111122223333-us-west-2", Some(BucketNamespace::Global)),
            ("anan", Some(BucketNamespace::Global)),
            ("orders-111122223333-us-west-2-an", Some(BucketNamespace::AccountRegional)),
            ("a-111122223333-us-west-2-an", Some(BucketNamespace::AccountRegional)),
            ("111122223333-us-west-2-an", None),
            ("orders-111122223333-us-east-1-an", None),
            ("orders-444455556666-us-west-2-an", None),
            ("orders-an", None),
            ("xn--orders", None),
            ("sthree-orders", None),
            ("sthree-configurator", None),
            ("amzn-s3-demo-bucket", None),
            ("amzn-s3-demo-111122223333-us-west-2-an", None),
        ] {
            assert_eq!(namespace(name), expected, "{name}");
        }
    }

    #[test]
    fn a_legacy_name_is_one_that_only_old_buckets_have() {
        for legacy in ["Legacy_Bucket", "ABC", "a_b", &"a".repeat(64), &"A".repeat(255), "-a-"] {
            assert!(LegacyBucketName::parse(legacy).is_some(), "{legacy}");
        }
        for other in ["orders", "", "ab", "a b", "a/b", "é_a", &"A".repeat(256), "A--x-s3"] {
            assert!(LegacyBucketName::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_bucket_can_be_named_by_its_arn() {
        assert_eq!(BucketName::parse_name_or_arn("arn:aws-cn:s3:::abc"), BucketName::parse("abc"));
        for bad in [
            "arn:aws:s3:::",
            "arn:aws:s3:us-east-1:111122223333:accesspoint/a",
            "arn:x:s3:::abc",
            "arn:aws:sqs:::abc",
            "arn:aws:s3:::a/b",
        ] {
            assert!(BucketName::parse_name_or_arn(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_region_code_consists_of_words_and_a_number() {
        for good in ["us-east-1", "us-gov-west-1", "ap-southeast-12"] {
            assert!(Region::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1",
            "east-1",
            "us-east",
            "us-east-",
            "us--1",
            "-east-1",
            "us-1-1",
            "US-east-1",
            "us-EAST-1",
            "us-east-1a",
            "us_east_1",
        ] {
            assert!(Region::parse(bad).is_err(), "{bad}");
        }
    }
}
