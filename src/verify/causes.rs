//! The causes of a failed replication, in the state of everything that S3 needs.
//!
//! It must not know how the state is read.

use std::collections::BTreeSet;

use super::canary::filter;
use super::inline_policy::rule_policy;
use crate::iam_policy::{self, BucketInRegion, Grants, RolePolicyDocument};
use crate::model::{
    BucketLocation, Identity, Key, ReplicationRule, Role, RoleName, RuleAddress, Versioning,
};
use crate::plan;

/// The state of everything that S3 needs to replicate a canary, read after S3 could not replicate one.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The account and the partition of the caller.
    pub identity: &'a Identity,
    /// The source bucket and the rule's id.
    pub address: &'a RuleAddress,
    /// The rule in the bucket's replication configuration.
    pub rule: &'a ReplicationRule,
    /// The source bucket and its versioning.
    pub source: (&'a BucketLocation, Versioning),
    /// The destination bucket and its versioning.
    pub destination: (&'a BucketLocation, Versioning),
    /// ARN and state of the key that encrypts the canary; without state if the key does not exist.
    pub source_key: Option<(&'a str, Option<Key>)>,
    /// ARN and state of the key that encrypts replicas; without state if the key does not exist.
    pub replica_key: Option<(&'a str, Option<Key>)>,
    /// ARN of the role in the replication configuration.
    pub role_arn: &'a str,
    /// That role; `None` if it does not exist.
    pub role: Option<Role>,
}

/// What is left to check when no cause is seen.
pub const NO_CAUSE: &str = "versioning, the keys' states, the role's trust policy and the rule's inline policy are right; check the policies of the keys \
     and of the destination bucket, and the role's permissions boundary";

impl Evidence<'_> {
    /// The causes of the failure, as far as the rule and what this program made for it show them.
    pub fn causes(&self) -> Vec<String> {
        [self.versioning(), self.keys(), self.role()].concat()
    }

    fn versioning(&self) -> Vec<String> {
        let off = [&self.source, &self.destination]
            .into_iter()
            .filter(|(_, versioning)| *versioning != Versioning::Enabled);
        off.map(|(location, versioning)| {
            format!("versioning of bucket `{}` is {versioning:?}", location.bucket)
        })
        .collect()
    }

    fn keys(&self) -> Vec<String> {
        let keys = [("the canary's key", &self.source_key), ("the replica key", &self.replica_key)];
        let unusable = keys.into_iter().filter_map(|(name, key)| {
            let (arn, key) = key.as_ref()?;
            plan::check_usable(name, arn, key.as_ref()).err()
        });
        unusable.map(|refusal| refusal.to_string()).collect()
    }

    fn role(&self) -> Vec<String> {
        let arn = self.role_arn;
        let Some(role) = &self.role else {
            return vec![format!("role `{arn}` does not exist")];
        };
        let mut causes = Vec::new();
        // A foreign role may have a different trust policy that also works.
        let source = &self.source.0.bucket;
        let is_own = role.name == RoleName::for_source(source)
            || Some(&role.name) == RoleName::for_source_of_0_1_0(source).as_ref();
        if is_own && !iam_policy::is_own_trust(&role.trust) {
            causes.push(format!("the trust policy of role `{arn}` was changed"));
        }
        match rule_policy(self.address, role) {
            None => causes.push(format!("role `{arn}` has no inline policy of this rule")),
            Some(policy) if !self.is_granted_by(policy) => causes.push(format!(
                "the rule's inline policy in role `{arn}` does not grant what the rule needs"
            )),
            Some(_) => {}
        }
        causes
    }

    /// Whether an inline policy grants what the rule needs to replicate the canary.
    fn is_granted_by(&self, policy: &str) -> bool {
        let Some(policy) = RolePolicyDocument::parse(policy) else {
            return false;
        };
        // A rule without KMS does not have the replica key that its policy was made for, so the policy cannot be compared.
        let Some((replica_key, _)) = self.replica_key else {
            return true;
        };
        let mut source_keys: BTreeSet<String> = policy.source_keys();
        source_keys.extend(self.source_key.as_ref().map(|(arn, _)| (*arn).to_owned()));
        let needed = Grants {
            partition: self.identity.partition,
            source: bucket_in_region(self.source.0),
            destination: bucket_in_region(self.destination.0),
            destination_account: &self.destination.0.owner,
            prefix: &filter(self.rule).prefix,
            source_keys: &source_keys,
            replica_key,
            object_lock: false,
            owner_override: self.rule.overrides_owner(),
        };
        policy.covers(&needed.document())
    }
}

fn bucket_in_region(location: &BucketLocation) -> BucketInRegion<'_> {
    BucketInRegion { bucket: &location.bucket, region: &location.region }
}
