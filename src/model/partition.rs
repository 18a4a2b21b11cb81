//! AWS partitions.
//!
//! It owns the table of AWS's partitions. A partition that the table does not have is named by the function's environment.

use std::fmt;

use super::Region;

/// An AWS partition, which determines the second part of every ARN and the suffix of service host names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Partition {
    /// The standard Regions.
    #[default]
    Aws,
    /// China.
    AwsCn,
    /// AWS GovCloud (US).
    AwsUsGov,
    /// AWS European Sovereign Cloud.
    AwsEusc,
    /// AWS Top Secret.
    AwsIso,
    /// AWS Secret.
    AwsIsoB,
    /// AWS ISOE (Europe).
    AwsIsoE,
    /// AWS ISOF.
    AwsIsoF,
    /// A partition that the table does not have.
    Other(OtherPartition),
}

/// A partition that is newer than this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherPartition {
    name: &'static str,
    dns_suffix: &'static str,
}

/// What is known of a partition.
struct Entry {
    partition: Partition,
    name: &'static str,
    dns_suffix: &'static str,
    /// How the codes of its Regions begin. Empty for the standard Regions: all other codes are theirs.
    region_prefixes: &'static [&'static str],
}

/// The partitions in `partitions.json` of botocore.
static TABLE: [Entry; 8] = [
    Entry {
        partition: Partition::Aws,
        name: "aws",
        dns_suffix: "amazonaws.com",
        region_prefixes: &[],
    },
    Entry {
        partition: Partition::AwsCn,
        name: "aws-cn",
        dns_suffix: "amazonaws.com.cn",
        region_prefixes: &["cn-"],
    },
    Entry {
        partition: Partition::AwsUsGov,
        name: "aws-us-gov",
        dns_suffix: "amazonaws.com",
        region_prefixes: &["us-gov-"],
    },
    Entry {
        partition: Partition::AwsEusc,
        name: "aws-eusc",
        dns_suffix: "amazonaws.eu",
        region_prefixes: &["eusc-"],
    },
    Entry {
        partition: Partition::AwsIso,
        name: "aws-iso",
        dns_suffix: "c2s.ic.gov",
        region_prefixes: &["us-iso-"],
    },
    Entry {
        partition: Partition::AwsIsoB,
        name: "aws-iso-b",
        dns_suffix: "sc2s.sgov.gov",
        region_prefixes: &["us-isob-"],
    },
    Entry {
        partition: Partition::AwsIsoE,
        name: "aws-iso-e",
        dns_suffix: "cloud.adc-e.uk",
        region_prefixes: &["eu-isoe-"],
    },
    Entry {
        partition: Partition::AwsIsoF,
        name: "aws-iso-f",
        dns_suffix: "csp.hci.ic.gov",
        region_prefixes: &["us-isof-", "eu-isof-"],
    },
];

impl Partition {
    /// The partitions of the table.
    pub fn known() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.partition)
    }

    /// A partition that the table may not have. Its texts are kept until the program ends, so this is for the environment, which is read once.
    pub fn with_suffix(name: String, dns_suffix: String) -> Self {
        Self::parse(&name).unwrap_or_else(|_| {
            Self::Other(OtherPartition { name: name.leak(), dns_suffix: dns_suffix.leak() })
        })
    }

    /// The partition's name in an ARN.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other(other) => other.name,
            known => known.entry().map_or("aws", |entry| entry.name),
        }
    }

    /// Suffix of the partition's service host names, as in `kms:ViaService`.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Other(other) => other.dns_suffix,
            known => known.entry().map_or("amazonaws.com", |entry| entry.dns_suffix),
        }
    }

    fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.partition == self)
    }

    /// Finds a partition of the table by its name in an ARN.
    ///
    /// # Errors
    /// The rest of a sentence, if the table does not have the partition.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::known().find(|partition| partition.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::known().map(Self::as_str).collect();
            format!("is of the partition `{text}`; known are {}", known.join(", "))
        })
    }

    /// The partition of a Region. A Region that no other partition has is one of the standard Regions.
    pub fn of_region(region: &Region) -> Self {
        let code = region.as_str();
        let has =
            |entry: &&Entry| entry.region_prefixes.iter().any(|prefix| code.starts_with(prefix));
        TABLE.iter().find(has).map_or(Self::Aws, |entry| entry.partition)
    }

    /// Checks that a text can be a partition's name in an ARN. The table need not have it.
    ///
    /// # Errors
    /// The rest of a sentence, if it cannot.
    pub fn check_name(text: &str) -> Result<(), String> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let well_formed = text == "aws"
            || text
                .strip_prefix("aws-")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed));
        if well_formed {
            Ok(())
        } else {
            Err(format!("is of the partition `{text}`; a partition is named like aws or aws-cn"))
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_of_aws_has_its_name_suffix_and_regions() {
        let cases = [
            ("aws", "amazonaws.com", "us-east-1"),
            ("aws", "amazonaws.com", "mx-central-1"),
            ("aws", "amazonaws.com", "us-west-2"),
            ("aws-cn", "amazonaws.com.cn", "cn-northwest-1"),
            ("aws-us-gov", "amazonaws.com", "us-gov-west-1"),
            ("aws-eusc", "amazonaws.eu", "eusc-de-east-1"),
            ("aws-iso", "c2s.ic.gov", "us-iso-east-1"),
            ("aws-iso-b", "sc2s.sgov.gov", "us-isob-east-1"),
            ("aws-iso-e", "cloud.adc-e.uk", "eu-isoe-west-1"),
            ("aws-iso-f", "csp.hci.ic.gov", "us-isof-south-1"),
        ];
        for (name, suffix, region) in cases {
            let partition = Partition::parse(name).unwrap();
            assert_eq!((partition.as_str(), partition.dns_suffix()), (name, suffix));
            assert_eq!(
                Partition::of_region(&Region::parse(region).unwrap()),
                partition,
                "{region}"
            );
        }
        assert_eq!(Partition::known().count(), 8);
    }

    #[test]
    fn a_partition_that_the_table_lacks_has_the_suffix_that_it_is_given() {
        let partition =
            |name: &str| Partition::with_suffix(name.to_owned(), "example.org".to_owned());
        assert_eq!(partition("aws-new").to_string(), "aws-new");
        assert_eq!(partition("aws-new").dns_suffix(), "example.org");
        assert_eq!(partition("aws-cn"), Partition::AwsCn);
        for bad in ["", "aws-", "AWS", "aws_cn", "gcp"] {
            assert!(Partition::check_name(bad).is_err(), "{bad}");
        }
    }
}
