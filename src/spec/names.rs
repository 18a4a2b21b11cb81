//! AWS's names as types: each is checked once, where it enters, and trusted from there on. Those that this program gives are in [`given`].
//!
//! A `parse` that fails returns the rest of a sentence whose subject is the property that held the value: "is `x`; …".

use std::fmt;

/// An AWS partition: it decides the first part of every ARN and the suffix of service host names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The standard Regions.
    Aws,
    /// China.
    AwsCn,
    /// AWS GovCloud (US).
    AwsUsGov,
}

impl Partition {
    const ALL: [Self; 3] = [Self::Aws, Self::AwsCn, Self::AwsUsGov];

    /// As written in an ARN.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// Suffix of the partition's service host names, as `kms:ViaService` holds it.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
        }
    }

    /// Reads a partition as written in an ARN.
    ///
    /// # Errors
    /// The rest of a sentence, when this program does not know the partition.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|partition| partition.as_str() == text)
            .ok_or_else(|| format!("is of the partition `{text}`; supported are aws, aws-cn, aws-us-gov"))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The name as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

mod given;

pub(crate) use given::hash;
pub use given::{PolicyName, RoleName, RuleAddress, RuleId};

/// A Region's code, such as `us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);
text_newtype!(Region);

impl Region {
    /// Reads a Region's code.
    ///
    /// # Errors
    /// The rest of a sentence, when the text has not the form of a Region's code.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let number = parts.next_back().unwrap_or_default();
        let words: Vec<&str> = parts.collect();
        let well_formed = words.len() >= 2
            && words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(format!("is `{text}`; a Region's code looks like us-east-1")) }
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
    /// The rest of a sentence, when the text is not twelve digits.
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

/// Endings that S3 keeps for access points, directory buckets and table buckets.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl BucketName {
    /// Reads a bucket's name.
    ///
    /// # Errors
    /// The rest of a sentence, when the text is no name of a general purpose bucket.
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
            return Err(format!("is `{text}`; a bucket's name has no two dots in a row and is no IP address"));
        }
        if let Some(suffix) = RESERVED_SUFFIXES.into_iter().find(|suffix| text.ends_with(suffix)) {
            return Err(format!("is `{text}`; names that end with `{suffix}` are reserved by S3 and are no general purpose buckets"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads a bucket's name or its ARN.
    ///
    /// # Errors
    /// As [`BucketName::parse`], also for an ARN of something else.
    pub fn parse_name_or_arn(text: &str) -> Result<Self, String> {
        if !text.starts_with("arn:") {
            return Self::parse(text);
        }
        match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            [_, partition, "s3", "", "", name] => {
                Partition::parse(partition)?;
                Self::parse(name)
            }
            _ => Err(format!("is `{text}`; a bucket's ARN looks like arn:aws:s3:::name")),
        }
    }

    /// The bucket's ARN.
    pub fn arn(&self, partition: Partition) -> String {
        format!("arn:{partition}:s3:::{self}")
    }
}

/// A key ARN or alias ARN, as a caller gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyReference {
    arn: String,
    partition: Partition,
    region: Region,
    account: Account,
}

impl KeyReference {
    /// Reads a key's or an alias's ARN.
    ///
    /// # Errors
    /// The rest of a sentence, when the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "is `{text}`; a KMS key is named by its ARN, such as arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \
                 or arn:aws:kms:us-west-2:111122223333:alias/name"
            )
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts.as_slice() else { return Err(malformed()) };
        let partition = Partition::parse(partition)?;
        let region = Region::parse(region)?;
        let account = Account::parse(account)?;
        let named =
            |name: &str, extra: &[u8]| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte));
        let well_formed = match resource.split_once('/') {
            Some(("key", id)) => named(id, b"-"),
            Some(("alias", name)) => named(name, b"-_/"),
            _ => false,
        };
        if well_formed { Ok(Self { arn: text.to_owned(), partition, region, account }) } else { Err(malformed()) }
    }

    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The partition that the ARN names.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The Region that the ARN names.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The account that the ARN names.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether this is an alias that AWS reserves for its own keys.
    pub fn is_aws_managed_alias(&self) -> bool {
        self.arn.contains(":alias/aws/")
    }
}

impl fmt::Display for KeyReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.arn)
    }
}

/// The ARN of an IAM role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleArn {
    arn: String,
    partition: Partition,
    account: Account,
}

impl RoleArn {
    /// Reads a role's ARN.
    ///
    /// # Errors
    /// The rest of a sentence, when the text is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || format!("is `{text}`; a role is named by its ARN, such as arn:aws:iam::111122223333:role/name");
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return Err(malformed()) };
        let partition = Partition::parse(partition)?;
        let account = Account::parse(account)?;
        let path_and_name = resource.strip_prefix("role/").ok_or_else(malformed)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let well_formed = path_and_name.len() <= 512 && path_and_name.split('/').all(|part| !part.is_empty() && part.bytes().all(allowed));
        if well_formed { Ok(Self { arn: text.to_owned(), partition, account }) } else { Err(malformed()) }
    }

    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The partition that the ARN names.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The account that the ARN names.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.arn)
    }
}

/// The ARN of an SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    arn: String,
    region: Region,
}

impl TopicArn {
    /// Reads a topic's ARN.
    ///
    /// # Errors
    /// The rest of a sentence, when it is none, or of a FIFO topic, which no alarm can tell.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("is `{text}`; a standard SNS topic is named by its ARN, such as arn:aws:sns:us-east-1:111122223333:alarms");
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else { return Err(malformed()) };
        Partition::parse(partition)?;
        let region = Region::parse(region)?;
        Account::parse(account)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let well_formed = (1..=256).contains(&name.len()) && name.bytes().all(allowed);
        if well_formed { Ok(Self { arn: text.to_owned(), region }) } else { Err(malformed()) }
    }

    /// The Region that the ARN names.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.arn)
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
        for bad in ["", "ab", "Abc", "a_b_c", "-abc", "abc-", "a..b", "192.168.5.4", "x--x-s3", "x-s3alias", "t--table-s3", &"a".repeat(64)]
        {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bucket_is_named_by_its_arn_too() {
        assert_eq!(BucketName::parse_name_or_arn("arn:aws-cn:s3:::abc"), BucketName::parse("abc"));
        for bad in [
            "arn:aws:s3:::",
            "arn:aws:s3:us-east-1:111122223333:accesspoint/a",
            "arn:aws-x:s3:::abc",
            "arn:aws:sqs:::abc",
            "arn:aws:s3:::a/b",
        ] {
            assert!(BucketName::parse_name_or_arn(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_regions_code_is_words_and_a_number() {
        for good in ["us-east-1", "us-gov-west-1", "ap-southeast-12"] {
            assert!(Region::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "1", "east-1", "us-east", "us-east-", "us--1", "-east-1", "us-1-1", "US-east-1", "us-EAST-1", "us-east-1a", "us_east_1"]
        {
            assert!(Region::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_named_by_key_or_alias_arn() {
        for good in ["arn:aws:kms:us-west-2:111122223333:key/mrk-12", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b"] {
            assert!(KeyReference::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "1234abcd",
            "alias/x",
            "arn:aws:kms:us-west-2:111122223333:key/",
            "arn:aws:kms:us-west-2:1111:key/a",
            "arn:aws:kms:nowhere:111122223333:key/a",
            "arn:aws:kms:us-west-2:111122223333:alias/*",
            "arn:aws:s3:us-west-2:111122223333:key/a",
        ] {
            assert!(KeyReference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn roles_are_named_by_their_arn() {
        for good in ["arn:aws:iam::111122223333:role/name", "arn:aws-cn:iam::111122223333:role/a/path/name"] {
            assert_eq!(RoleArn::parse(good).unwrap().account().as_str(), "111122223333", "{good}");
        }
        for bad in [
            "name",
            "arn:aws:iam::111122223333:user/name",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a//name",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::1111:role/name",
            "arn:aws:sts::111122223333:assumed-role/name/session",
        ] {
            assert!(RoleArn::parse(bad).is_err(), "{bad}");
        }
    }
}
