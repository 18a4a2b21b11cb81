//! A request, and the policies that apply to it.

use std::collections::BTreeSet;

use super::context::{Context, Known};
use super::decision::Layer;
use super::document::Policy;
use super::grant::Grant;
use super::principal::Principal;
use super::text::Text;
use crate::model::Account;

/// One request to AWS.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What for, such as `s3:ReplicateObject`.
    pub action: &'a str,
    /// The ARN of the bucket, object, key or role.
    pub resource: &'a Text,
    /// Who owns the resource, which the ARN of a bucket does not name.
    pub owner: Owner<'a>,
    /// What the request carries. The keys `aws:PrincipalArn`, `aws:PrincipalAccount`, `aws:PrincipalIsAWSService` and `aws:ResourceAccount`
    /// come from the fields above unless they are here.
    pub context: &'a Context,
}

/// The account that owns a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// This account.
    Account(&'a Account),
    /// Another account than that of the one who asks; which one is not known.
    OtherAccount,
    /// It is not known.
    Unknown,
}

/// The policies that apply to a request.
#[derive(Debug, Clone, Default)]
pub struct Policies<'a> {
    /// The inline and managed policies of the one who asks.
    pub identity: &'a [Policy],
    /// The permissions boundary of the one who asks.
    pub boundary: Option<&'a Policy>,
    /// The policy of the resource.
    pub resource: ResourcePolicy<'a>,
    /// The layers of which a policy exists, or may exist, that could not be read. What was read of such a layer still counts.
    pub unread: BTreeSet<Layer>,
}

/// The policy of a resource, by the kind of resource, which decides how it combines with the other layers.
#[derive(Debug, Clone, Copy)]
pub enum ResourcePolicy<'a> {
    /// Of a bucket, which need not have one. In the same account it is enough that one layer allows.
    Bucket(Option<&'a Policy>),
    /// Of a key. It must allow, be it by letting the account's identity policies decide. `None` only if it is unread.
    Key {
        /// The key policy.
        policy: Option<&'a Policy>,
        /// The key's grants.
        grants: &'a [Grant],
    },
    /// Of a role that is assumed. It decides like a key's policy. `None` only if it is unread.
    Trust(Option<&'a Policy>),
}

impl Default for ResourcePolicy<'_> {
    fn default() -> Self {
        Self::Bucket(None)
    }
}

impl<'a> ResourcePolicy<'a> {
    pub(super) fn layer(&self) -> Layer {
        match self {
            Self::Bucket(_) => Layer::BucketPolicy,
            Self::Key { .. } => Layer::KeyPolicy,
            Self::Trust(_) => Layer::TrustPolicy,
        }
    }

    fn policy(&self) -> Option<&'a Policy> {
        match self {
            Self::Bucket(policy) | Self::Key { policy, .. } | Self::Trust(policy) => *policy,
        }
    }

    pub(super) fn grants(&self) -> &'a [Grant] {
        match self {
            Self::Key { grants, .. } => grants,
            Self::Bucket(_) | Self::Trust(_) => &[],
        }
    }
}

impl Request<'_> {
    /// What is known of a condition key.
    pub(super) fn key(&self, key: &str) -> Known<'_> {
        self.context.get(key)
    }

    /// The context with the keys that follow from the principal and the resource.
    pub(super) fn completed_context(&self) -> Context {
        let derived = match self.principal {
            Principal::Service(name) => Context::new()
                .without("aws:PrincipalArn")
                .without("aws:PrincipalAccount")
                .with("aws:PrincipalServiceName", name.as_str())
                .with("aws:PrincipalIsAWSService", "true"),
            Principal::RoleSession { .. } | Principal::User { .. } => Context::new()
                .with_values("aws:PrincipalArn", self.principal.arn().map(str::to_owned))
                .with_values(
                    "aws:PrincipalAccount",
                    self.principal.account().map(ToString::to_string),
                )
                .with("aws:PrincipalIsAWSService", "false"),
        };
        let derived = match self.owner {
            Owner::Account(owner) => derived.with("aws:ResourceAccount", owner.as_str()),
            Owner::OtherAccount | Owner::Unknown => derived,
        };
        derived.overlaid(self.context)
    }
}

impl<'a> Policies<'a> {
    /// Every policy with its layer.
    pub(super) fn by_layer(&self) -> impl Iterator<Item = (Layer, &'a Policy)> {
        let identity = self.identity.iter().map(|policy| (Layer::Identity, policy));
        let boundary = self.boundary.into_iter().map(|policy| (Layer::Boundary, policy));
        let layer = self.resource.layer();
        let resource = self.resource.policy().into_iter().map(move |policy| (layer, policy));
        identity.chain(boundary).chain(resource)
    }
}
