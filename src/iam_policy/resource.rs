//! The policies of buckets and keys in the destination's account, with the statements that the replication role needs there.
//!
//! It owns the change of our statements among foreign ones. It must not know which resources need a statement. The statements follow <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>, "when the source
//! and destination buckets are owned by different accounts", and the page on KMS objects that [`super`] names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{EARLIER, ENCRYPT_ACTIONS, Grants, Statement, VERSION, Values, allow, condition};
use crate::model::{Account, Partition};

/// The policy of a foreign bucket or key, which may contain our statements. Everything else keeps every byte.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    /// The elements other than `Statement`, as they were written.
    other_elements: BTreeMap<String, Box<RawValue>>,
    statements: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct StatementId {
    #[serde(rename = "Sid")]
    sid: Option<String>,
}

/// Whom a statement allows something.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Grant {
    effect: String,
    principal: Option<Principal>,
    /// In any form that AWS accepts.
    #[serde(default)]
    condition: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Principal {
    Kinds(BTreeMap<String, Values>),
    Everyone(IgnoredAny),
}

impl Grant {
    fn aws_principals(&self) -> Vec<&str> {
        match &self.principal {
            Some(Principal::Kinds(kinds)) => {
                let principals = kinds.get("AWS").into_iter().flat_map(|Values(names)| names);
                principals.map(String::as_str).collect()
            }
            Some(Principal::Everyone(_)) | None => Vec::new(),
        }
    }

    fn is_to_account(&self) -> bool {
        self.effect == "Allow"
            && self.aws_principals().iter().any(|name| is_account(name))
            && !self.is_to_roles_of_account()
    }

    fn is_to_roles(&self) -> bool {
        let principals = self.aws_principals();
        !principals.is_empty() && principals.iter().all(|name| is_role(name))
    }

    /// Whether the statement is to an account, and a condition confines it to roles, as [`Statement::for_future_role`] does.
    fn is_to_roles_of_account(&self) -> bool {
        let principals = self.aws_principals();
        let confined_to = self.condition.get(ROLE_OPERATOR).and_then(|keys| keys.get(ROLE_KEY));
        let confined_to = confined_to.and_then(|roles| Values::deserialize(roles).ok());
        !principals.is_empty()
            && principals.iter().all(|name| is_account(name))
            && confined_to.is_some_and(|Values(roles)| {
                !roles.is_empty() && roles.iter().all(|role| is_role(role))
            })
    }
}

/// The operator and the key of the condition that confines a statement to a role.
const ROLE_OPERATOR: &str = "ArnEquals";
const ROLE_KEY: &str = "aws:PrincipalArn";

fn is_account(principal: &str) -> bool {
    principal.ends_with(":root") || Account::parse(principal).is_ok()
}

/// AWS writes the unique id of a role that no longer exists in place of the role's ARN.
fn is_role(principal: &str) -> bool {
    principal.contains(":role/") || principal.starts_with("AROA")
}

impl ResourcePolicy {
    /// Reads a policy; `None` if the text is no policy. Without a text, the policy has no statements.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let empty = format!(r#"{{"Version":"{VERSION}","Statement":[]}}"#);
        let mut other_elements: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text.unwrap_or(&empty)).ok()?;
        let statement = other_elements.remove("Statement")?;
        // A single statement may be written without brackets.
        let statements = if statement.get().starts_with('[') {
            serde_json::from_str(statement.get()).ok()?
        } else {
            vec![statement]
        };
        Some(Self { other_elements, statements })
    }

    /// The statement with this `Sid`, as it was written.
    pub fn statement(&self, sid: &str) -> Option<&str> {
        self.statements
            .iter()
            .find(|statement| has_sid(statement, sid))
            .map(|statement| statement.get())
    }

    /// This policy with `statement`, which replaces the statement with the same `Sid` or is added at the end.
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

    /// Whether the policy has a statement under another `Sid`.
    pub fn has_other_than(&self, sid: &str) -> bool {
        self.statements.iter().any(|statement| !has_sid(statement, sid))
    }

    /// Whether a statement allows something to a whole account. In a key's policy, such a statement lets the account's own policies give rights on
    /// the key; without it, nobody may be able to change the key's policy again.
    pub fn allows_account_root(&self) -> bool {
        self.statements.iter().any(|statement| {
            serde_json::from_str(statement.get()).is_ok_and(|grant: Grant| grant.is_to_account())
        })
    }

    /// Whether the policy has no statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// The policy as JSON, which is the form that is sent.
impl fmt::Display for ResourcePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        self.other_elements
            .iter()
            .try_for_each(|(name, value)| write!(formatter, "\"{name}\":{value},"))?;
        let statements: Vec<&str> =
            self.statements.iter().map(|statement| statement.get()).collect();
        write!(formatter, "\"Statement\":[{}]}}", statements.join(","))
    }
}

fn has_sid(statement: &RawValue, sid: &str) -> bool {
    serde_json::from_str(statement.get())
        .is_ok_and(|StatementId { sid: own }| own.as_deref() == Some(sid))
}

impl Statement {
    /// The statement's `Sid`; empty if it has none.
    pub fn sid(&self) -> &str {
        self.sid.as_deref().unwrap_or_default()
    }

    /// Reads our statement and changes its `Sid`, so that it can stay while its `Sid` gets a new statement; `None` if its form differs from the
    /// form of our statements.
    pub fn parse_as_earlier(text: &str) -> Option<Self> {
        let statement: Self = serde_json::from_str(text).ok()?;
        Some(Self { sid: Some(format!("{}{EARLIER}", statement.sid())), ..statement })
    }

    /// Whether `text`, a statement under a `Sid` of ours, is ours: it allows something to roles alone, also in the form that a person pasted before
    /// the role existed. Others may have changed what our statement allows, which is repaired.
    pub fn is_own_text(text: &str) -> bool {
        let Ok(grant) = serde_json::from_str::<Grant>(text) else {
            return false;
        };
        let names_roles_only = match &grant.principal {
            Some(Principal::Kinds(kinds)) => kinds.keys().all(|kind| kind == "AWS"),
            Some(Principal::Everyone(_)) | None => false,
        };
        grant.effect == "Allow"
            && names_roles_only
            && (grant.is_to_roles() || grant.is_to_roles_of_account())
    }

    /// Whether two texts are equal statements of the form of ours.
    pub fn are_equal(one: &str, other: &str) -> bool {
        serde_json::from_str(one).is_ok_and(|one: Self| one.equals_text(other))
    }

    /// Whether `text` is an equal statement.
    pub fn equals_text(&self, text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|other: Self| other == *self)
    }

    /// This statement for a role that may not exist yet. AWS refuses a principal that does not exist, so the principal is the account, and a
    /// condition confines the statement to the role.
    #[must_use]
    pub fn for_future_role(mut self, partition: Partition, account: &Account) -> Self {
        if let Some(role) = self.principal.insert("AWS".to_owned(), root(partition, account)) {
            self.condition.extend(condition(ROLE_OPERATOR, [(ROLE_KEY, role)]));
        }
        self
    }

    /// A statement as pairs of path and values. A statement whose form differs from ours is one value.
    pub(crate) fn lines_of_text(text: &str) -> Vec<(String, BTreeSet<String>)> {
        let parsed: Result<Self, _> = serde_json::from_str(text);
        parsed.map_or_else(
            |_| vec![("Statement".to_owned(), BTreeSet::from([text.to_owned()]))],
            |statement| statement.lines(statement.sid()),
        )
    }
}

/// The statement as JSON without white space, which is the form that is sent.
impl fmt::Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The statements of a rule in policies of the destination's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    /// The statement in the policy of the destination bucket.
    pub bucket: Statement,
    /// The statement in the policy of the replica key.
    pub key: Statement,
}

impl Grants<'_> {
    /// The statements that the replication role `role_arn` needs in the destination's account. Where they cannot contain the whole prefix, the
    /// role's inline policy confines the role to the prefix, since both accounts must allow a call.
    pub fn statements(&self, sid: &str, role_arn: &str) -> Statements {
        let bucket = self.destination.bucket.arn(self.partition);
        let replicas = format!("{bucket}/{}", super::plain_key_pattern(self.prefix));
        let principal = BTreeMap::from([("AWS".to_owned(), Values::from([role_arn]))]);
        let mut actions = super::write_actions(self.owner_override);
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

    /// The statement that the replication role `role_arn` needs in the policy of a source key that does not let the account's own policies decide.
    pub fn source_key_statement(&self, sid: &str, role_arn: &str) -> Statement {
        let bucket = self.source.bucket.arn(self.partition);
        let objects = format!("{bucket}/{}", super::plain_key_pattern(self.prefix));
        Statement {
            principal: BTreeMap::from([("AWS".to_owned(), Values::from([role_arn]))]),
            condition: self.through_s3(self.source.region, bucket, objects),
            ..allow(sid, ["kms:Decrypt"], ["*".to_owned()])
        }
    }

    /// The statements that `account` needs to read whether the destination bucket and the replica key are ready.
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

    const FOREIGN: &str = r#"{"Sid":"Foreign", "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;

    fn own(action: &'static str) -> Statement {
        allow("Own", [action], ["*".to_owned()])
    }

    #[test]
    fn a_foreign_statement_keeps_every_byte_when_an_own_one_changes() {
        for text in [
            format!(
                r#"{{"Version":"2008-10-17","Id":"x","Statement":[{FOREIGN},{}]}}"#,
                own("s3:Get")
            ),
            format!(r#"{{ "Statement": {FOREIGN} }}"#),
        ] {
            let policy = ResourcePolicy::parse(Some(&text)).unwrap();
            let with = policy.clone().with(&own("s3:Put"));
            assert!(own("s3:Put").equals_text(with.statement("Own").unwrap()));
            for changed in [with.to_string(), with.without("Own").to_string()] {
                assert_eq!(changed.matches(FOREIGN).count(), 1, "{changed}");
                assert_eq!(
                    ResourcePolicy::parse(Some(&changed)).unwrap().statement("Foreign"),
                    Some(FOREIGN)
                );
            }
        }
    }

    #[test]
    fn a_policy_is_empty_without_its_only_statement() {
        let policy = ResourcePolicy::parse(None).unwrap();
        assert!(policy.is_empty());
        let with = policy.with(&own("s3:Get"));
        assert!(!with.is_empty() && with.without("Own").is_empty());
    }

    #[test]
    fn a_statement_is_split_into_lines_unless_its_form_is_unknown() {
        let line = |path: &str, value: &str| (path.to_owned(), BTreeSet::from([value.to_owned()]));
        assert_eq!(
            Statement::lines_of_text(&own("s3:Get").to_string()),
            [line("Own.Allow", "s3:Get"), line("Own.Resource", "*")]
        );
        assert_eq!(Statement::lines_of_text("1"), [line("Statement", "1")]);
    }

    #[test]
    fn a_statement_is_ours_and_not_the_accounts_where_it_is_confined_to_roles() {
        let role = r#""arn:aws:iam::111122223333:role/x""#;
        let root = r#""arn:aws:iam::111122223333:root""#;
        let confined =
            |roles: &str| format!(r#","Condition":{{"ArnEquals":{{"aws:PrincipalArn":{roles}}}}}"#);
        for (principal, condition, is_own, is_of_account) in [
            (role, String::new(), true, false),
            (r#""AROAEXAMPLE""#, String::new(), true, false),
            (root, String::new(), false, true),
            (root, confined(role), true, false),
            (r#""111122223333""#, confined(&format!("[{role}]")), true, false),
            (root, confined(r#""*""#), false, true),
            (root, confined("[]"), false, true),
            (root, r#","Condition":{"Bool":{"aws:SecureTransport":true}}"#.to_owned(), false, true),
        ] {
            let text = format!(
                r#"{{"Sid":"Own","Effect":"Allow","Principal":{{"AWS":{principal}}},"Action":"kms:*","Resource":"*"{condition}}}"#
            );
            assert_eq!(Statement::is_own_text(&text), is_own, "{text}");
            let policy = ResourcePolicy::parse(Some(&format!(r#"{{"Statement":{text}}}"#)));
            assert_eq!(policy.unwrap().allows_account_root(), is_of_account, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_policy_is_refused() {
        for text in ["", "[]", "{}", r#"{"Statement":[1"#] {
            assert!(ResourcePolicy::parse(Some(text)).is_none(), "{text}");
        }
    }
}
