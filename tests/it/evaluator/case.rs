//! A request with all policies that apply to it, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use s3_kms_replication::iam_policy::evaluate::{
    Context, Decision, DenialReason, Layer, Owner, Policies, Policy, PolicySource, Principal,
    Request, ResourcePolicy, Text, decide,
};
use s3_kms_replication::model::{Account, RoleArn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const ACCOUNT: &str = "111122223333";
pub const OTHER_ACCOUNT: &str = "444455556666";
pub const ROLE: &str = "arn:aws:iam::111122223333:role/replication";
pub const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/replication/s3-replication";
pub const USER: &str = "arn:aws:iam::111122223333:user/alice";
pub const SERVICE: &str = "s3.amazonaws.com";

/// The condition keys that policies have as variables.
const VARIABLES: [&str; 3] = ["aws:PrincipalTag/other", "aws:PrincipalTag/team", "aws:SourceVpce"];

/// The condition keys that follow from the principal and the resource.
const DERIVED: [&str; 4] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:ResourceAccount",
];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// What the case is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub principal: String,
    pub action: String,
    pub resource: String,
    pub account: String,
    pub context: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    pub unknown: BTreeSet<String>,
    #[serde(default)]
    pub identity: Vec<Value>,
    #[serde(default)]
    pub boundary: Option<Value>,
    #[serde(default)]
    pub resource_policy: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Case {
    /// The decision as the simulator words it; an explicit denial is told from one by no statement.
    pub fn outcome(&self) -> &'static str {
        match self.decision() {
            Decision::Allowed => "Allowed",
            Decision::Undecided(_) => "Undecided",
            Decision::Denied(denials) => match denials[0].reason {
                DenialReason::Explicit(_) => "ExplicitlyDenied",
                DenialReason::NoAllow { .. } => "ImplicitlyDenied",
            },
        }
    }

    pub fn decision(&self) -> Decision {
        self.decision_without(BTreeSet::new())
    }

    /// The decision when these layers could not be read.
    pub fn decision_without(&self, unread: BTreeSet<Layer>) -> Decision {
        let inline = |index, document: &Value| {
            Policy::parse(PolicySource::Inline(format!("policy-{index}")), &document.to_string())
        };
        let identity: Vec<Policy> = self
            .identity
            .iter()
            .enumerate()
            .map(|(index, document)| inline(index, document).unwrap())
            .collect();
        let one = |source, document: &Option<Value>| {
            document.as_ref().map(|document| Policy::parse(source, &document.to_string()).unwrap())
        };
        let boundary = one(PolicySource::Boundary("boundary".to_owned()), &self.boundary);
        let resource =
            one(PolicySource::Bucket("of the resource".to_owned()), &self.resource_policy);
        let resource = match self.action.split(':').next().unwrap() {
            "kms" => ResourcePolicy::Key { policy: resource.as_ref(), grants: &[] },
            "sts" => ResourcePolicy::Trust(resource.as_ref()),
            _ => ResourcePolicy::Bucket(resource.as_ref()),
        };
        let (principal, account) = (self.principal(), Account::parse(&self.account).unwrap());
        let context = self.known_context();
        let request = Request {
            principal: &principal,
            action: &self.action,
            resource: &Text::from(self.resource.as_str()),
            owner: Owner::Account(&account),
            context: &context,
        };
        let policies =
            Policies { identity: &identity, boundary: boundary.as_ref(), resource, unread };
        decide(&request, &policies)
    }

    fn principal(&self) -> Principal {
        match &*self.principal {
            SESSION => Principal::RoleSession {
                role: RoleArn::parse(ROLE).unwrap(),
                session: Some("s3-replication".to_owned()),
            },
            USER => {
                Principal::User { arn: USER.to_owned(), account: Account::parse(ACCOUNT).unwrap() }
            }
            service => Principal::Service(service.to_owned()),
        }
    }

    /// The keys of the case. Every key of its policies that it does not mention is absent, unless it is listed as unknown.
    fn known_context(&self) -> Context {
        let policies = self.identity.iter().chain(&self.boundary).chain(&self.resource_policy);
        let keys = policies.flat_map(condition_keys).chain(VARIABLES.map(str::to_owned));
        let absent =
            keys.filter(|key| !self.unknown.contains(key) && !DERIVED.contains(&key.as_str()));
        let context = absent.fold(Context::new(), |context, key| context.without(&key));
        self.context.iter().fold(context, |context, (key, values)| match values {
            OneOrMany::One(value) => context.with(key, value.as_str()),
            OneOrMany::Many(values) => context.with_values(key, values.clone()),
        })
    }
}

fn condition_keys(policy: &Value) -> Vec<String> {
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        single => vec![single.clone()],
    };
    let conditions = statements.iter().filter_map(|statement| statement["Condition"].as_object());
    let operators = conditions.flat_map(|condition| condition.values());
    let keys = operators.filter_map(Value::as_object).flat_map(|keys| keys.keys());
    keys.cloned().collect()
}
