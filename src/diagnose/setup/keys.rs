//! Findings about the state of the keys of both buckets.

use aws_sdk_kms::types::KeyState;

use super::Setup;
use crate::diagnose::evidence::KeyEvidence;
use crate::diagnose::finding::{Code, Finding, Severity};
use crate::diagnose::objects::severity_of;
use crate::model::{Key, KeyReference, Region, shell};

impl Setup<'_> {
    pub(super) fn keys(&mut self) {
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

    /// What an unusable replica key means: objects that are not KMS-encrypted have no use for it.
    fn severity_of_replica_key(&self) -> Severity {
        if !self.evidence.source.writes_without_kms() {
            return Severity::FailsNow;
        }
        let sampled = self.rule.sampled_objects().iter();
        let sampled = severity_of(sampled.filter(|object| object.kms_key.is_some()));
        sampled.min(Severity::WillFail)
    }

    /// The objects that need the replica key, where new ones do not, as the end of a sentence.
    fn if_kms(&self) -> &'static str {
        if self.evidence.source.writes_without_kms() {
            ", so S3 fails KMS-encrypted objects, which the bucket's default encryption does not make"
        } else {
            ""
        }
    }

    fn replica_key(&mut self, key: &KeyEvidence) {
        let id = &key.id;
        let severity = self.severity_of_replica_key();
        let found = match &key.key {
            Err(_) => return,
            Ok(Some(found)) => found,
            Ok(None) => {
                let message = format!("the replica key `{id}` does not exist{}", self.if_kms());
                let finding = Finding::new(Code::ReplicaKeyMissing, severity, message);
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
        let message = format!("the replica key `{id}` {problem}{}", self.if_kms());
        let finding = Finding::new(Code::ReplicaKeyUnusable, severity, message);
        self.add(finding.s3(code).fix(fix));
    }
}

/// Why S3 cannot use a key, as the rest of a sentence.
pub(in crate::diagnose) fn state_problem(key: &Key) -> Option<String> {
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
    let kms = |command| shell::line(&["aws", "kms", command, "--key-id", arn]);
    match &key.key {
        Ok(Some(found)) if found.state == KeyState::Disabled => kms("enable-key"),
        Ok(Some(found)) if found.state == KeyState::PendingDeletion => {
            format!("{} && {}", kms("cancel-key-deletion"), kms("enable-key"))
        }
        Ok(_) | Err(_) => "name a symmetric customer managed key that is enabled".to_owned(),
    }
}
