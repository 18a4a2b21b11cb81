//! Types of ARNs.
//!
//! A `parse` that fails returns the rest of a sentence whose subject is the property that held the value: "is `x`; …".

use std::fmt;

use super::{Account, Partition, Region};

/// The ARN of a KMS key or of an alias, as the caller wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyReference {
    arn: String,
    region: Region,
    account: Account,
}

impl KeyReference {
    /// Reads the ARN of a key or of an alias.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is no such ARN.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "is `{text}`; a KMS key is named by its ARN, such as arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \
                 or arn:aws:kms:us-west-2:111122223333:alias/name"
            )
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return Err(malformed());
        };
        Partition::check_name(partition)?;
        let region = Region::parse(region)?;
        let account = Account::parse(account)?;
        let named = |name: &str, extra: &[u8]| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
        };
        let well_formed = match resource.split_once('/') {
            Some(("key", id)) => named(id, b"-"),
            Some(("alias", name)) => named(name, b"-_/"),
            _ => false,
        };
        if well_formed {
            Ok(Self { arn: text.to_owned(), region, account })
        } else {
            Err(malformed())
        }
    }

    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The name of the partition in the ARN.
    pub fn partition(&self) -> &str {
        partition_of(&self.arn)
    }

    /// The Region that the ARN names.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The account that the ARN names.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether this is the ARN of an alias.
    pub fn is_alias(&self) -> bool {
        self.arn.contains(":alias/")
    }

    /// Whether this is an alias of a key that AWS manages.
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
    account: Account,
}

impl RoleArn {
    /// Reads a role's ARN.
    ///
    /// # Errors
    /// The rest of a sentence, if the text is no role's ARN.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "is `{text}`; a role is named by its ARN, such as arn:aws:iam::111122223333:role/name"
            )
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return Err(malformed());
        };
        Partition::check_name(partition)?;
        let account = Account::parse(account)?;
        let path_and_name = resource.strip_prefix("role/").ok_or_else(malformed)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let well_formed = path_and_name.len() <= 512
            && path_and_name.split('/').all(|part| !part.is_empty() && part.bytes().all(allowed));
        if well_formed { Ok(Self { arn: text.to_owned(), account }) } else { Err(malformed()) }
    }

    /// The ARN as it was given.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The name of the partition in the ARN.
    pub fn partition(&self) -> &str {
        partition_of(&self.arn)
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

/// The name of the partition in an ARN.
fn partition_of(arn: &str) -> &str {
    arn.split(':').nth(1).unwrap_or_default()
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
    /// The rest of a sentence, if the text is no topic's ARN, or the ARN of a FIFO topic, which alarms cannot notify.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "is `{text}`; a standard SNS topic is named by its ARN, such as arn:aws:sns:us-east-1:111122223333:alarms"
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return Err(malformed());
        };
        Partition::check_name(partition)?;
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
    fn a_key_is_named_by_its_own_or_an_aliass_arn() {
        for good in [
            "arn:aws:kms:us-west-2:111122223333:key/mrk-12",
            "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b",
        ] {
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
    fn a_role_is_named_by_its_arn() {
        for good in
            ["arn:aws:iam::111122223333:role/name", "arn:aws-cn:iam::111122223333:role/a/path/name"]
        {
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
