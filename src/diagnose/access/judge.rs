//! All policies that decide about a rule's calls, and what is known of these calls.
//!
//! It must not know which calls S3 makes, nor what a denial means.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnose::calls::{Call, Target};
use crate::diagnose::evidence::{BucketOwner, Evidence, RoleEvidence, RuleEvidence, Unread};
use crate::diagnose::policies::{ABSENT, InFront, RolePolicies};
use crate::iam_policy::evaluate::{
    Context, Decision, Layer, Owner, Policies, PolicySource, Principal, Request, ResourcePolicy,
    decide, examples,
};
use crate::model::{Identity, KeyReference, RoleArn};

/// Decides about the calls of a rule.
pub(super) struct Judge<'a> {
    identity: &'a Identity,
    principal: Principal,
    role: RolePolicies,
    source: InFront,
    destination: InFront,
    destination_owner: BucketOwner,
    /// The keys by their ARNs.
    keys: BTreeMap<String, InFront>,
    /// What is the same for all calls.
    context: Context,
}

impl<'a> Judge<'a> {
    /// Reads the policies of a rule; `None` if the role's ARN is none.
    pub fn new(
        evidence: &'a Evidence,
        rule: &'a RuleEvidence,
        role: &RoleEvidence,
        undecided: &mut Vec<Unread>,
    ) -> Option<Self> {
        let arn = RoleArn::parse(&role.role.arn).ok()?;
        let source = &evidence.source;
        let source = InFront::bucket(
            PolicySource::Bucket(source.location.bucket.to_string()),
            &source.policy,
            undecided,
        );
        let name = rule.destination_bucket().map(|bucket| bucket.to_string()).unwrap_or_default();
        let destination = match &rule.destination.settings {
            Some(settings) => {
                InFront::bucket(PolicySource::Bucket(name), &settings.policy, undecided)
            }
            None => InFront { is_unread: true, ..InFront::default() },
        };
        let keys = evidence.default_key.iter().chain(&rule.replica_key).chain(rule.sampled_keys());
        let keys = keys
            .filter_map(|key| Some((key.arn()?.to_owned(), InFront::key(key, undecided))))
            .collect();
        Some(Self {
            identity: &evidence.identity,
            role: RolePolicies::read(role, undecided),
            source,
            destination,
            destination_owner: rule.destination_owner(&evidence.identity.account),
            keys,
            context: context_of_role(&evidence.identity, role),
            // AWS does not document which name S3 gives to its sessions.
            principal: Principal::RoleSession { role: arn, session: None },
        })
    }

    /// The permissions boundary of the role, as a message names it.
    pub fn boundary_name(&self) -> Option<String> {
        self.role.boundary.as_ref().map(|policy| policy.source().to_string())
    }

    /// Whether a call is made on a key whose grants have not been read.
    pub fn has_unread_grants(&self, call: &Call) -> bool {
        let key = call.resource.exact().and_then(|arn| self.keys.get(arn));
        key.is_some_and(|key| !key.grants_are_read && !key.is_unread)
    }

    /// Decides about a call.
    pub fn decide(&self, call: &Call) -> Decision {
        self.with_request(call, decide)
    }

    /// Names that begin with `start` and that the policies which decide about a call single out.
    pub fn examples(&self, call: &Call, start: &str) -> BTreeSet<String> {
        self.with_request(call, |request, policies| examples(request, policies, start))
    }

    fn with_request<T>(&self, call: &Call, judge: impl FnOnce(&Request, &Policies) -> T) -> T {
        let (resource, unread) = self.in_front(call);
        let key_account =
            KeyReference::parse(call.resource.known()).map(|key| key.account().clone());
        let owner = match (call.target, &self.destination_owner, &key_account) {
            (Target::Destination, BucketOwner::Account(account), _)
            | (Target::SourceKey | Target::ReplicaKey, _, Ok(account)) => Owner::Account(account),
            (Target::Destination, BucketOwner::OtherAccount, _) => Owner::OtherAccount,
            (Target::Destination, BucketOwner::Unknown, _) => Owner::Unknown,
            (Target::Source, ..) | (Target::SourceKey | Target::ReplicaKey, _, Err(_)) => {
                Owner::Account(&self.identity.account)
            }
        };
        let context = self.context_of(call, owner);
        let request = Request {
            principal: &self.principal,
            action: call.action,
            resource: &call.resource,
            owner,
            context: &context,
        };
        let policies = Policies {
            identity: &self.role.identity,
            boundary: self.role.boundary.as_ref(),
            resource,
            unread: self.role.unread.iter().copied().chain(unread).collect(),
        };
        judge(&request, &policies)
    }

    /// The policy in front of what a call is made on, and its layer if it was not read.
    fn in_front(&self, call: &Call) -> (ResourcePolicy<'_>, Option<Layer>) {
        match call.target {
            Target::Source => of_bucket(&self.source),
            Target::Destination => of_bucket(&self.destination),
            Target::SourceKey | Target::ReplicaKey => {
                match call.resource.exact().and_then(|arn| self.keys.get(arn)) {
                    Some(key) => (
                        ResourcePolicy::Key { policy: key.policy.as_ref(), grants: &key.grants },
                        key.is_unread.then_some(Layer::KeyPolicy),
                    ),
                    None => {
                        (ResourcePolicy::Key { policy: None, grants: &[] }, Some(Layer::KeyPolicy))
                    }
                }
            }
        }
    }

    fn context_of(&self, call: &Call, owner: Owner) -> Context {
        let mut context = self.context.clone();
        // S3 calls KMS on the role's behalf. AWS does not document with which values of these keys.
        if matches!(call.target, Target::Source | Target::Destination) {
            context = context.with("aws:ViaAWSService", "false").without("aws:CalledVia");
            if let Owner::Account(owner) = owner {
                context = context.with("s3:ResourceAccount", owner.as_str());
            }
        }
        let values = call.context.iter();
        values.fold(context, |context, (key, value)| context.with_values(key, value.clone()))
    }
}

fn of_bucket(bucket: &InFront) -> (ResourcePolicy<'_>, Option<Layer>) {
    let unread = bucket.is_unread.then_some(Layer::BucketPolicy);
    (ResourcePolicy::Bucket(bucket.policy.as_ref()), unread)
}

/// What is known of every call with the role.
fn context_of_role(identity: &Identity, role: &RoleEvidence) -> Context {
    let context = Context::new()
        .with("aws:SecureTransport", "true")
        .with("aws:PrincipalType", "AssumedRole")
        .with("kms:CallerAccount", identity.account.as_str());
    let context = ABSENT.into_iter().fold(context, Context::without);
    role.role.tags.iter().fold(context, |context, (key, value)| {
        context.with(&format!("aws:PrincipalTag/{key}"), value.as_str())
    })
}
