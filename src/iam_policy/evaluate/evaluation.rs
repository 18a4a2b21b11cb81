//! How the layers of policies decide together.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html> and
//! <https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html>.

use std::collections::BTreeSet;

use super::decision::{Cause, Decision, Denial, DenialReason, Layer};
use super::layers::{Owner, Policies, Request, ResourcePolicy};
use super::principal::Naming;
use super::statement::{Effect, NearMiss, Statement};
use super::truth::Truth;

/// Decides about a request.
pub fn decide(request: &Request, policies: &Policies) -> Decision {
    let context = request.completed_context();
    let request = Request { context: &context, ..*request };
    Evaluation { request: &request, policies }.decision()
}

/// Names that begin with `start` and that the policies single out: one for each pattern that a statement has.
pub fn examples(request: &Request, policies: &Policies, start: &str) -> BTreeSet<String> {
    let context = request.completed_context();
    let request = Request { context: &context, ..*request };
    let statements = policies.by_layer().flat_map(|(_, policy)| &policy.statements);
    let patterns = statements.flat_map(|statement| statement.patterns(&request));
    patterns.filter_map(|pattern| pattern.example(start)).collect()
}

struct Evaluation<'a> {
    request: &'a Request<'a>,
    policies: &'a Policies<'a>,
}

/// How the one who asks stands to the owner of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// A service has no account and no identity policies.
    Service,
    SameAccount,
    OtherAccount,
    /// It is not known whether the account is the same.
    Unknown,
}

/// Which layers allow a request. The resource's policy by how directly it names the one who asks.
struct Allows {
    identity: Truth,
    boundary: Truth,
    itself: Truth,
    role: Truth,
    account: Truth,
}

impl Allows {
    fn resource(&self) -> Truth {
        Truth::any([self.itself.clone(), self.role.clone(), self.account.clone()])
    }

    /// What identity policies give, within the boundary.
    fn identity_within_boundary(&self) -> Truth {
        self.identity.clone().and(self.boundary.clone())
    }

    /// What the resource's policy gives without the account's identity policies.
    fn resource_alone(&self) -> Truth {
        self.itself.clone().or(self.role.clone().and(self.boundary.clone()))
    }
}

impl Evaluation<'_> {
    fn decision(&self) -> Decision {
        let explicit = self.explicit_denials();
        if !explicit.is_empty() {
            return Decision::Denied(explicit);
        }
        let allows = self.allows();
        let allowed = self.combined(self.relation(), &allows);
        if allowed == Truth::No {
            return Decision::Denied(self.missing_allows(&allows));
        }
        match allowed.and(!self.denied()) {
            Truth::Yes => Decision::Allowed,
            Truth::No => Decision::Denied(explicit),
            Truth::Unknown(undecided) => Decision::Undecided(undecided),
        }
    }

    /// The statements of all layers with an effect, and whether they match, the principal of an Allow aside.
    fn statements(&self, effect: Effect) -> impl Iterator<Item = (Layer, &Statement, Truth)> {
        let policies = self.policies.by_layer();
        let statements = policies.flat_map(|(layer, policy)| {
            policy.statements.iter().map(move |statement| (layer, statement))
        });
        let has_boundary = self.policies.boundary.is_some();
        statements.filter(move |(_, statement)| statement.effect == effect).map(
            move |(layer, statement)| {
                let matches = statement.matches(self.request);
                let matches = if effect == Effect::Deny && has_principal(layer) {
                    statement.denied(self.request, has_boundary).and(matches)
                } else {
                    matches
                };
                (layer, statement, matches)
            },
        )
    }

    fn explicit_denials(&self) -> Vec<Denial> {
        self.statements(Effect::Deny)
            .filter(|(_, _, matches)| *matches == Truth::Yes)
            .map(|(layer, statement, _)| Denial {
                layer,
                reason: DenialReason::Explicit(statement.reference.clone()),
            })
            .collect()
    }

    /// Whether a statement denies, as far as it is known.
    fn denied(&self) -> Truth {
        let unread = self.policies.unread.iter().map(|layer| Truth::unknown(Cause::Unread(*layer)));
        Truth::any(self.statements(Effect::Deny).map(|(_, _, matches)| matches).chain(unread))
    }

    fn allows(&self) -> Allows {
        let mut allows = Allows {
            identity: self.unread(Layer::Identity),
            boundary: self.unread(Layer::Boundary),
            itself: self.unread(self.policies.resource.layer()),
            role: Truth::any(
                self.policies.resource.grants().iter().map(|grant| grant.allows(self.request)),
            ),
            account: Truth::No,
        };
        if self.policies.boundary.is_none() && allows.boundary == Truth::No {
            allows.boundary = Truth::Yes;
        }
        for (layer, statement, matches) in self.statements(Effect::Allow) {
            match layer {
                Layer::Identity => add(&mut allows.identity, matches),
                Layer::Boundary => add(&mut allows.boundary, matches),
                Layer::BucketPolicy | Layer::KeyPolicy | Layer::TrustPolicy => {
                    let Naming { account, role, itself } = statement.allowed(self.request);
                    let named = |is_named: Truth| is_named.of(&statement.reference);
                    add(&mut allows.account, named(account).and(matches.clone()));
                    add(&mut allows.role, named(role).and(matches.clone()));
                    add(&mut allows.itself, named(itself).and(matches));
                }
            }
        }
        allows
    }

    /// What a layer allows by that of it which was not read.
    fn unread(&self, layer: Layer) -> Truth {
        if self.policies.unread.contains(&layer) {
            Truth::unknown(Cause::Unread(layer))
        } else {
            Truth::No
        }
    }

    fn combined(&self, relation: Relation, allows: &Allows) -> Truth {
        match (relation, self.policies.resource) {
            (Relation::Service, _) => allows.resource(),
            (Relation::SameAccount, ResourcePolicy::Bucket(_)) => {
                allows.identity_within_boundary().or(allows.resource_alone())
            }
            (Relation::SameAccount, ResourcePolicy::Key { .. } | ResourcePolicy::Trust(_)) => {
                let by_account = allows.account.clone().and(allows.identity_within_boundary());
                by_account.or(allows.resource_alone())
            }
            (Relation::OtherAccount, _) => allows.resource().and(allows.identity_within_boundary()),
            (Relation::Unknown, _) => {
                let [same, other] = [Relation::SameAccount, Relation::OtherAccount]
                    .map(|relation| self.combined(relation, allows));
                Truth::either(Cause::ResourceAccount, same, other)
            }
        }
    }

    fn relation(&self) -> Relation {
        match (self.request.principal.account(), self.request.owner) {
            (None, _) => Relation::Service,
            (Some(own), Owner::Account(owner)) if own == owner => Relation::SameAccount,
            (Some(_), Owner::Account(_) | Owner::OtherAccount) => Relation::OtherAccount,
            (Some(_), Owner::Unknown) => Relation::Unknown,
        }
    }

    /// The layers whose Allow is missing.
    fn missing_allows(&self, allows: &Allows) -> Vec<Denial> {
        let relation = self.relation();
        let is_bucket = matches!(self.policies.resource, ResourcePolicy::Bucket(_));
        let is_let_in = relation == Relation::SameAccount && allows.role == Truth::Yes;
        let has_identity = relation != Relation::Service;
        let needs_resource = relation == Relation::OtherAccount
            || relation == Relation::Service
            || (relation == Relation::SameAccount && !is_bucket);
        let missing = [
            (Layer::Identity, has_identity && !is_let_in && allows.identity == Truth::No),
            (Layer::Boundary, has_identity && allows.boundary == Truth::No),
            (self.policies.resource.layer(), needs_resource && allows.resource() == Truth::No),
        ];
        missing
            .into_iter()
            .filter(|(_, is_missing)| *is_missing)
            .map(|(layer, _)| Denial {
                layer,
                reason: DenialReason::NoAllow { nearest: self.nearest(layer) },
            })
            .collect()
    }

    /// The Allow statements of a layer that have to do with the request, nearest first.
    fn nearest(&self, layer: Layer) -> Vec<NearMiss> {
        let mut near: Vec<NearMiss> = self
            .statements(Effect::Allow)
            .filter(|(of, _, _)| *of == layer)
            .filter_map(|(_, statement, _)| statement.near_miss(self.request, has_principal(layer)))
            .collect();
        near.sort_by_key(NearMiss::distance);
        near
    }
}

/// Adds what one more statement allows.
fn add(allowed: &mut Truth, more: Truth) {
    *allowed = std::mem::replace(allowed, Truth::No).or(more);
}

fn has_principal(layer: Layer) -> bool {
    match layer {
        Layer::Identity | Layer::Boundary => false,
        Layer::BucketPolicy | Layer::KeyPolicy | Layer::TrustPolicy => true,
    }
}
