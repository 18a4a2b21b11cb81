//! Made-up cases, the same ones for the same seed.

mod condition_keys;
mod kinds;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Map, Value, json};

use condition_keys::{KEYS, Key, MULTIVALUED, own_keys};
use kinds::Kind;

use super::case::{ACCOUNT, Case, OTHER_ACCOUNT, OneOrMany, ROLE, SERVICE, SESSION, USER};

pub struct Generator {
    random: Rng,
}

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
        let is_read = action == "s3:GetObject";
        let own = own_keys(kind).into_iter().filter(|_| !is_read);
        for Key { name, values, .. } in KEYS.into_iter().chain(own) {
            if values.is_empty() || self.chance(30) {
                continue;
            }
            let value = if MULTIVALUED.contains(&name) {
                let rest = self.random.usize(2..=values.len());
                OneOrMany::Many(values[..rest].iter().map(|&value| value.to_owned()).collect())
            } else {
                OneOrMany::One(self.one(values).to_owned())
            };
            put(name, value);
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
            let own = own_keys(kind);
            let key =
                if !own.is_empty() && self.chance(30) { self.one(&own) } else { self.one(&KEYS) };
            let (operator, values) = if self.chance(15) {
                ("Null".to_owned(), vec![self.one(&["true", "false"])])
            } else {
                (self.operator(key), self.some(key.wanted))
            };
            conditions.entry(operator).or_default().insert(key.name.to_owned(), json!(values));
        }
        conditions
    }

    fn operator(&mut self, key: Key) -> String {
        let set = match (MULTIVALUED.contains(&key.name), self.random.u8(..10)) {
            (true, 0..5) | (false, 0) => "ForAllValues:",
            (true, 5..9) | (false, 1) => "ForAnyValue:",
            _ => "",
        };
        let if_exists = if self.chance(20) { "IfExists" } else { "" };
        format!("{set}{}{if_exists}", self.one(key.operators))
    }
}
