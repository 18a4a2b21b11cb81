//! One statement held against a request.

use super::condition::Condition;
use super::document::{StatementRef, Version};
use super::element::Element;
use super::layers::Request;
use super::pattern::Pattern;
use super::principal::{Naming, PrincipalElement};
use super::template::{Resolved, Syntax, resolve};
use super::truth::Truth;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub reference: StatementRef,
    pub version: Version,
    pub effect: Effect,
    pub principal: Option<PrincipalElement>,
    pub action: Element,
    pub resource: Option<Element>,
    pub conditions: Vec<Condition>,
}

/// A statement that allows similar requests, and why it does not match this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The statement.
    pub statement: StatementRef,
    /// Every element that does not match. Elements that may match, depending on unknown keys, are not listed.
    pub mismatches: Vec<Mismatch>,
}

/// An element of a statement that does not match a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// `Principal`, or `NotPrincipal` if `negated`.
    Principal {
        /// What the statement names.
        wanted: Vec<String>,
        /// Whether the element is `NotPrincipal`.
        negated: bool,
        /// Who asks.
        actual: String,
    },
    /// `Action`, or `NotAction` if `negated`.
    Action {
        /// What the statement names.
        wanted: Vec<String>,
        /// Whether the element is `NotAction`.
        negated: bool,
        /// The action of the request.
        actual: String,
    },
    /// `Resource`, or `NotResource` if `negated`.
    Resource {
        /// What the statement names.
        wanted: Vec<String>,
        /// Whether the element is `NotResource`.
        negated: bool,
        /// The resource of the request.
        actual: String,
    },
    /// One key of `Condition`.
    Condition {
        /// The operator, as written.
        operator: String,
        /// The key, as written.
        key: String,
        /// The values that the statement demands, as written.
        wanted: Vec<String>,
        /// The values that the request has; none if the key is absent.
        actual: Vec<String>,
    },
}

impl Statement {
    /// Whether the statement matches, its principal aside.
    pub fn matches(&self, request: &Request) -> Truth {
        if !self.matches_action(request.action) {
            return Truth::No;
        }
        let conditions =
            self.conditions.iter().map(|condition| condition.holds(self.version, request));
        self.matches_resource(request).and(Truth::all(conditions)).of(&self.reference)
    }

    /// How directly an Allow of a resource's policy names the one who asks.
    pub fn allowed(&self, request: &Request) -> Naming {
        let element = self.principal.as_ref();
        element.map_or(Naming::NOBODY, |element| element.allowed(request.principal))
    }

    /// Whether a Deny of a resource's policy is about the one who asks. "The NotPrincipal element with a Deny effect will always deny any IAM
    /// principal that has a permissions boundary policy attached."
    pub fn denied(&self, request: &Request, has_boundary: bool) -> Truth {
        match &self.principal {
            None => Truth::No,
            Some(element) if element.negated && has_boundary => Truth::Yes,
            Some(element) => element.denied(request.principal).of(&self.reference),
        }
    }

    fn matches_action(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let named = self.action.values().iter().any(|pattern| {
            Pattern::with_wildcards(&pattern.to_ascii_lowercase()).matches_exactly(&action)
        });
        named != self.action.is_negated()
    }

    fn matches_resource(&self, request: &Request) -> Truth {
        let Some(element) = &self.resource else { return Truth::Yes };
        let syntax = Syntax { version: self.version, wildcards: true };
        let named =
            Truth::any(element.values().iter().map(|text| match resolve(text, syntax, request) {
                Resolved::Pattern(pattern) => pattern.matches(request.resource),
                Resolved::Nothing => Truth::No,
                Resolved::Unknown(cause) => Truth::unknown(cause),
            }));
        if element.is_negated() { !named } else { named }
    }

    /// The patterns that the statement has for names and for values of condition keys, as far as their variables are known.
    pub fn patterns(&self, request: &Request) -> impl Iterator<Item = Pattern> {
        let resources = self.resource.iter().flat_map(|element| element.values());
        let values = self.conditions.iter().flat_map(|condition| condition.values());
        let syntax = Syntax { version: self.version, wildcards: true };
        resources.chain(values).filter_map(move |text| match resolve(text, syntax, request) {
            Resolved::Pattern(pattern) => Some(pattern),
            Resolved::Nothing | Resolved::Unknown(_) => None,
        })
    }

    /// Why this statement does not match; `None` if it has nothing to do with the request: neither its actions nor its resources match.
    pub fn near_miss(&self, request: &Request, has_principal: bool) -> Option<NearMiss> {
        let action_matches = self.matches_action(request.action);
        let resource_matches = self.matches_resource(request) != Truth::No;
        if !action_matches && !resource_matches {
            return None;
        }
        let mut mismatches = Vec::new();
        if has_principal && self.allowed(request).any() == Truth::No {
            let element = self.principal.as_ref();
            mismatches.push(Mismatch::Principal {
                wanted: element
                    .into_iter()
                    .flat_map(PrincipalElement::texts)
                    .map(str::to_owned)
                    .collect(),
                negated: element.is_some_and(|element| element.negated),
                actual: request.principal.text(),
            });
        }
        if !action_matches {
            mismatches.push(Mismatch::Action {
                wanted: self.action.values().to_vec(),
                negated: self.action.is_negated(),
                actual: request.action.to_owned(),
            });
        }
        if let Some(element) = self.resource.as_ref().filter(|_| !resource_matches) {
            mismatches.push(Mismatch::Resource {
                wanted: element.values().to_vec(),
                negated: element.is_negated(),
                actual: request.resource.to_string(),
            });
        }
        let failed = self
            .conditions
            .iter()
            .filter(|condition| condition.holds(self.version, request) == Truth::No);
        mismatches.extend(failed.map(|condition| condition.mismatch(request)));
        Some(NearMiss { statement: self.reference.clone(), mismatches })
    }
}

impl NearMiss {
    /// How far this statement is from matching: first by the number of mismatches, then by the element that does not match.
    pub(super) fn distance(&self) -> (usize, usize) {
        let weight = |mismatch: &Mismatch| match mismatch {
            Mismatch::Condition { .. } => 1,
            Mismatch::Resource { .. } => 2,
            Mismatch::Action { .. } => 3,
            Mismatch::Principal { .. } => 4,
        };
        (self.mismatches.len(), self.mismatches.iter().map(weight).sum())
    }
}
