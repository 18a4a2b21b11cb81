//! The objects that a rule's calls are made for: any object that is written now, and the KMS-encrypted ones of the sample.
//!
//! It must not know policies.

use std::collections::BTreeMap;

use crate::diagnose::calls::{Call, Objects, Replicated, Side, Target};
use crate::diagnose::evidence::{Evidence, KeyEvidence, RuleEvidence, Seen};
use crate::iam_policy::evaluate::Text;
use crate::model::{Encryption, KeyReference, ObjectOwnership, Region, SampledObject};

/// What a rule's calls are made from.
pub(super) struct RuleCalls<'a> {
    pub evidence: &'a Evidence,
    pub rule: &'a RuleEvidence,
}

/// How objects are encrypted at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KmsEncryption<'a> {
    /// ARN of the key; `None` if it is not known.
    key: Option<&'a str>,
    bucket_key: bool,
    dual_layer: bool,
}

/// The sampled objects that are encrypted in one way.
pub(super) struct SampledKind<'a> {
    encryption: KmsEncryption<'a>,
    pub objects: Vec<&'a SampledObject>,
}

impl<'a> RuleCalls<'a> {
    /// The calls for any object that is written now, under the bucket's default encryption.
    pub fn written_now(&self) -> Vec<Call> {
        let default = self.default_encryption().filter(|_| self.rule.rule.selects_kms_objects());
        self.calls(default, self.evidence.source.encryption.is_ok())
    }

    /// The kinds of KMS-encrypted objects in the sample, if the rule selects them, other than those that are written now.
    pub fn sampled_kinds(&self) -> Vec<SampledKind<'a>> {
        let mut kinds: BTreeMap<KmsEncryption<'_>, Vec<&SampledObject>> = BTreeMap::new();
        let sampled = self.rule.sampled_objects();
        for object in sampled.iter().filter(|_| self.rule.rule.selects_kms_objects()) {
            let Some(key) = object.kms_key.as_deref() else { continue };
            let (bucket_key, dual_layer) = (object.bucket_key, object.dual_layer);
            let encryption = KmsEncryption { key: Some(key), bucket_key, dual_layer };
            kinds.entry(encryption).or_default().push(object);
        }
        let default = self.default_encryption();
        kinds
            .into_iter()
            .filter(|(encryption, _)| Some(*encryption) != default)
            .map(|(encryption, objects)| SampledKind { encryption, objects })
            .collect()
    }

    /// The calls that depend on how objects of a sampled kind are encrypted.
    pub fn of_kind(&self, kind: &SampledKind<'_>) -> Vec<Call> {
        let calls = self.calls(Some(kind.encryption), true).into_iter();
        calls.filter(|call| call.objects == Objects::All && call.target != Target::Source).collect()
    }

    /// How the bucket's default encryption encrypts; `None` without KMS.
    fn default_encryption(&self) -> Option<KmsEncryption<'a>> {
        let Ok(Encryption::Kms { bucket_key, dual_layer, .. }) = &self.evidence.source.encryption
        else {
            return None;
        };
        // S3 does not support Bucket Keys for DSSE-KMS, and ignores the setting.
        Some(KmsEncryption {
            key: self.evidence.default_key.as_ref().and_then(KeyEvidence::arn),
            bucket_key: *bucket_key && !dual_layer,
            dual_layer: *dual_layer,
        })
    }

    /// The calls for objects that are encrypted so, or not with KMS.
    fn calls(&self, encryption: Option<KmsEncryption<'_>>, is_known: bool) -> Vec<Call> {
        let Evidence { identity, source, .. } = self.evidence;
        let rule = &self.rule.rule;
        let settings = self.rule.destination.settings.as_ref();
        let destination = self.rule.destination_bucket();
        let destination = destination.map(|bucket| bucket.arn(identity.partition));
        let dual_layer = encryption.is_some_and(|encryption| encryption.dual_layer);
        let kms = is_known.then_some(encryption.is_some());
        let region = self.destination_region();
        let replicated = Replicated {
            partition: identity.partition,
            source: Side {
                arn: &source.location.bucket.arn(identity.partition),
                region: Some(&source.location.region),
                kms,
                key: encryption.and_then(|encryption| encryption.key),
                bucket_key: encryption.is_some_and(|encryption| encryption.bucket_key),
                dual_layer,
            },
            destination: Side {
                arn: destination.as_deref().unwrap_or(&self.rule.destination.name),
                region: region.as_ref(),
                // A replica has its source object's kind of encryption.
                kms,
                key: self.rule.replica_key.as_ref().and_then(KeyEvidence::arn),
                bucket_key: !dual_layer
                    && settings.is_some_and(|settings| has_bucket_key(&settings.encryption)),
                dual_layer,
            },
            object: &Text::Open(rule.filter().prefix().unwrap_or_default().to_owned()),
            selects_tags: rule.filter().tags().is_some_and(|tags| !tags.is_empty()),
            delete_markers: rule.filter().is_v1()
                || rule.text(&["DeleteMarkerReplication", "Status"]) == Some("Enabled"),
            object_lock: source.object_lock == Ok(true),
            owner_override: rule.overrides_owner(),
            owner_may_be_enforced: self.owner_may_be_enforced(),
        };
        replicated.calls()
    }

    /// Whether the destination, in another account, gives its owner all objects, as far as it is known.
    fn owner_may_be_enforced(&self) -> bool {
        let Some(settings) = &self.rule.destination.settings else { return true };
        settings.abroad.as_ref().is_some_and(|abroad| match abroad.ownership {
            Ok(ObjectOwnership::BucketOwnerEnforced) | Err(_) => true,
            Ok(ObjectOwnership::BucketOwnerPreferred | ObjectOwnership::ObjectWriter) => false,
        })
    }

    /// The destination's Region; a replica key is of it.
    fn destination_region(&self) -> Option<Region> {
        match &self.rule.destination.location {
            Ok(Some(location)) => Some(location.region.clone()),
            Ok(None) | Err(_) => {
                let key = self.rule.replica_key.as_ref().and_then(KeyEvidence::arn);
                key.and_then(|arn| Some(KeyReference::parse(arn).ok()?.region().clone()))
            }
        }
    }
}

impl SampledKind<'_> {
    /// A call for one of the objects.
    pub fn call_for(&self, call: &Call, object: &SampledObject) -> Call {
        let bucket = call.open_name().and_then(|name| name.split('/').next()).unwrap_or_default();
        call.for_name(&format!("{bucket}/{}", object.key))
    }
}

fn has_bucket_key(encryption: &Seen<Encryption>) -> bool {
    matches!(encryption, Ok(Encryption::Kms { bucket_key: true, .. }))
}
