//! The condition keys of requests and policies.

use super::kinds::Kind;
use crate::evaluator::case::{ROLE, USER};

/// A condition key: the values that requests have, the operators that suit it, and the values that policies demand.
#[derive(Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub values: &'static [&'static str],
    pub operators: &'static [&'static str],
    pub wanted: &'static [&'static str],
}

pub const KEYS: [Key; 12] = [
    Key {
        name: "aws:SourceIp",
        values: &["203.0.113.9", "198.51.100.1", "2001:db8::1"],
        operators: &["IpAddress", "NotIpAddress"],
        wanted: &[
            "203.0.113.0/24",
            "203.0.113.9",
            "198.51.100.0/25",
            "2001:db8::/32",
            "0.0.0.0/0",
            "203.0.113.9/32",
        ],
    },
    Key {
        name: "aws:SourceVpce",
        values: &["vpce-1", "vpce-22"],
        operators: &STRINGS,
        wanted: &["vpce-1", "VPCE-1", "vpce-*", "vpce-??", "${aws:PrincipalTag/team}", "*"],
    },
    Key {
        name: "aws:CurrentTime",
        values: &["2026-06-01T00:00:00Z", "2026-06-01T12:30:00Z"],
        operators: &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        wanted: &[
            "2026-06-01T00:00:00Z",
            "2026-06-01",
            "2026-06-01T02:00:00+02:00",
            "2027-01-01T00:00:00Z",
            "2025-01",
            "2026-06-01T12:30:00.5Z",
        ],
    },
    Key {
        name: "aws:MultiFactorAuthAge",
        values: &["0", "3600", "7200"],
        operators: &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        wanted: &["3600", "3600.0", "7199.5", "0", "-1"],
    },
    Key {
        name: "aws:SecureTransport",
        values: &["true", "false"],
        operators: &["Bool", "StringEquals"],
        wanted: &["true", "false", "True"],
    },
    Key {
        name: "aws:PrincipalTag/bytes",
        values: &["QmFzZTY0", "QUJD"],
        operators: &["BinaryEquals"],
        wanted: &["QmFzZTY0", "QUJDRA=="],
    },
    Key {
        name: "aws:PrincipalArn",
        values: &[],
        operators: &[
            "ArnEquals",
            "ArnLike",
            "ArnNotEquals",
            "ArnNotLike",
            "StringLike",
            "StringEquals",
        ],
        wanted: &[
            ROLE,
            USER,
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::*:*/alice",
            "arn:aws:iam::444455556666:role/*",
        ],
    },
    Key {
        name: "aws:SourceArn",
        values: &["arn:aws:s3:::source", "arn:aws:s3:::other"],
        operators: &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        wanted: &[
            "arn:aws:s3:::source",
            "arn:aws:s3:::s*",
            "arn:aws:s3:*:*:*",
            "arn:aws:s3:::o?her",
        ],
    },
    Key {
        name: "aws:PrincipalTag/team",
        values: &["red", "a", "vpce-1"],
        operators: &STRINGS,
        wanted: &[
            "red",
            "RED",
            "r*",
            "${aws:SourceVpce}",
            "${aws:PrincipalTag/team}",
            "${*}",
            "?",
            "${aws:SourceVpce, 'red'}",
        ],
    },
    Key {
        name: "aws:PrincipalOrgID",
        values: &["o-1a2b3c"],
        operators: &STRINGS,
        wanted: &["o-1a2b3c", "o-other", "O-1A2B3C", "o-*"],
    },
    Key {
        name: "aws:PrincipalOrgPaths",
        values: &["o-1/r-1/ou-1/", "o-1/r-1/ou-2/", "o-2/r-9/"],
        operators: &STRINGS,
        wanted: &["o-1/r-1/ou-1/", "o-1/*", "o-2/*", "*"],
    },
    Key {
        name: "aws:CalledVia",
        values: &["athena.amazonaws.com", "cloudformation.amazonaws.com"],
        operators: &STRINGS,
        wanted: &["athena.amazonaws.com", "cloud*", "Athena.amazonaws.com"],
    },
];

const STRINGS: [&str; 6] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];

/// The condition keys that only requests of one kind have.
const OWN_KEYS: [(Kind, Key); 3] = [
    (
        Kind::Key,
        Key {
            name: "kms:ViaService",
            values: &["s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"],
            operators: &STRINGS,
            wanted: &["s3.us-east-1.amazonaws.com", "s3.*"],
        },
    ),
    (
        Kind::Key,
        Key {
            name: "kms:EncryptionContext:aws:s3:arn",
            values: &["arn:aws:s3:::source", "arn:aws:s3:::source/a/b.txt"],
            operators: &STRINGS,
            wanted: &["arn:aws:s3:::source", "arn:aws:s3:::source/*", "arn:aws:s3:::source*"],
        },
    ),
    (
        Kind::Object,
        Key {
            name: "s3:x-amz-server-side-encryption",
            values: &["aws:kms", "AES256"],
            operators: &STRINGS,
            wanted: &["aws:kms", "AES256", "aws:*"],
        },
    ),
];

pub const MULTIVALUED: [&str; 2] = ["aws:PrincipalOrgPaths", "aws:CalledVia"];

pub fn own_keys(kind: Kind) -> Vec<Key> {
    OWN_KEYS.into_iter().filter(|(of, _)| *of == kind).map(|(_, key)| key).collect()
}
