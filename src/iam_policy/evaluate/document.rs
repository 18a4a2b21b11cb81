//! Policy documents, read whole: an element that is not known makes a document unreadable, since it may change what the document allows.

use std::collections::BTreeSet;
use std::fmt;

use super::condition::Condition;
use super::element::Element;
use super::json::Json;
use super::principal::PrincipalElement;
use super::statement::{Effect, Statement};

/// Where a policy is written. Its text names the policy in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicySource {
    /// An inline policy of the role, by its name.
    Inline(String),
    /// A managed policy, by its ARN.
    Managed(String),
    /// The role's permissions boundary, by its ARN.
    Boundary(String),
    /// The trust policy of a role, by the role's name or ARN.
    Trust(String),
    /// The policy of a bucket, by the bucket's name.
    Bucket(String),
    /// The policy of a key, by the key's ARN.
    Key(String),
}

impl fmt::Display for PolicySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Inline(name) => ("inline policy", name),
            Self::Managed(arn) => ("managed policy", arn),
            Self::Boundary(arn) => ("permissions boundary", arn),
            Self::Trust(role) => ("trust policy of role", role),
            Self::Bucket(name) => ("bucket policy of", name),
            Self::Key(arn) => ("key policy of", arn),
        };
        write!(formatter, "{kind} `{name}`")
    }
}

/// A statement of a policy. Its text is "statement `Sid` of inline policy `name`", or "statement 2 of …" without a `Sid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementRef {
    /// The policy that has the statement.
    pub policy: PolicySource,
    /// The statement's place in the policy, from 1.
    pub number: usize,
    /// The statement's `Sid`, unless it has none or an empty one.
    pub sid: Option<String>,
}

impl fmt::Display for StatementRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sid {
            Some(sid) => write!(formatter, "statement `{sid}` of {}", self.policy),
            None => write!(formatter, "statement {} of {}", self.number, self.policy),
        }
    }
}

/// The version of the policy language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Without policy variables; a document without `Version` has this one.
    V2008,
    V2012,
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {policy} cannot be read: {message}")]
pub struct PolicyError {
    /// The policy.
    pub policy: PolicySource,
    /// What is wrong with it, and where.
    pub message: String,
}

/// A policy of any kind, by whomever it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    source: PolicySource,
    pub(super) statements: Vec<Statement>,
}

impl Policy {
    /// Reads the JSON text of a policy.
    ///
    /// # Errors
    /// What is wrong, if the text is no policy in IAM's policy language.
    pub fn parse(source: PolicySource, text: &str) -> Result<Self, PolicyError> {
        match read_policy(&source, text) {
            Ok(statements) => Ok(Self { source, statements }),
            Err(message) => Err(PolicyError { policy: source, message }),
        }
    }

    /// Where this policy is written.
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// The texts of all `Resource` and `NotResource` elements with their statements, as written.
    pub fn resources(&self) -> impl Iterator<Item = (&StatementRef, &str)> {
        self.statements.iter().flat_map(|statement| {
            let resources = statement.resource.iter().flat_map(|element| element.values());
            resources.map(|resource| (&statement.reference, resource.as_str()))
        })
    }
}

fn read_policy(source: &PolicySource, text: &str) -> Result<Vec<Statement>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut version = Version::V2008;
    let mut statements = None;
    for (name, value) in object(json, "the document")? {
        match name.as_str() {
            "Version" => version = read_version(value)?,
            "Id" => drop(one_text(value, "Id")?),
            "Statement" => statements = Some(value),
            other => return Err(format!("`{other}` is no element of a policy")),
        }
    }
    let statements = match statements.ok_or("it has no `Statement`")? {
        Json::List(statements) => statements,
        single => vec![single],
    };
    let read = |(index, json)| {
        let policy = source.clone();
        let reference = StatementRef { policy, number: index + 1, sid: None };
        read_statement(json, version, reference)
            .map_err(|message| format!("statement {}: {message}", index + 1))
    };
    statements.into_iter().enumerate().map(read).collect()
}

fn read_version(value: Json) -> Result<Version, String> {
    match one_text(value, "Version")?.as_str() {
        "2012-10-17" => Ok(Version::V2012),
        "2008-10-17" => Ok(Version::V2008),
        other => Err(format!("`Version` is `{other}`; it is 2012-10-17 or 2008-10-17")),
    }
}

fn read_statement(
    json: Json,
    version: Version,
    mut reference: StatementRef,
) -> Result<Statement, String> {
    let (mut effect, mut principal, mut action, mut resource) = (None, None, None, None);
    let mut conditions = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, value) in object(json, "it")? {
        let kind = name.strip_prefix("Not").filter(|kind| !kind.is_empty()).unwrap_or(&name);
        if !seen.insert(kind.to_owned()) {
            return Err(format!("it has `{kind}` and `Not{kind}`"));
        }
        match name.as_str() {
            "Sid" => {
                reference.sid = Some(one_text(value, "Sid")?).filter(|sid| !sid.is_empty());
            }
            "Effect" => effect = Some(read_effect(value)?),
            "Principal" => principal = Some(PrincipalElement::read(value, false)?),
            "NotPrincipal" => principal = Some(PrincipalElement::read(value, true)?),
            "Action" => action = Some(Element::Is(texts(value, &name)?)),
            "NotAction" => action = Some(Element::IsNot(texts(value, &name)?)),
            "Resource" => resource = Some(Element::Is(texts(value, &name)?)),
            "NotResource" => resource = Some(Element::IsNot(texts(value, &name)?)),
            "Condition" => conditions = read_conditions(value)?,
            other => return Err(format!("`{other}` is no element of a statement")),
        }
    }
    Ok(Statement {
        reference,
        version,
        effect: effect.ok_or("it has no `Effect`")?,
        principal,
        action: action.ok_or("it has neither `Action` nor `NotAction`")?,
        resource,
        conditions,
    })
}

fn read_effect(value: Json) -> Result<Effect, String> {
    match one_text(value, "Effect")?.as_str() {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(format!("`Effect` is `{other}`; it is Allow or Deny")),
    }
}

fn read_conditions(value: Json) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in object(value, "`Condition`")? {
        for (key, values) in object(keys, &format!("`{operator}`"))? {
            conditions.push(Condition::read(&operator, &key, texts(values, &key)?)?);
        }
    }
    Ok(conditions)
}

pub(super) fn object(json: Json, name: &str) -> Result<Vec<(String, Json)>, String> {
    match json {
        Json::Object(entries) => Ok(entries),
        Json::Null | Json::Text(_) | Json::List(_) => Err(format!("{name} is no JSON object")),
    }
}

fn one_text(json: Json, name: &str) -> Result<String, String> {
    match json {
        Json::Text(text) => Ok(text),
        Json::Null | Json::List(_) | Json::Object(_) => Err(format!("`{name}` is no string")),
    }
}

/// One text, or a list of texts.
pub(super) fn texts(json: Json, name: &str) -> Result<Vec<String>, String> {
    match json {
        Json::List(items) => items.into_iter().map(|item| one_text(item, name)).collect(),
        single => Ok(vec![one_text(single, name)?]),
    }
}
