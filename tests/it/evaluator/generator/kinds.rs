//! The kinds of requests: actions and resources of each, and the patterns by which policies name them.

use crate::evaluator::case::ROLE;

/// The kinds of requests, which differ in the resource and in the layers that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object,
    Bucket,
    Key,
    Trust,
}

const KEY_ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

impl Kind {
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Object => &["s3:GetObject", "s3:ReplicateObject", "s3:PutObject"],
            Self::Bucket => &["s3:ListBucket", "s3:GetReplicationConfiguration"],
            Self::Key => &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            Self::Trust => &["sts:AssumeRole"],
        }
    }

    pub fn action_patterns(self) -> &'static [&'static str] {
        match self {
            Self::Object => &[
                "s3:Get*",
                "s3:*Object",
                "s3:PutObject",
                "s3:ReplicateObject",
                "s3:getobject",
                "s3:*",
                "s3:???Object",
            ],
            Self::Bucket => {
                &["s3:List*", "s3:*Bucket", "s3:GetReplication*", "s3:*", "s3:GetObject"]
            }
            Self::Key => {
                &["kms:Decrypt", "kms:*crypt", "kms:Generate*", "kms:*", "kms:?ncrypt", "s3:*"]
            }
            Self::Trust => &["sts:AssumeRole", "sts:*", "sts:Assume*", "sts:TagSession"],
        }
    }

    pub fn resources(self) -> &'static [&'static str] {
        match self {
            Self::Object => &["arn:aws:s3:::source/a/b.txt", "arn:aws:s3:::source/red/1:2"],
            Self::Bucket => &["arn:aws:s3:::source", "arn:aws:s3:::destination"],
            Self::Key => &[KEY_ARN],
            Self::Trust => &[ROLE],
        }
    }

    pub fn resource_patterns(self) -> &'static [&'static str] {
        match self {
            Self::Object => &[
                "arn:aws:s3:::source/*",
                "arn:aws:s3:::source/a/?.txt",
                "arn:aws:s3:::*",
                "arn:aws:s3:::source",
                "arn:aws:s3:::s*e/*b*",
                "arn:aws:s3:::source/${aws:PrincipalTag/team}/*",
                "arn:aws:s3:::source/*:*",
                "arn:aws:s3:::source/${aws:PrincipalTag/team, 'a'}/*",
                "arn:aws:s3:::source/a/b.txt",
                "arn:aws:s3:::Source/*",
            ],
            Self::Bucket => &[
                "arn:aws:s3:::source",
                "arn:aws:s3:::source/*",
                "arn:aws:s3:::*",
                "arn:*:s3:::dest*",
                "arn:aws:s3:::sour??",
            ],
            Self::Key => &[
                KEY_ARN,
                "arn:aws:kms:*:111122223333:key/*",
                "arn:aws:kms:us-east-1:111122223333:alias/*",
                "arn:aws:kms:us-east-?:*:key/1234*",
                "arn:aws:kms:eu-west-1:111122223333:key/*",
            ],
            Self::Trust => &[ROLE],
        }
    }
}
