//! Made-up cases, the same ones for the same seed.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::case::{ACCOUNT, Case, OTHER_ACCOUNT, OneOrMany, ROLE, SERVICE, SESSION, USER};

pub struct Generator {
    random: Rng,
}

/// The kinds of requests, which differ in the resource and in the layers that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Bucket,
    Key,
    Trust,
}

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

impl Kind {
    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Object => &["s3:GetObject", "s3:ReplicateObject", "s3:PutObject"],
            Self::Bucket => &["s3:ListBucket", "s3:GetReplicationConfiguration"],
            Self::Key => &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            Self::Trust => &["sts:AssumeRole"],
        }
    }

    fn action_patterns(self) -> &'static [&'static str] {
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

    fn resources(self) -> &'static [&'static str] {
        match self {
            Self::Object => &["arn:aws:s3:::source/a/b.txt", "arn:aws:s3:::source/red/1:2"],
            Self::Bucket => &["arn:aws:s3:::source", "arn:aws:s3:::destination"],
            Self::Key => &[KEY],
            Self::Trust => &[ROLE],
        }
    }

    fn resource_patterns(self) -> &'static [&'static str] {
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
                KEY,
                "arn:aws:kms:*:111122223333:key/*",
                "arn:aws:kms:us-east-1:111122223333:alias/*",
                "arn:aws:kms:us-east-?:*:key/1234*",
                "arn:aws:kms:eu-west-1:111122223333:key/*",
            ],
            Self::Trust => &[ROLE],
        }
    }
}

/// Condition keys with values, operators that suit them, and what policies demand of them.
const CONDITIONS: [(&str, &[&str], &[&str], &[&str]); 12] = [
    (
        "aws:SourceIp",
        &["203.0.113.9", "198.51.100.1", "2001:db8::1"],
        &["IpAddress", "NotIpAddress"],
        &[
            "203.0.113.0/24",
            "203.0.113.9",
            "198.51.100.0/25",
            "2001:db8::/32",
            "0.0.0.0/0",
            "203.0.113.9/32",
        ],
    ),
    (
        "aws:SourceVpce",
        &["vpce-1", "vpce-22"],
        &STRINGS,
        &["vpce-1", "VPCE-1", "vpce-*", "vpce-??", "${aws:PrincipalTag/team}", "*"],
    ),
    (
        "aws:CurrentTime",
        &["2026-06-01T00:00:00Z", "2026-06-01T12:30:00Z"],
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &[
            "2026-06-01T00:00:00Z",
            "2026-06-01",
            "2026-06-01T02:00:00+02:00",
            "2027-01-01T00:00:00Z",
            "2025-01",
            "2026-06-01T12:30:00.5Z",
        ],
    ),
    (
        "aws:MultiFactorAuthAge",
        &["0", "3600", "7200"],
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["3600", "3600.0", "7199.5", "0", "-1"],
    ),
    (
        "aws:SecureTransport",
        &["true", "false"],
        &["Bool", "StringEquals"],
        &["true", "false", "True"],
    ),
    ("aws:PrincipalTag/bytes", &["QmFzZTY0", "QUJD"], &["BinaryEquals"], &["QmFzZTY0", "QUJDRA=="]),
    (
        "aws:PrincipalArn",
        &[],
        &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringEquals"],
        &[
            ROLE,
            USER,
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::*:*/alice",
            "arn:aws:iam::444455556666:role/*",
        ],
    ),
    (
        "aws:SourceArn",
        &["arn:aws:s3:::source", "arn:aws:s3:::other"],
        &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        &["arn:aws:s3:::source", "arn:aws:s3:::s*", "arn:aws:s3:*:*:*", "arn:aws:s3:::o?her"],
    ),
    (
        "aws:PrincipalTag/team",
        &["red", "a", "vpce-1"],
        &STRINGS,
        &[
            "red",
            "RED",
            "r*",
            "${aws:SourceVpce}",
            "${aws:PrincipalTag/team}",
            "${*}",
            "?",
            "${aws:SourceVpce, 'red'}",
        ],
    ),
    ("aws:PrincipalOrgID", &["o-1a2b3c"], &STRINGS, &["o-1a2b3c", "o-other", "O-1A2B3C", "o-*"]),
    (
        "aws:PrincipalOrgPaths",
        &["o-1/r-1/ou-1/", "o-1/r-1/ou-2/", "o-2/r-9/"],
        &STRINGS,
        &["o-1/r-1/ou-1/", "o-1/*", "o-2/*", "*"],
    ),
    (
        "aws:CalledVia",
        &["athena.amazonaws.com", "cloudformation.amazonaws.com"],
        &STRINGS,
        &["athena.amazonaws.com", "cloud*", "Athena.amazonaws.com"],
    ),
];

const STRINGS: [&str; 6] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];

/// Condition keys that only S3 or only KMS has.
const SERVICE_CONDITIONS: [(Kind, &str, &[&str], &[&str]); 3] = [
    (
        Kind::Key,
        "kms:ViaService",
        &["s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"],
        &["s3.us-east-1.amazonaws.com", "s3.*"],
    ),
    (
        Kind::Key,
        "kms:EncryptionContext:aws:s3:arn",
        &["arn:aws:s3:::source", "arn:aws:s3:::source/a/b.txt"],
        &["arn:aws:s3:::source", "arn:aws:s3:::source/*", "arn:aws:s3:::source*"],
    ),
    (
        Kind::Object,
        "s3:x-amz-server-side-encryption",
        &["aws:kms", "AES256"],
        &["aws:kms", "AES256", "aws:*"],
    ),
];

const MULTIVALUED: [&str; 2] = ["aws:PrincipalOrgPaths", "aws:CalledVia"];

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.usize(..of.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(..100) < percent
    }

    pub fn case(&mut self) -> Case {
        let kinds = [Kind::Object, Kind::Object, Kind::Bucket, Kind::Key, Kind::Key, Kind::Trust];
        let kind = self.one(&kinds);
        let principal = match kind {
            Kind::Trust => SERVICE,
            Kind::Object | Kind::Bucket | Kind::Key => self.one(&[SESSION, SESSION, SESSION, USER]),
        };
        let is_service = principal == SERVICE;
        let account = if is_service || self.chance(70) { ACCOUNT } else { OTHER_ACCOUNT };
        let identity = if is_service { 0 } else { self.random.usize(1..3) };
        let needs_policy = matches!(kind, Kind::Key | Kind::Trust) || account == OTHER_ACCOUNT;
        let has_policy = needs_policy || self.chance(60);
        let has_boundary = !is_service && self.chance(30);
        let action = self.one(kind.actions());
        Case {
            name: None,
            principal: principal.to_owned(),
            action: action.to_owned(),
            resource: self.one(kind.resources()).to_owned(),
            account: account.to_owned(),
            context: self.context(kind, principal, action, account),
            unknown: BTreeSet::new(),
            identity: (0..identity).map(|_| self.policy(kind, false)).collect(),
            boundary: has_boundary.then(|| self.policy(kind, false)),
            resource_policy: has_policy.then(|| self.policy(kind, true)),
        }
    }

    fn context(
        &mut self,
        kind: Kind,
        principal: &str,
        action: &str,
        account: &str,
    ) -> BTreeMap<String, OneOrMany> {
        let mut context = BTreeMap::new();
        let mut put = |key: &str, value: OneOrMany| context.insert(key.to_owned(), value);
        let arn = match principal {
            SESSION => Some(ROLE),
            USER => Some(USER),
            _ => None,
        };
        if let Some(arn) = arn {
            put("aws:PrincipalArn", OneOrMany::One(arn.to_owned()));
            put("aws:PrincipalAccount", OneOrMany::One(ACCOUNT.to_owned()));
        }
        put("aws:PrincipalIsAWSService", OneOrMany::One(arn.is_none().to_string()));
        put("aws:ResourceAccount", OneOrMany::One(account.to_owned()));
        let common = CONDITIONS.iter().map(|(key, values, _, _)| (*key, *values));
        let is_read = action == "s3:GetObject";
        let own = SERVICE_CONDITIONS.iter().filter(|(of, ..)| *of == kind && !is_read);
        let keys: Vec<_> = common.chain(own.map(|(_, key, values, _)| (*key, *values))).collect();
        for (key, values) in keys {
            if values.is_empty() || self.chance(30) {
                continue;
            }
            let value = if MULTIVALUED.contains(&key) {
                let rest = self.random.usize(2..=values.len());
                OneOrMany::Many(values[..rest].iter().map(|&value| value.to_owned()).collect())
            } else {
                OneOrMany::One(self.one(values).to_owned())
            };
            put(key, value);
        }
        context
    }

    fn policy(&mut self, kind: Kind, has_principal: bool) -> Value {
        let count = self.random.usize(1..4);
        let statements: Vec<Value> =
            (0..count).map(|_| self.statement(kind, has_principal)).collect();
        let version = if self.chance(95) { "2012-10-17" } else { "2008-10-17" };
        let statement =
            if count == 1 && self.chance(50) { statements[0].clone() } else { json!(statements) };
        json!({"Version": version, "Statement": statement})
    }

    fn statement(&mut self, kind: Kind, has_principal: bool) -> Value {
        let is_deny = self.chance(20);
        let mut statement = Map::new();
        statement.insert("Effect".to_owned(), json!(if is_deny { "Deny" } else { "Allow" }));
        let not = |negated: bool, name: &str| format!("{}{name}", if negated { "Not" } else { "" });
        if has_principal {
            // AWS advises against an Allow with `NotPrincipal`, and IAM refuses it in trust policies.
            let negated = is_deny && kind != Kind::Trust && self.chance(20);
            statement.insert(not(negated, "Principal"), self.principal(kind, negated));
        }
        let negated = self.chance(10);
        let everything = !negated && self.chance(10);
        let actions = if everything { vec!["*"] } else { self.some(kind.action_patterns()) };
        statement.insert(not(negated, "Action"), json!(actions));
        if kind != Kind::Trust {
            let negated = self.chance(10);
            let everything = !negated && self.chance(25);
            let resources =
                if everything { vec!["*"] } else { self.some(kind.resource_patterns()) };
            statement.insert(not(negated, "Resource"), json!(resources));
        }
        let mut conditions = self.conditions(kind);
        // A boundary does not limit what is given to everyone, though to one role's ARN only.
        if statement.get("Principal").is_some_and(|principal| *principal == "*") && self.chance(50)
        {
            conditions
                .entry("ArnEquals".to_owned())
                .or_default()
                .insert("aws:PrincipalArn".to_owned(), json!([ROLE, USER]));
        }
        if !conditions.is_empty() {
            statement.insert("Condition".to_owned(), json!(conditions));
        }
        Value::Object(statement)
    }

    fn principal(&mut self, kind: Kind, negated: bool) -> Value {
        let others = [
            ROLE,
            SESSION,
            USER,
            ACCOUNT,
            "arn:aws:iam::111122223333:root",
            OTHER_ACCOUNT,
            "arn:aws:iam::111122223333:role/other",
        ];
        match (kind, self.random.u8(..10)) {
            (Kind::Trust, 0..8) => {
                json!({"Service": self.some(&[SERVICE, "batchoperations.s3.amazonaws.com"])})
            }
            (_, 0..2) if !negated => json!("*"),
            (_, 2) if !negated => json!({"AWS": "*"}),
            (_, 3) => json!({"AWS": self.some(&others), "Service": SERVICE}),
            _ => json!({"AWS": self.some(&others)}),
        }
    }

    /// One to three values.
    fn some(&mut self, of: &[&'static str]) -> Vec<&'static str> {
        let count = self.random.usize(1..=3.min(of.len()));
        self.random.choose_multiple(of.iter().copied(), count)
    }

    fn conditions(&mut self, kind: Kind) -> BTreeMap<String, BTreeMap<String, Value>> {
        let mut conditions: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        let count = self.one(&[0, 0, 1, 1, 2, 3]);
        for _ in 0..count {
            let (key, operators, values) = self.conditioned_key(kind);
            let (operator, values) = if self.chance(15) {
                ("Null".to_owned(), vec![self.one(&["true", "false"])])
            } else {
                (self.operator(key, operators), self.some(values))
            };
            conditions.entry(operator).or_default().insert(key.to_owned(), json!(values));
        }
        conditions
    }

    fn conditioned_key(
        &mut self,
        kind: Kind,
    ) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
        let own: Vec<_> = SERVICE_CONDITIONS.iter().filter(|(of, ..)| *of == kind).collect();
        if !own.is_empty() && self.chance(30) {
            let (_, key, _, values) = self.one(&own);
            return (key, &STRINGS, values);
        }
        let (key, _, operators, values) = self.one(&CONDITIONS);
        (key, operators, values)
    }

    fn operator(&mut self, key: &str, operators: &[&str]) -> String {
        let set = match (MULTIVALUED.contains(&key), self.random.u8(..10)) {
            (true, 0..5) | (false, 0) => "ForAllValues:",
            (true, 5..9) | (false, 1) => "ForAnyValue:",
            _ => "",
        };
        let if_exists = if self.chance(20) { "IfExists" } else { "" };
        format!("{set}{}{if_exists}", self.one(operators))
    }
}
