//! Reads the destination of a rule, which may be in another account.

use futures_util::future::OptionFuture;
use tokio::join;

use super::Collector;
use crate::diagnose::{
    AbroadSettings, DestinationEvidence, DestinationSettings, Seen, SourceEvidence, Unread,
};
use crate::model::{Access, Account, BucketLocation, BucketName, ReplicationRule, Versioning};
use crate::ports::Inspect;

/// What to do about a read that another account denies.
const ABROAD: &str = "another account owns it, whose credentials `--destination-profile` or `DestinationRoleArn` gives";

/// A read that another account denies, with what to do about it.
fn of_other_account(unread: Unread) -> Unread {
    let reason = match unread.right {
        Some(_) => format!("{}; {ABROAD}", unread.reason),
        None => unread.reason,
    };
    Unread { reason, ..unread }
}

impl<C: Inspect> Collector<'_, C> {
    pub(super) async fn destination(
        &self,
        rule: &ReplicationRule,
        source: &SourceEvidence,
    ) -> DestinationEvidence {
        let name = rule.destination_bucket().unwrap_or_default();
        let account = rule.destination_account().and_then(|account| Account::parse(account).ok());
        let object_lock = source.object_lock == Ok(true);
        let key = format!("{name} {account:?} {object_lock}");
        let read = self.read_destination(name, account.as_ref(), object_lock);
        self.reader.reads.destinations.get(key, read).await
    }

    /// Reads the destination with the credentials for the account that the rule names, or else with each that there are.
    async fn read_destination(
        &self,
        name: &str,
        account: Option<&Account>,
        object_lock: bool,
    ) -> DestinationEvidence {
        let evidence = |location, is_own, settings| DestinationEvidence {
            name: name.to_owned(),
            location,
            is_own,
            settings,
        };
        let bucket = match BucketName::parse_name_or_arn(name) {
            Ok(bucket) => bucket,
            Err(problem) => {
                let problem = format!("its `Destination.Bucket` {problem}");
                let unread = Unread::undecided("the rule's destination", problem);
                return evidence(Err(unread.clone()), Err(unread), None);
            }
        };
        let own = &self.identity.account;
        let accounts: Vec<&Account> = match account {
            Some(account) => vec![account],
            None => std::iter::once(own).chain(self.request.access.account()).collect(),
        };
        let mut denied = None;
        for owner in accounts {
            let access = self.request.access.for_account(owner);
            let (cloud, expected) = (self.reader.cloud, self.request.region);
            let region = cloud.bucket_region(&bucket, expected, owner, &access);
            let region = match self.reader.seen(region).await {
                Ok(Some(region)) => region,
                Ok(None) => return evidence(Ok(None), Ok(false), None),
                Err(unread) => {
                    denied = denied.or(Some((Err(unread), None)));
                    continue;
                }
            };
            let location =
                BucketLocation { bucket: bucket.clone(), region, owner: owner.clone(), access };
            // The request names the expected owner, so it fails for a bucket of another account.
            let versioning = self.reader.seen(self.reader.cloud.versioning(&location)).await;
            if versioning.is_ok() {
                let is_own = owner == own;
                let settings = self.settings(&location, versioning, is_own, object_lock).await;
                return evidence(Ok(Some(location)), Ok(is_own), Some(settings));
            }
            denied = Some((Ok(Some(location)), Some(versioning)));
        }
        let (location, versioning) = denied.unwrap_or((Ok(None), None));
        let is_own = self.reader.is_own(&bucket).await;
        match (location, versioning) {
            (Ok(Some(location)), Some(versioning)) if is_own == Ok(true) => {
                let (location, versioning) = self.as_own(location, versioning).await;
                let settings = self.settings(&location, versioning, true, object_lock).await;
                evidence(Ok(Some(location)), is_own, Some(settings))
            }
            (Ok(_), Some(Err(unread))) | (Err(unread), _) => {
                let unread = if is_own == Ok(false) { of_other_account(unread) } else { unread };
                evidence(Err(unread), is_own, None)
            }
            (Ok(location), None | Some(Ok(_))) => evidence(Ok(location), is_own, None),
        }
    }

    /// The location of an own bucket that the rule says another account owns, and its versioning.
    async fn as_own(
        &self,
        location: BucketLocation,
        versioning: Seen<Versioning>,
    ) -> (BucketLocation, Seen<Versioning>) {
        let own = self.identity.account.clone();
        if location.owner == own {
            return (location, versioning);
        }
        let location = BucketLocation { owner: own, access: Access::Own, ..location };
        let versioning = self.reader.seen(self.reader.cloud.versioning(&location)).await;
        (location, versioning)
    }

    async fn settings(
        &self,
        location: &BucketLocation,
        versioning: Seen<Versioning>,
        is_own: bool,
        object_lock: bool,
    ) -> DestinationSettings {
        let (reader, cloud) = (&self.reader, self.reader.cloud);
        let lock = object_lock.then(|| reader.seen(cloud.object_lock(location)));
        let abroad = (!is_own).then_some(async {
            let (ownership, requester_pays) = join!(
                reader.seen(cloud.object_ownership(location)),
                reader.seen(cloud.requester_pays(location)),
            );
            AbroadSettings { ownership, requester_pays }
        });
        let (encryption, policy, replication, object_lock, abroad) = join!(
            reader.seen(cloud.encryption(location)),
            reader.bucket_policy(location),
            reader.seen(cloud.replication(location)),
            OptionFuture::from(lock),
            OptionFuture::from(abroad),
        );
        let replicates = replication.map(|found| found.is_some());
        DestinationSettings { versioning, encryption, object_lock, policy, replicates, abroad }
    }
}
