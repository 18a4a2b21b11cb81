//! The reads of a diagnosis: each is made once, within the deadline, and never fails.
//!
//! It must not know what a diagnosis needs.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use futures_util::future::{OptionFuture, join_all};
use tokio::join;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::diagnose::{DestinationEvidence, KeyEvidence, RoleEvidence, Seen, Unread};
use crate::model::{
    Access, ApiError, BucketLocation, BucketName, Identity, KeyGrant, KeyReference, Region,
    ResourcePolicyTarget, RoleArn, RoleName,
};
use crate::ports::Inspect;
use crate::reconcile::Error;

/// Readings that several rules and buckets share: roles, keys, policies and destinations.
#[derive(Debug, Default)]
pub struct DiagnosisReads {
    identity: OnceCell<Identity>,
    own_buckets: OnceCell<Seen<Vec<String>>>,
    roles: Memo<Seen<Option<RoleEvidence>>>,
    managed_policies: Memo<Seen<Option<String>>>,
    keys: Memo<KeyEvidence>,
    grants: Memo<Seen<Vec<KeyGrant>>>,
    pub(super) destinations: Memo<DestinationEvidence>,
}

/// Readings by name. Of concurrent readers of one name, the first one reads, and the others wait.
#[derive(Debug)]
pub(super) struct Memo<V>(RefCell<HashMap<String, Rc<OnceCell<V>>>>);

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<V: Clone> Memo<V> {
    pub async fn get(&self, name: String, read: impl Future<Output = V>) -> V {
        let cell = Rc::clone(self.0.borrow_mut().entry(name).or_default());
        cell.get_or_init(|| read).await.clone()
    }
}

/// Reads through the port.
pub(super) struct Reader<'a, C> {
    pub cloud: &'a C,
    pub deadline: Instant,
    pub reads: &'a DiagnosisReads,
}

impl<C: Inspect> Reader<'_, C> {
    /// Reads the account and the partition of the caller.
    pub async fn identity(&self) -> Result<Identity, Error> {
        let read = self.reads.identity.get_or_try_init(|| self.cloud.identity());
        match timeout_at(self.deadline, read).await {
            Ok(identity) => Ok(identity.cloned()?),
            Err(_) => Err(Error::ReadOutOfTime),
        }
    }

    /// A reading, or why there is none.
    pub async fn seen<T>(&self, read: impl Future<Output = Result<T, ApiError>>) -> Seen<T> {
        match timeout_at(self.deadline, read).await {
            Ok(read) => read.map_err(|failure| Unread::of(&failure)),
            Err(_) => Err(Unread::undecided("a read", "the time ran out before AWS answered")),
        }
    }

    /// Reads the policy of a bucket.
    pub async fn bucket_policy(&self, location: &BucketLocation) -> Seen<Option<String>> {
        let target = ResourcePolicyTarget::Bucket(location.clone());
        self.seen(self.cloud.resource_policy(&target)).await
    }

    /// Reads whether the caller's account owns a bucket.
    pub async fn is_own(&self, bucket: &BucketName) -> Seen<bool> {
        let own = self.reads.own_buckets.get_or_init(|| async {
            let listed = self.seen(self.cloud.buckets()).await?;
            Ok(listed.into_iter().map(|bucket| bucket.name).collect())
        });
        match own.await {
            Ok(own) => Ok(own.iter().any(|name| name == bucket.as_str())),
            Err(unread) => Err(unread.clone()),
        }
    }

    /// Reads a role with all its policies.
    pub async fn role(&self, arn: &str, identity: &Identity) -> Seen<Option<RoleEvidence>> {
        self.reads.roles.get(arn.to_owned(), self.read_role(arn, identity)).await
    }

    async fn read_role(&self, arn: &str, identity: &Identity) -> Seen<Option<RoleEvidence>> {
        let unknown = |reason: String| Unread::undecided(format!("role `{arn}`"), reason);
        let account = RoleArn::parse(arn).map_err(|problem| unknown(format!("it {problem}")))?;
        if *account.account() != identity.account {
            return Err(unknown(format!(
                "it belongs to account {}; roles are read in the caller's account {} only",
                account.account(),
                identity.account
            )));
        }
        let name = RoleName::from_arn(arn).ok_or_else(|| unknown("it has no name".to_owned()))?;
        let Some(outline) = self.seen(self.cloud.role_outline(&name)).await? else {
            return Ok(None);
        };
        let mut role = outline.role.clone();
        // A role of this name under another path is another role.
        if role.arn != arn {
            return Ok(None);
        }
        let attached = std::mem::take(&mut role.attached);
        let managed = join_all(attached.iter().map(|arn| self.managed_policy(arn)));
        let boundary = role.boundary.as_deref().map(|arn| self.managed_policy(arn));
        let (inline, managed, boundary) = join!(
            self.seen(self.cloud.with_policies(outline)),
            managed,
            OptionFuture::from(boundary)
        );
        let managed: BTreeMap<String, Seen<Option<String>>> =
            attached.into_iter().zip(managed).collect();
        let inline = inline.map(|role| role.policies);
        Ok(Some(RoleEvidence { role, inline, managed, boundary }))
    }

    async fn managed_policy(&self, arn: &str) -> Seen<Option<String>> {
        let read = self.seen(self.cloud.managed_policy(arn));
        self.reads.managed_policies.get(arn.to_owned(), read).await
    }

    /// Reads a key and its policy. `access` is for another account; `region` is for a key that is not named by its ARN.
    pub async fn key(&self, id: &str, region: &Region, access: &Access) -> KeyEvidence {
        let name = format!("{id} {region}");
        self.reads.keys.get(name, self.read_key(id, region, access)).await
    }

    async fn read_key(&self, id: &str, region: &Region, access: &Access) -> KeyEvidence {
        let reference = KeyReference::parse(id).ok();
        let access = match &reference {
            Some(reference) => access.for_account(reference.account()),
            None => Access::Own,
        };
        let region = reference.as_ref().map_or(region, KeyReference::region);
        let key = self.seen(self.cloud.key(id, region, &access)).await;
        let mut evidence = KeyEvidence { id: id.to_owned(), key, policy: Ok(None), grants: None };
        if let Some(arn) = evidence.arn().filter(|_| evidence.key != Ok(None)) {
            let (arn, region) = (arn.to_owned(), region.clone());
            let target = ResourcePolicyTarget::Key { arn, region, access };
            evidence.policy = self.seen(self.cloud.resource_policy(&target)).await;
        }
        evidence
    }

    /// Reads the grants of a key.
    pub async fn grants(&self, arn: &str, access: &Access) -> Seen<Vec<KeyGrant>> {
        let Ok(reference) = KeyReference::parse(arn) else {
            return Err(Unread::undecided(format!("key `{arn}`"), "its ARN is malformed"));
        };
        let access = access.for_account(reference.account());
        let read = self.cloud.grants(arn, reference.region(), &access);
        self.reads.grants.get(arn.to_owned(), self.seen(read)).await
    }
}

/// A reading of objects, which does not decide about the verdict.
pub(super) fn of_objects<T>(seen: Seen<T>) -> Seen<T> {
    seen.map_err(Unread::of_objects)
}
