//! The policies of buckets and keys in the destination's account: what the replication role needs there, among the statements of others.
//!
//! The statements follow <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>, "when the source
//! and destination buckets are owned by different accounts", and the page on KMS objects that [`super`] names.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::{EARLIER, ENCRYPT_ACTIONS, Grants, Statement, VERSION, Values, allow, condition};
use crate::model::{Account, Partition};

/// A policy of others, in which some statement can be ours. What is not ours keeps every byte.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    /// `Version` and `Id`, as they were written.
    rest: BTreeMap<String, Box<RawValue>>,
    statements: Vec<Box<RawValue>>,
}

#[derive(serde::Deserialize)]
struct Named {
    #[serde(rename = "Sid")]
    sid: Option<String>,
}

impl ResourcePolicy {
    /// Reads a policy; without a text, one that has no statement yet. `None` when the text is none.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let empty = format!(r#"{{"Version":"{VERSION}","Statement":[]}}"#);
        let mut rest: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text.unwrap_or(&empty)).ok()?;
        let statement = rest.remove("Statement")?;
        // A lone statement may stand without brackets.
        let statements = if statement.get().starts_with('[') {
            serde_json::from_str(statement.get()).ok()?
        } else {
            vec![statement]
        };
        Some(Self { rest, statements })
    }

    /// The statement with this `Sid`, as it was written.
    pub fn statement(&self, sid: &str) -> Option<&str> {
        self.statements
            .iter()
            .find(|statement| has_sid(statement, sid))
            .map(|statement| statement.get())
    }

    /// This policy with `statement`: in the place of the one with its `Sid`, or at the end.
    #[must_use]
    pub fn with(mut self, statement: &Statement) -> Self {
        let Ok(written) = serde_json::value::to_raw_value(statement) else {
            return self;
        };
        let sid = statement.sid.as_deref().unwrap_or_default();
        match self.statements.iter_mut().find(|other| has_sid(other, sid)) {
            Some(place) => *place = written,
            None => self.statements.push(written),
        }
        self
    }

    /// This policy without the statement that has this `Sid`.
    #[must_use]
    pub fn without(mut self, sid: &str) -> Self {
        self.statements.retain(|statement| !has_sid(statement, sid));
        self
    }

    /// Whether it has no statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// The policy as it is sent: JSON.
impl fmt::Display for ResourcePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        self.rest.iter().try_for_each(|(name, value)| write!(formatter, "\"{name}\":{value},"))?;
        let statements: Vec<&str> =
            self.statements.iter().map(|statement| statement.get()).collect();
        write!(formatter, "\"Statement\":[{}]}}", statements.join(","))
    }
}

fn has_sid(statement: &RawValue, sid: &str) -> bool {
    serde_json::from_str(statement.get())
        .is_ok_and(|Named { sid: own }| own.as_deref() == Some(sid))
}

impl Statement {
    /// Its `Sid`.
    pub fn sid(&self) -> &str {
        self.sid.as_deref().unwrap_or_default()
    }

    /// The statement that `text` is, under a `Sid` of its own; `None` when it has a form that none of ours has.
    pub fn earlier(text: &str) -> Option<Self> {
        let statement: Self = serde_json::from_str(text).ok()?;
        Some(Self { sid: Some(format!("{}{EARLIER}", statement.sid())), ..statement })
    }

    /// Whether `text` says the same.
    pub fn is(&self, text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|other: Self| other == *self)
    }

    /// The same for a role that may not exist yet: AWS refuses a principal that does not, but not an account's that is only let in as that role.
    #[must_use]
    pub fn for_future_role(mut self, partition: Partition, account: &Account) -> Self {
        if let Some(role) = self.principal.insert("AWS".to_owned(), root(partition, account)) {
            self.condition.extend(condition("ArnEquals", [("aws:PrincipalArn", role)]));
        }
        self
    }

    /// The statement as lines of path and value; those of a `text` of any form.
    pub(crate) fn lines_of(text: &str) -> Vec<(String, String)> {
        let parsed: Result<Self, _> = serde_json::from_str(text);
        parsed.map_or_else(
            |_| vec![("Statement".to_owned(), text.to_owned())],
            |statement| statement.lines(statement.sid()),
        )
    }
}

/// The statement as it is sent: JSON without white space.
impl fmt::Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// What a rule needs in policies of the destination's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    /// For the policy of the destination bucket.
    pub bucket: Statement,
    /// For the policy of the replica key.
    pub key: Statement,
}

impl Grants<'_> {
    /// What the replication role `role_arn` needs in the destination's account, under this `Sid`. Its own policy, which both accounts' rights have
    /// to pass, confines it to the prefix where this does not.
    pub fn statements(&self, sid: &str, role_arn: &str) -> Statements {
        let bucket = self.destination.bucket.arn(self.partition);
        let replicas = format!("{bucket}/{}", super::plain_key_pattern(self.prefix));
        let principal = BTreeMap::from([("AWS".to_owned(), Values::from([role_arn]))]);
        let mut actions = self.write_actions();
        actions.extend(["s3:GetBucketVersioning", "s3:List*", "s3:PutBucketVersioning"]);
        Statements {
            bucket: Statement {
                principal: principal.clone(),
                ..allow(sid, actions, [bucket.clone(), replicas.clone()])
            },
            key: Statement {
                principal,
                condition: self.through_s3(self.destination.region, bucket, replicas),
                ..allow(sid, ENCRYPT_ACTIONS, ["*".to_owned()])
            },
        }
    }

    /// What `account` needs in order to see whether the destination bucket and the replica key are ready, under this `Sid`.
    pub fn read_access(&self, sid: &str, account: &Account) -> Statements {
        let bucket = self.destination.bucket.arn(self.partition);
        let principal = BTreeMap::from([("AWS".to_owned(), root(self.partition, account))]);
        let read =
            ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket"];
        Statements {
            bucket: Statement { principal: principal.clone(), ..allow(sid, read, [bucket]) },
            key: Statement { principal, ..allow(sid, ["kms:DescribeKey"], ["*".to_owned()]) },
        }
    }
}

fn root(partition: Partition, account: &Account) -> Values {
    Values::from([format!("arn:{partition}:iam::{account}:root")])
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = r#"{"Sid":"Theirs", "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;

    fn ours(action: &'static str) -> Statement {
        allow("Ours", [action], ["*".to_owned()])
    }

    #[test]
    fn statements_of_others_keep_every_byte_and_their_place() {
        for text in [
            format!(
                r#"{{"Version":"2008-10-17","Id":"x","Statement":[{THEIRS},{}]}}"#,
                ours("s3:Get")
            ),
            format!(r#"{{ "Statement": {THEIRS} }}"#),
        ] {
            let policy = ResourcePolicy::parse(Some(&text)).unwrap();
            let with = policy.clone().with(&ours("s3:Put"));
            assert!(ours("s3:Put").is(with.statement("Ours").unwrap()));
            for changed in [with.to_string(), with.without("Ours").to_string()] {
                assert_eq!(changed.matches(THEIRS).count(), 1, "{changed}");
                assert_eq!(
                    ResourcePolicy::parse(Some(&changed)).unwrap().statement("Theirs"),
                    Some(THEIRS)
                );
            }
        }
    }

    #[test]
    fn a_policy_that_only_has_ours_is_empty_without_it() {
        let policy = ResourcePolicy::parse(None).unwrap();
        assert!(policy.is_empty());
        let with = policy.with(&ours("s3:Get"));
        assert!(!with.is_empty() && with.without("Ours").is_empty());
    }

    #[test]
    fn a_statement_is_shown_line_by_line_and_one_of_another_form_as_it_is() {
        let line = |path: &str, value: &str| (path.to_owned(), value.to_owned());
        assert_eq!(
            Statement::lines_of(&ours("s3:Get").to_string()),
            [line("Ours.Allow", "s3:Get"), line("Ours.Resource", "*")]
        );
        assert_eq!(Statement::lines_of("1"), [line("Statement", "1")]);
    }

    #[test]
    fn what_is_no_policy_is_not_read() {
        for text in ["", "[]", "{}", r#"{"Statement":[1"#] {
            assert!(ResourcePolicy::parse(Some(text)).is_none(), "{text}");
        }
    }
}
