//! AWS partitions.

use std::fmt;

/// An AWS partition, which determines the second part of every ARN and the suffix of service host names.
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

    /// The partition's name in an ARN.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// Suffix of the partition's service host names, as in `kms:ViaService`.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
        }
    }

    /// Reads a partition's name in an ARN.
    ///
    /// # Errors
    /// The rest of a sentence, if the partition is not supported.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == text).ok_or_else(|| {
            format!("is of the partition `{text}`; supported are aws, aws-cn, aws-us-gov")
        })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
