//! The destination's account, where it is another: what of it can be seen, and the policies there in which a rule has statements.

use futures_util::future::try_join_all;

use super::Engine;
use crate::cloud::{Cloud, CloudError, Guarded, Identity, Key, Location};
use crate::grants::{GrantedDestination, PolicyDocument};
use crate::plan::{Destination, Guard, Roles};
use crate::spec::{Access, Account, KeyReference, Region, RuleAddress, Spec};

/// What was read, or that reading it was denied.
pub(super) type Sight<T> = Result<Option<T>, CloudError>;

/// Awaits a read whose refusal for want of a right may be no failure: [`of_destination`] says whether it is.
pub(super) async fn unless_denied<T>(read: impl Future<Output = Sight<T>>) -> Result<Sight<T>, CloudError> {
    match read.await {
        Err(failure) if !failure.is_denied() => Err(failure),
        sight => Ok(sight),
    }
}

/// What was read of something that `owner` owns. A denial is noted in `unseen` when it is another account's and no role of
/// that account is known, else it is a failure.
pub(super) fn of_destination<T>(
    sight: Sight<T>,
    owner: &Account,
    spec: &Spec,
    identity: &Identity,
    unseen: &mut Vec<CloudError>,
) -> Sight<T> {
    let is_out_of_reach = *owner != identity.account && spec.destination_access.to(owner) == Access::Own;
    match sight {
        Err(failure) if is_out_of_reach => {
            unseen.push(failure);
            Ok(None)
        }
        sight => sight,
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// The policies in the destination's account in which the rule is to have statements, and those in which it has had them.
    pub(super) async fn cross_account_policies(
        &self,
        spec: &Spec,
        identity: &Identity,
        destination: Option<&Destination>,
        replica_key: Option<&Key>,
        roles: &Roles,
    ) -> Result<Vec<Guard>, CloudError> {
        let access = &spec.destination_access;
        let Some(account) = access.account().filter(|account| **account != identity.account) else { return Ok(Vec::new()) };
        let bucket = destination.map(|destination| Guarded::Bucket(destination.location.clone()));
        let key = replica_key.and_then(|key| guarded_key(&key.arn, account, access));
        let mut guarded: Vec<Guarded> = bucket.into_iter().chain(key).collect();
        for earlier in roles.grants(&spec.rule).iter().flat_map(PolicyDocument::destinations) {
            let earlier = self.guarded_by(&earlier, access, &spec.destination_region).await?;
            let more: Vec<Guarded> = earlier.into_iter().filter(|earlier| !guarded.contains(earlier)).collect();
            guarded.extend(more);
        }
        self.guards(guarded).await
    }

    /// The policies in the destination's account in which a rule that is to be removed has statements.
    pub(super) async fn policies_left(
        &self,
        rule: &RuleAddress,
        access: &Access,
        roles: &Roles,
        expected: &Region,
    ) -> Result<Vec<Guard>, CloudError> {
        let destinations: Vec<GrantedDestination> = roles.grants(rule).iter().flat_map(PolicyDocument::destinations).collect();
        let guarded = try_join_all(destinations.iter().map(|destination| self.guarded_by(destination, access, expected))).await?;
        self.guards(guarded.concat()).await
    }

    /// The bucket and the key of a destination; nothing when its key says that they are of another account than the one that is accessed. What the
    /// rule has in policies there stays.
    async fn guarded_by(&self, granted: &GrantedDestination, access: &Access, expected: &Region) -> Result<Vec<Guarded>, CloudError> {
        let Some(account) = access.account() else { return Ok(Vec::new()) };
        if account_of(granted).is_some_and(|other| other != *account) {
            return Ok(Vec::new());
        }
        let region = self.cloud.bucket_region(&granted.bucket, expected, access).await?;
        let (owner, bucket) = (account.clone(), granted.bucket.clone());
        let bucket = region.map(|region| Guarded::Bucket(Location { bucket, region, owner, access: access.clone() }));
        let key = granted.key.as_ref().and_then(|arn| guarded_key(arn, account, access));
        Ok(bucket.into_iter().chain(key).collect())
    }

    async fn guards(&self, guarded: Vec<Guarded>) -> Result<Vec<Guard>, CloudError> {
        let policies = try_join_all(guarded.iter().map(|guarded| self.cloud.policy(guarded))).await?;
        Ok(guarded.into_iter().zip(policies).map(|(guarded, policy)| Guard { guarded, policy }).collect())
    }
}

/// The account of a destination, as far as its key tells.
fn account_of(destination: &GrantedDestination) -> Option<Account> {
    let key = destination.key.as_deref().and_then(|arn| KeyReference::parse(arn).ok());
    key.map(|key| key.account().clone())
}

/// A key, when it is `account`'s.
fn guarded_key(arn: &str, account: &Account, access: &Access) -> Option<Guarded> {
    let key = KeyReference::parse(arn).ok().filter(|key| key.account() == account)?;
    Some(Guarded::Key { arn: arn.to_owned(), region: key.region().clone(), access: access.clone() })
}
