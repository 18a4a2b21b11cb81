//! Reads in the destination's account when that is another account: the destination, and the policies that have statements of the
//! rule.
//!
//! It must not know what those statements contain: [`crate::iam_policy`] knows.

use futures_util::future::try_join_all;

use super::snapshot::SnapshotReader;
use crate::config::Policy;
use crate::iam_policy::{GrantedDestination, RolePolicyDocument};
use crate::model::{
    Access, Account, ApiError, BucketLocation, BucketName, Identity, Key, KeyReference, Region,
    ResourcePolicyTarget, Retry, RuleAddress,
};
use crate::plan::{self, Action, Destination, ResourcePolicySnapshot, Roles};
use crate::ports::Read;
use crate::spec::Spec;

/// The result of a read whose denial may be acceptable.
pub(super) type ReadResult<T> = Result<Option<T>, ApiError>;

/// Fails for any failure but a denial, which is returned for [`DeniedReads::accept`] to decide about.
pub(super) async fn allow_access_denied<T>(
    read: impl Future<Output = ReadResult<T>>,
) -> Result<ReadResult<T>, ApiError> {
    match read.await {
        Err(failure) if !failure.is_denied() => Err(failure),
        result => Ok(result),
    }
}

/// Decides about denied reads in the destination's account, and collects those that are accepted.
pub(super) struct DeniedReads<'a> {
    spec: &'a Spec,
    identity: &'a Identity,
    accepted: Vec<ApiError>,
}

impl<'a> DeniedReads<'a> {
    pub(super) fn new(spec: &'a Spec, identity: &'a Identity) -> Self {
        Self { spec, identity, accepted: Vec::new() }
    }

    /// Accepts a denied read of something that `owner` owns when `owner` is another account of which no role or credentials are
    /// configured. Any other denial is a failure.
    pub(super) fn accept<T>(&mut self, result: ReadResult<T>, owner: &Account) -> ReadResult<T> {
        let is_inaccessible = *owner != self.identity.account
            && self.spec.destination_access.for_account(owner) == Access::Own;
        match result {
            Err(failure) if is_inaccessible => {
                self.accepted.push(failure);
                Ok(None)
            }
            result => result,
        }
    }

    pub(super) fn into_accepted(self) -> Vec<ApiError> {
        self.accepted
    }
}

/// What was read of the destination.
pub(super) struct DestinationReads<'a> {
    pub bucket: Option<&'a Destination>,
    pub replica_key: Option<&'a Key>,
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the policies in the destination's account that must have statements of the rule, and those that had them for an
    /// earlier destination.
    pub(super) async fn cross_account_policies(
        &self,
        spec: &Spec,
        identity: &Identity,
        destination: &DestinationReads<'_>,
        roles: &Roles,
    ) -> Result<Vec<ResourcePolicySnapshot>, ApiError> {
        let access = &spec.destination_access;
        let Some(account) = access.account().filter(|account| **account != identity.account) else {
            return Ok(Vec::new());
        };
        let bucket =
            destination.bucket.map(|bucket| ResourcePolicyTarget::Bucket(bucket.location.clone()));
        let key = destination.replica_key.and_then(|key| key_of_account(&key.arn, account, access));
        let mut targets: Vec<ResourcePolicyTarget> = bucket.into_iter().chain(key).collect();
        for earlier in roles.grants(&spec.rule).iter().flat_map(RolePolicyDocument::destinations) {
            let earlier =
                self.resource_policy_targets(&earlier, access, &spec.destination_region).await?;
            for target in earlier {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        self.read_resource_policies(targets).await
    }

    /// Reads the policies in the destination's account that may have statements of a rule to delete.
    pub(super) async fn policies_with_statements(
        &self,
        rule: &RuleAddress,
        access: &Access,
        roles: &Roles,
        expected: &Region,
    ) -> Result<Vec<ResourcePolicySnapshot>, ApiError> {
        let destinations: Vec<GrantedDestination> =
            roles.grants(rule).iter().flat_map(RolePolicyDocument::destinations).collect();
        let targets = destinations
            .iter()
            .map(|destination| self.resource_policy_targets(destination, access, expected));
        let policies =
            async { self.read_resource_policies(try_join_all(targets).await?.concat()).await };
        policies.await.map_err(|failure| explain_unreachable(failure, rule, &destinations))
    }

    /// The actions that remove the statements of all rules of the policy that match the bucket's name.
    pub(super) async fn statements_to_remove(
        &self,
        policy: &Policy,
        bucket: &BucketName,
        roles: &Roles,
        expected: &Region,
    ) -> Result<Vec<Action>, ApiError> {
        let mut actions = Vec::new();
        for rule in policy.rules_for_name(bucket) {
            let (address, access) = (rule.address(bucket), rule.destination_access(bucket));
            let policies =
                self.policies_with_statements(&address, &access, roles, expected).await?;
            actions.extend(plan::remove_statements(&address, &policies));
        }
        Ok(actions)
    }

    /// Returns the bucket and the key of a granted destination. Returns nothing when the key belongs to an account other than the
    /// accessed one: that account's policies keep the rule's statements.
    async fn resource_policy_targets(
        &self,
        granted: &GrantedDestination,
        access: &Access,
        expected: &Region,
    ) -> Result<Vec<ResourcePolicyTarget>, ApiError> {
        let Some(account) = access.account() else {
            return Ok(Vec::new());
        };
        if key_account(granted).is_some_and(|other| other != *account) {
            return Ok(Vec::new());
        }
        let region = self.cloud.bucket_region(&granted.bucket, expected, account, access).await?;
        let (owner, bucket) = (account.clone(), granted.bucket.clone());
        let location =
            region.map(|region| BucketLocation { bucket, region, owner, access: access.clone() });
        let key = granted.key.as_ref().and_then(|arn| key_of_account(arn, account, access));
        Ok(location.map(ResourcePolicyTarget::Bucket).into_iter().chain(key).collect())
    }

    async fn read_resource_policies(
        &self,
        targets: Vec<ResourcePolicyTarget>,
    ) -> Result<Vec<ResourcePolicySnapshot>, ApiError> {
        let policies =
            try_join_all(targets.iter().map(|target| self.cloud.resource_policy(target))).await?;
        Ok(targets
            .into_iter()
            .zip(policies)
            .map(|(target, policy)| ResourcePolicySnapshot { target, policy })
            .collect())
    }
}

/// Adds to a failure to assume the role what remains, and how to go on without the role.
fn explain_unreachable(
    failure: ApiError,
    rule: &RuleAddress,
    destinations: &[GrantedDestination],
) -> ApiError {
    if failure.operation != "AssumeRole" || failure.retry != Retry::Never {
        return failure;
    }
    let keys = destinations.iter().filter_map(|granted| granted.key.as_ref());
    let keys = keys.map(|key| format!("key `{key}`"));
    let buckets = destinations.iter().map(|granted| format!("bucket `{}`", granted.bucket));
    let targets: Vec<String> = buckets.chain(keys).collect();
    let message = format!(
        "{}; nothing was deleted: rule `{rule}`, its role, and its statements `{}` in the policies of {} remain; restore the role and repeat the \
         request, or make the request without `DestinationRoleArn` and remove these statements by hand",
        failure.message,
        rule.sid(),
        targets.join(", ")
    );
    ApiError { message, ..failure }
}

/// The account of a destination's key; `None` when the destination has no key ARN.
fn key_account(destination: &GrantedDestination) -> Option<Account> {
    let key = destination.key.as_deref().and_then(|arn| KeyReference::parse(arn).ok());
    key.map(|key| key.account().clone())
}

/// The policy of a key; `None` unless `account` owns the key.
fn key_of_account(arn: &str, account: &Account, access: &Access) -> Option<ResourcePolicyTarget> {
    let key = KeyReference::parse(arn).ok().filter(|key| key.account() == account)?;
    Some(ResourcePolicyTarget::Key {
        arn: arn.to_owned(),
        region: key.region().clone(),
        access: access.clone(),
    })
}
