//! Findings about the rule itself, the settings of both buckets, and the state of keys.
//!
//! It must not know policies.

use aws_sdk_kms::types::KeyState;

use super::evidence::{DestinationSettings, Evidence, KeyEvidence, RuleEvidence, Unread};
use super::finding::{Code, Finding, Severity};
use super::fix;
use crate::model::{
    Encryption, Key, KeyReference, ObjectOwnership, Region, ReplicationRule, Versioning,
};

/// The findings about a rule's setup, and what is not known of it.
pub(super) struct Setup<'a> {
    pub evidence: &'a Evidence,
    pub rule: &'a RuleEvidence,
    pub findings: Vec<Finding>,
    pub undecided: Vec<Unread>,
}

impl Setup<'_> {
    pub fn examine(&mut self) {
        self.status();
        self.selection();
        self.priority();
        self.source();
        self.destination();
        self.keys();
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The other rules of the bucket.
    fn others(&self) -> impl Iterator<Item = &ReplicationRule> {
        self.evidence.source.replication.rules().filter(|other| *other != &self.rule.rule)
    }

    /// Other enabled rules that replicate all objects of this rule to the same destination.
    fn covering(&self) -> impl Iterator<Item = &ReplicationRule> {
        let rule = &self.rule.rule;
        self.others().filter(|other| {
            let prefix = other.filter().prefix();
            let covers = prefix.is_some_and(|prefix| {
                rule.filter().prefix().is_some_and(|own| own.starts_with(prefix))
            });
            other.is_enabled()
                && covers
                && other.filter().tags().is_some_and(<[_]>::is_empty)
                && other.destination_bucket() == rule.destination_bucket()
        })
    }

    fn status(&mut self) {
        let rule = &self.rule.rule;
        if rule.is_enabled() {
            return;
        }
        let kms = rule.selects_kms_objects();
        let replaced = self.covering().find(|other| other.selects_kms_objects() || !kms);
        let finding = match replaced.and_then(ReplicationRule::id) {
            Some(other) => Finding::new(
                Code::RuleDisabled,
                Severity::Note,
                format!("the rule is disabled; rule `{other}` replicates its objects"),
            ),
            None => Finding::new(
                Code::RuleDisabled,
                Severity::FailsNow,
                "the rule is disabled, so S3 replicates nothing by it",
            )
            .fix("set the rule's `Status` to `Enabled`, or delete the rule"),
        };
        self.add(finding.evidence(format!("the rule's `Status` is `{}`", self.rule.rule.status())));
    }

    /// Which objects the rule selects.
    fn selection(&mut self) {
        let rule = &self.rule.rule;
        if let Some(problem) = filter_problem(rule) {
            self.undecided.push(Unread::undecided(format!("rule `{}`", self.rule.name()), problem));
        }
        if rule.filter().is_v1() {
            let message = "the rule has no `Filter`, so it is of the first version: it replicates delete markers, and has neither \
                           metrics, Replication Time Control nor further destinations";
            self.add(Finding::new(Code::V1Rule, Severity::Note, message));
        }
        self.kms_selection();
        self.prefix();
    }

    fn kms_selection(&mut self) {
        let rule = &self.rule.rule;
        let priority = rule.priority();
        let is_replicated_by_other =
            self.covering().any(|other| other.selects_kms_objects() && other.priority() > priority);
        if rule.selects_kms_objects() || !rule.is_enabled() || is_replicated_by_other {
            return;
        }
        let sample = self.rule.sample.as_ref().and_then(|sample| sample.as_ref().ok());
        let sampled = sample.map_or(0, |sample| {
            sample.objects.iter().filter(|object| object.kms_key.is_some()).count()
        });
        let prefix = rule.filter().prefix().unwrap_or_default();
        let name = |key: &Option<String>| key.clone().unwrap_or_else(|| "alias/aws/s3".to_owned());
        let (severity, evidence) = match &self.evidence.source.encryption {
            Ok(Encryption::Kms { key, .. }) => (
                Severity::FailsNow,
                format!("the bucket's default encryption is SSE-KMS with key `{}`", name(key)),
            ),
            Ok(Encryption::S3) | Err(_) if sampled > 0 => {
                let all = sample.map_or(0, |sample| sample.objects.len());
                let evidence = format!("{sampled} of {all} sampled objects are KMS-encrypted");
                (Severity::FailsForSome, evidence)
            }
            Ok(Encryption::S3) | Err(_) => return,
        };
        let message = if prefix.is_empty() {
            "no enabled rule to this destination selects KMS-encrypted objects".to_owned()
        } else {
            format!(
                "no enabled rule to this destination selects KMS-encrypted objects under `{prefix}`"
            )
        };
        self.add(
            Finding::new(Code::KmsObjectsNotSelected, severity, message).evidence(evidence).fix(
                "set the rule's `SourceSelectionCriteria.SseKmsEncryptedObjects.Status` to `Enabled` and its \
                 `Destination.EncryptionConfiguration.ReplicaKmsKeyID` to a key of the destination's Region, and grant the role both keys",
            ),
        );
    }

    fn prefix(&mut self) {
        let prefix = self.rule.rule.filter().prefix().unwrap_or_default().to_owned();
        match &self.rule.prefix_is_used {
            None | Some(Ok(true)) => {}
            Some(Err(unread)) => {
                if is_suspicious(&prefix) {
                    self.undecided.push(unread.clone());
                }
            }
            Some(Ok(false)) => {
                let severity =
                    if is_suspicious(&prefix) { Severity::FailsNow } else { Severity::Note };
                let message = format!("no object key begins with the rule's prefix `{prefix}`");
                let finding = Finding::new(Code::PrefixMatchesNothing, severity, message);
                let finding = finding.evidence(format!(
                    "a list of bucket `{}` with this prefix is empty",
                    self.evidence.source.location.bucket
                ));
                self.add(finding.fix(
                    "prefixes are literal: they have no wildcards, and keys rarely begin with a slash; correct the prefix in the rule's `Filter`",
                ));
            }
        }
    }

    /// Another rule that has priority for all objects of this one.
    fn priority(&mut self) {
        let rule = &self.rule.rule;
        if !rule.is_enabled() {
            return;
        }
        let priority = rule.priority();
        let Some(other) = self.covering().find(|other| other.priority() > priority) else {
            return;
        };
        let name = other.id().unwrap_or("without an id");
        let loses_kms = rule.selects_kms_objects() && !other.selects_kms_objects();
        let severity = if loses_kms { Severity::FailsForSome } else { Severity::Note };
        let message = format!(
            "rule `{name}` has priority over this rule for all its objects{}",
            if loses_kms { ", and does not select KMS-encrypted ones" } else { "" }
        );
        let number =
            |rule: &ReplicationRule| rule.priority().map_or("none".to_owned(), |it| it.to_string());
        let evidence = format!(
            "both replicate to `{}`; the priority of `{name}` is {}, of this rule {}",
            self.rule.destination.name,
            number(other),
            number(rule)
        );
        let finding = Finding::new(Code::RuleOverridden, severity, message).evidence(evidence);
        self.add(finding.fix("give this rule the higher priority, or delete it"));
    }

    fn source(&mut self) {
        let source = &self.evidence.source;
        let bucket = source.location.bucket.to_string();
        if let Ok(versioning @ (Versioning::Off | Versioning::Suspended)) = source.versioning {
            self.add(
                Finding::new(
                    Code::SourceNotVersioned,
                    Severity::FailsNow,
                    format!("versioning of the source `{bucket}` is {versioning:?}"),
                )
                .fix(fix::enable_versioning(&bucket)),
            );
        }
    }

    fn destination(&mut self) {
        let destination = &self.rule.destination;
        let name = destination.name.clone();
        match (&destination.location, &destination.is_own) {
            (Ok(None), _) => self.add(
                Finding::new(
                    Code::DestinationMissing,
                    Severity::FailsNow,
                    format!("the destination `{name}` does not exist"),
                )
                .s3("DstBucketNotFound")
                .fix("create the bucket with versioning, or let the rule name another one"),
            ),
            (_, Ok(is_own)) => self.destination_owner(*is_own),
            (_, Err(_)) => {}
        }
        if let Some(settings) = &self.rule.destination.settings {
            self.destination_settings(settings);
        }
    }

    /// Whether the destination belongs to the account that the rule names.
    fn destination_owner(&mut self, is_own: bool) {
        let Some(account) = self.rule.rule.destination_account() else { return };
        let own = self.evidence.identity.account.as_str();
        if (account == own) == is_own {
            return;
        }
        let owner = if is_own { "the source's account owns it" } else { "another account owns it" };
        let message = format!(
            "the rule says that account {account} owns the destination `{}`, but {owner}",
            self.rule.destination.name
        );
        self.add(
            Finding::new(Code::DestinationOwnedByOther, Severity::FailsNow, message)
                .s3("DstBucketNotFound")
                .fix("correct `Destination.Account` or `Destination.Bucket` in the rule"),
        );
    }

    fn destination_settings(&mut self, settings: &DestinationSettings) {
        let bucket = self.rule.destination_bucket().map(|bucket| bucket.to_string());
        let bucket = bucket.unwrap_or_else(|| self.rule.destination.name.clone());
        if let Ok(versioning @ (Versioning::Off | Versioning::Suspended)) = settings.versioning {
            self.add(
                Finding::new(
                    Code::DestinationNotVersioned,
                    Severity::FailsNow,
                    format!("versioning of the destination `{bucket}` is {versioning:?}"),
                )
                .s3("DstBucketUnversioned")
                .fix(fix::enable_versioning(&bucket)),
            );
        }
        if matches!(
            (&self.evidence.source.object_lock, &settings.object_lock),
            (Ok(true), Some(Ok(false)))
        ) {
            self.add(
                Finding::new(
                    Code::DestinationObjectLockMissing,
                    Severity::FailsNow,
                    format!("the source has S3 Object Lock, and the destination `{bucket}` has not"),
                )
                .s3("DstBucketObjectLockConfigMissing")
                .fix(format!(
                    "aws s3api put-object-lock-configuration --bucket {bucket} --object-lock-configuration ObjectLockEnabled=Enabled"
                )),
            );
        }
        if settings.replicates == Ok(true) {
            let message = format!(
                "by design, the rules of the destination `{bucket}` do not replicate the replicas that this rule writes"
            );
            let fix = "add a rule of the source to the further destination";
            self.add(Finding::new(Code::ReplicasNotReplicated, Severity::Note, message).fix(fix));
        }
        let Some(abroad) = &settings.abroad else { return };
        if abroad.requester_pays == Ok(true) {
            let message =
                format!("the destination `{bucket}` of another account makes requesters pay");
            self.add(
                Finding::new(Code::RequesterPays, Severity::FailsNow, message).fix(format!(
                    "aws s3api put-bucket-request-payment --bucket {bucket} --request-payment-configuration Payer=BucketOwner"
                )),
            );
        }
        let keeps_owner = matches!(
            abroad.ownership,
            Ok(ObjectOwnership::ObjectWriter | ObjectOwnership::BucketOwnerPreferred)
        );
        if keeps_owner && !self.rule.rule.overrides_owner() {
            let message = format!(
                "the source's account owns the replicas in bucket `{bucket}`, whose owner may not be able to read them"
            );
            self.add(
                Finding::new(Code::OwnerNotOverridden, Severity::Note, message).fix(format!(
                    "aws s3api put-bucket-ownership-controls --bucket {bucket} --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'"
                )),
            );
        }
    }

    fn keys(&mut self) {
        let kms = self.rule.rule.selects_kms_objects();
        if let Some(key) = self.evidence.default_key.as_ref().filter(|_| kms) {
            let problem = match &key.key {
                Ok(None) => Some("does not exist".to_owned()),
                Ok(Some(found)) => state_problem(found),
                Err(_) => None,
            };
            if let Some(problem) = problem {
                let message =
                    format!("the key `{}` of the source's default encryption {problem}", key.id);
                self.add(
                    Finding::new(Code::SourceKeyUnusable, Severity::FailsNow, message)
                        .s3("SrcKmsKeyInvalidState")
                        .fix(key_fix(key)),
                );
            }
        }
        if let Some(key) = self.rule.replica_key.as_ref().filter(|_| kms) {
            self.replica_key(key);
        }
    }

    fn replica_key(&mut self, key: &KeyEvidence) {
        let id = &key.id;
        let found = match &key.key {
            Err(_) => return,
            Ok(Some(found)) => found,
            Ok(None) => {
                let message = format!("the replica key `{id}` does not exist");
                let finding = Finding::new(Code::ReplicaKeyMissing, Severity::FailsNow, message);
                let fix = "let the rule's `ReplicaKmsKeyID` name a key of the destination's Region";
                return self.add(finding.s3("DstKmsKeyNotFound").fix(fix));
            }
        };
        let location = match &self.rule.destination.location {
            Ok(Some(location)) => Some(location),
            Ok(None) | Err(_) => None,
        };
        let region = KeyReference::parse(&found.arn).ok().map(|key| key.region().clone());
        let other_region = location
            .filter(|location| region.as_ref().is_some_and(|region| *region != location.region));
        let is_abroad = self.rule.destination.is_own == Ok(false);
        let (problem, code, fix) = if let Some(location) = other_region {
            let region: &Region = &location.region;
            let fix = format!("let the rule's `ReplicaKmsKeyID` name a key of {region}");
            (format!("is not in the destination's Region {region}"), "DstKmsKeyNotFound", fix)
        } else if let Some(problem) = state_problem(found) {
            (problem, "DstKmsKeyInvalidState", key_fix(key))
        } else if found.aws_managed && is_abroad {
            let fix = "let the rule's `ReplicaKmsKeyID` name a customer managed key".to_owned();
            let problem = "is managed by AWS, which no role of another account can use".to_owned();
            (problem, "DstKmsKeyInvalidState", fix)
        } else {
            return;
        };
        let message = format!("the replica key `{id}` {problem}");
        let finding = Finding::new(Code::ReplicaKeyUnusable, Severity::FailsNow, message);
        self.add(finding.s3(code).fix(fix));
    }
}

/// Why S3 cannot use a key, as the rest of a sentence.
pub(super) fn state_problem(key: &Key) -> Option<String> {
    if key.state != KeyState::Enabled && key.state != KeyState::Updating {
        Some(format!("is in state `{}`", key.state))
    } else if !key.symmetric {
        Some("is not a symmetric key for encryption".to_owned())
    } else {
        None
    }
}

/// What makes a key usable again.
fn key_fix(key: &KeyEvidence) -> String {
    let arn = key.arn().unwrap_or(&key.id);
    match &key.key {
        Ok(Some(found)) if found.state == KeyState::Disabled => {
            format!("aws kms enable-key --key-id {arn}")
        }
        Ok(Some(found)) if found.state == KeyState::PendingDeletion => format!(
            "aws kms cancel-key-deletion --key-id {arn} && aws kms enable-key --key-id {arn}"
        ),
        Ok(_) | Err(_) => "name a symmetric customer managed key that is enabled".to_owned(),
    }
}

/// Whether a prefix looks like a path or a pattern, which prefixes are not.
pub fn is_suspicious(prefix: &str) -> bool {
    prefix.starts_with('/') || prefix.contains('*')
}

/// Why it cannot be said which objects the rule selects.
fn filter_problem(rule: &ReplicationRule) -> Option<String> {
    use crate::model::RuleFilter;
    match rule.filter() {
        RuleFilter::NotUnderstood { elements } => Some(format!(
            "its filter has `{}`, which this version does not understand: which objects it selects is not known",
            elements.join("`, `")
        )),
        RuleFilter::V1 { .. }
        | RuleFilter::Prefix(_)
        | RuleFilter::Tag(_)
        | RuleFilter::And { .. } => None,
    }
}
