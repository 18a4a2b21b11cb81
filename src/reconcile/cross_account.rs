//! Reads in the destination's account, where it is another: what can be read of the destination, and the policies there in which a
//! rule has statements.

use futures_util::future::try_join_all;

use super::snapshot::SnapshotReader;
use crate::iam_policy::{GrantedDestination, PolicyDocument};
use crate::model::{
    Access, Account, ApiError, Identity, Key, KeyReference, Location, PolicyTarget, Region,
    RuleAddress,
};
use crate::plan::{Destination, Roles, TargetPolicy};
use crate::ports::Read;
use crate::spec::Spec;

/// What was read, or that access was denied.
pub(super) type ReadResult<T> = Result<Option<T>, ApiError>;

/// Awaits a read of which a denial may be no failure: [`destination_read`] decides that later.
pub(super) async fn allow_access_denied<T>(
    read: impl Future<Output = ReadResult<T>>,
) -> Result<ReadResult<T>, ApiError> {
    match read.await {
        Err(failure) if !failure.is_denied() => Err(failure),
        result => Ok(result),
    }
}

/// The result of reading something that `owner` owns. A denial goes to `denied_reads` when `owner` is another account of which no
/// role is known; otherwise it is a failure.
pub(super) fn destination_read<T>(
    result: ReadResult<T>,
    owner: &Account,
    spec: &Spec,
    identity: &Identity,
    denied_reads: &mut Vec<ApiError>,
) -> ReadResult<T> {
    let is_out_of_reach =
        *owner != identity.account && spec.destination_access.for_account(owner) == Access::Own;
    match result {
        Err(failure) if is_out_of_reach => {
            denied_reads.push(failure);
            Ok(None)
        }
        result => result,
    }
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the policies in the destination's account that are to have statements of the rule, and those that have had them.
    pub(super) async fn cross_account_policies(
        &self,
        spec: &Spec,
        identity: &Identity,
        destination: Option<&Destination>,
        replica_key: Option<&Key>,
        roles: &Roles,
    ) -> Result<Vec<TargetPolicy>, ApiError> {
        let access = &spec.destination_access;
        let Some(account) = access.account().filter(|account| **account != identity.account) else {
            return Ok(Vec::new());
        };
        let bucket =
            destination.map(|destination| PolicyTarget::Bucket(destination.location.clone()));
        let key = replica_key.and_then(|key| key_of_account(&key.arn, account, access));
        let mut targets: Vec<PolicyTarget> = bucket.into_iter().chain(key).collect();
        for earlier in roles.grants(&spec.rule).iter().flat_map(PolicyDocument::destinations) {
            let earlier = self.policy_targets(&earlier, access, &spec.destination_region).await?;
            let more: Vec<PolicyTarget> =
                earlier.into_iter().filter(|earlier| !targets.contains(earlier)).collect();
            targets.extend(more);
        }
        self.target_policies(targets).await
    }

    /// Reads the policies in the destination's account that have statements of a rule to delete.
    pub(super) async fn policies_with_statements(
        &self,
        rule: &RuleAddress,
        access: &Access,
        roles: &Roles,
        expected: &Region,
    ) -> Result<Vec<TargetPolicy>, ApiError> {
        let destinations: Vec<GrantedDestination> =
            roles.grants(rule).iter().flat_map(PolicyDocument::destinations).collect();
        let targets = destinations
            .iter()
            .map(|destination| self.policy_targets(destination, access, expected));
        self.target_policies(try_join_all(targets).await?.concat()).await
    }

    /// The bucket and the key of a destination; nothing when its key is of another account than the accessed one. The rule's
    /// statements there stay.
    async fn policy_targets(
        &self,
        granted: &GrantedDestination,
        access: &Access,
        expected: &Region,
    ) -> Result<Vec<PolicyTarget>, ApiError> {
        let Some(account) = access.account() else {
            return Ok(Vec::new());
        };
        if key_account(granted).is_some_and(|other| other != *account) {
            return Ok(Vec::new());
        }
        let region = self.cloud.bucket_region(&granted.bucket, expected, access).await?;
        let (owner, bucket) = (account.clone(), granted.bucket.clone());
        let location =
            region.map(|region| Location { bucket, region, owner, access: access.clone() });
        let key = granted.key.as_ref().and_then(|arn| key_of_account(arn, account, access));
        Ok(location.map(PolicyTarget::Bucket).into_iter().chain(key).collect())
    }

    async fn target_policies(
        &self,
        targets: Vec<PolicyTarget>,
    ) -> Result<Vec<TargetPolicy>, ApiError> {
        let policies = try_join_all(targets.iter().map(|target| self.cloud.policy(target))).await?;
        Ok(targets
            .into_iter()
            .zip(policies)
            .map(|(target, policy)| TargetPolicy { target, policy })
            .collect())
    }
}

/// The account of a destination, as far as its key shows it.
fn key_account(destination: &GrantedDestination) -> Option<Account> {
    let key = destination.key.as_deref().and_then(|arn| KeyReference::parse(arn).ok());
    key.map(|key| key.account().clone())
}

/// A key, when `account` owns it.
fn key_of_account(arn: &str, account: &Account, access: &Access) -> Option<PolicyTarget> {
    let key = KeyReference::parse(arn).ok().filter(|key| key.account() == account)?;
    Some(PolicyTarget::Key {
        arn: arn.to_owned(),
        region: key.region().clone(),
        access: access.clone(),
    })
}
