//! The canary that verifies a rule, its encryption, and the buckets that it reaches.
//!
//! It must not know whether the canary was replicated: [`super::verify`] judges that.

use futures_util::future::try_join_all;
use tokio::try_join;

use super::canary_removal::CanaryTraces;
use super::snapshot::own_location;
use super::verify::Verification;
use super::{Engine, Error};
use crate::model::{
    Access, Account, BucketLocation, Canary, Encryption, Identity, KeyReference, Region,
    ReplicationRule, RoleName, RuleAddress,
};
use crate::plan::Refusal;
use crate::ports::Cloud;
use crate::spec::{Invalid, Spec};
use crate::verify;

/// The rule that a canary verifies, and every bucket that the canary reaches.
pub(super) struct CanarySites {
    pub identity: Identity,
    pub rule: ReplicationRule,
    pub role_arn: String,
    pub replica_key: Option<String>,
    pub canary: Canary,
    /// The object key of a canary of version 0.1.0.
    pub former_key: String,
    /// What the canary cannot show, as one sentence for each thing.
    pub warnings: Vec<String>,
    pub source: BucketLocation,
    /// The destination of the verified rule.
    pub destination: BucketLocation,
    /// The destinations of other rules that replicate the canary.
    pub other_destinations: Vec<BucketLocation>,
}

impl CanarySites {
    /// All buckets that the canary reaches; the source is the first.
    fn locations(&self) -> impl Iterator<Item = &BucketLocation> {
        [&self.source].into_iter().chain(self.destinations())
    }

    fn destinations(&self) -> impl Iterator<Item = &BucketLocation> {
        [&self.destination].into_iter().chain(&self.other_destinations)
    }

    /// Where versions of the canary may be.
    pub(super) fn traces(&self) -> CanaryTraces {
        CanaryTraces {
            key: self.canary.key.clone(),
            former_key: self.former_key.clone(),
            source: Some(self.source.clone()),
            destinations: self.destinations().cloned().collect(),
        }
    }
}

/// The object key of the canary that verifies a rule.
pub(super) fn canary_key(spec: &Spec) -> Result<String, Error> {
    let key = spec.rule.canary_key(&spec.filter.prefix);
    Ok(key.map_err(|problem| Invalid::new("Prefix", problem))?)
}

impl<C: Cloud> Engine<'_, C> {
    /// Finds the rule and every bucket that the canary will reach.
    pub(super) async fn canary_sites(
        &self,
        verification: &Verification<'_>,
        expected: &Region,
    ) -> Result<CanarySites, Error> {
        let RuleAddress { source: bucket, id } = verification.rule;
        let identity = self.cloud.identity().await?;
        let region =
            self.cloud.bucket_region(bucket, expected, &identity.account, &Access::Own).await?;
        let region = region.ok_or_else(|| Refusal::SourceMissing { bucket: bucket.clone() })?;
        let source = own_location(bucket, region, &identity);
        let configuration = self.cloud.replication(&source).await?;
        let rule = configuration.as_ref().and_then(|found| found.rule(id.as_str()));
        let (Some(configuration), Some(rule)) = (&configuration, rule) else {
            return Err(Refusal::rule_missing(verification.rule, configuration.as_ref()).into());
        };
        if !rule.is_enabled() {
            return Err(Refusal::RuleDisabled { bucket: bucket.clone(), rule: id.clone() }.into());
        }
        let CanaryKey { key, warning } =
            self.canary_encryption(verification, rule, &source, configuration.role()).await?;
        let canary = verify::canary(verification.rule, rule, key.as_ref())?;
        let former_key = verify::former_key(verification.rule, rule);
        let replica_key = verify::destination(rule)?.1.map(str::to_owned);
        let others = configuration
            .rules()
            .filter(|other| other.id() != rule.id() && verify::selects(other, &canary));
        let others = others
            .map(|other| self.destination_location(other, &source, &identity, verification.access));
        let destination = self.destination_location(rule, &source, &identity, verification.access);
        let (destination, other_destinations) = try_join!(destination, try_join_all(others))?;
        let (role_arn, rule) = (configuration.role().to_owned(), rule.clone());
        let sites = CanarySites {
            identity,
            rule,
            role_arn,
            replica_key,
            canary,
            former_key,
            warnings: warning.into_iter().collect(),
            source,
            destination,
            other_destinations,
        };
        self.refuse_object_lock(&sites).await.map(|()| sites)
    }

    /// Finds the destination bucket of a rule.
    pub(super) async fn destination_location(
        &self,
        rule: &ReplicationRule,
        source: &BucketLocation,
        identity: &Identity,
        access: &Access,
    ) -> Result<BucketLocation, Error> {
        let expected = expected_destination(rule, source, identity, access)?;
        let BucketLocation { bucket, region, owner, access } = &expected;
        let region = self.cloud.bucket_region(bucket, region, owner, access).await?;
        let region =
            region.ok_or_else(|| Refusal::DestinationMissing { bucket: bucket.clone() })?;
        Ok(BucketLocation { region, ..expected })
    }

    /// Refuses to write a canary that Object Lock could keep from being removed.
    async fn refuse_object_lock(&self, sites: &CanarySites) -> Result<(), Error> {
        let locations: Vec<&BucketLocation> = sites.locations().collect();
        let locked =
            try_join_all(locations.iter().map(|location| self.cloud.object_lock(location))).await?;
        match locations.into_iter().zip(locked).find(|(_, locked)| *locked) {
            Some((location, _)) => {
                Err(Refusal::LockedCanary { bucket: location.bucket.clone() }.into())
            }
            None => Ok(()),
        }
    }

    /// Chooses the key of the canary. Where the bucket's default encryption is not KMS and the rule replicates KMS-encrypted objects,
    /// that is a source key that the rule's inline policy grants.
    async fn canary_encryption(
        &self,
        verification: &Verification<'_>,
        rule: &ReplicationRule,
        source: &BucketLocation,
        role_arn: &str,
    ) -> Result<CanaryKey, Error> {
        if verification.key.is_some() || !verify::needs_kms(rule) {
            return Ok(CanaryKey { key: verification.key.cloned(), warning: None });
        }
        match self.cloud.encryption(source).await? {
            Encryption::Kms { .. } => return Ok(CanaryKey::default()),
            Encryption::S3 => {}
        }
        let role = match RoleName::from_arn(role_arn) {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        };
        let role = match role {
            Err(failure) if failure.is_denied() => None,
            role => role?,
        };
        let key =
            role.and_then(|role| verify::granted_key(verification.rule, &source.region, &role));
        let warning = key.is_none().then(|| {
            format!(
                "bucket `{}` encrypts with SSE-S3, and no key that the rule grants was found to encrypt the canary with: the verification shows \
                 nothing about the rule's keys; name a key in `SourceKmsKeyArns`",
                source.bucket
            )
        });
        Ok(CanaryKey { key, warning })
    }
}

/// Where the destination bucket of a rule is expected: in the Region of the replica key.
pub(super) fn expected_destination(
    rule: &ReplicationRule,
    source: &BucketLocation,
    identity: &Identity,
    access: &Access,
) -> Result<BucketLocation, Error> {
    let (bucket, key) = verify::destination(rule)?;
    let key = key.and_then(|arn| KeyReference::parse(arn).ok());
    let region = key.as_ref().map_or(&source.region, KeyReference::region).clone();
    let owner = rule.destination_account().and_then(|account| Account::parse(account).ok());
    let owner = owner.unwrap_or_else(|| identity.account.clone());
    let access = access.for_account(&owner);
    Ok(BucketLocation { bucket, region, owner, access })
}

/// The key that encrypts a canary, and what it cannot show.
#[derive(Default)]
struct CanaryKey {
    key: Option<KeyReference>,
    warning: Option<String>,
}
