//! Findings about the settings of both buckets.

use super::Setup;
use crate::diagnose::evidence::{AbroadSettings, DestinationSettings};
use crate::diagnose::finding::{Code, Finding, Severity};
use crate::diagnose::fix;
use crate::model::{ObjectOwnership, Versioning};

impl Setup<'_> {
    pub(super) fn source(&mut self) {
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

    pub(super) fn destination(&mut self) {
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
            let message = format!("versioning of the destination `{bucket}` is {versioning:?}");
            self.add(
                Finding::new(Code::DestinationNotVersioned, Severity::FailsNow, message)
                    .s3("DstBucketUnversioned")
                    .fix(fix::enable_versioning(&bucket)),
            );
        }
        if self.evidence.source.object_lock == Ok(true) && settings.object_lock == Some(Ok(false)) {
            let message =
                format!("the source has S3 Object Lock, and the destination `{bucket}` has not");
            self.add(
                Finding::new(Code::DestinationObjectLockMissing, Severity::FailsNow, message)
                    .s3("DstBucketObjectLockConfigMissing")
                    .fix(fix::s3api(
                        "put-object-lock-configuration",
                        &bucket,
                        ["--object-lock-configuration", "ObjectLockEnabled=Enabled"],
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
        if let Some(abroad) = &settings.abroad {
            self.settings_abroad(&bucket, abroad);
        }
    }

    /// Settings that matter in another account only.
    fn settings_abroad(&mut self, bucket: &str, abroad: &AbroadSettings) {
        if abroad.requester_pays == Ok(true) {
            let message =
                format!("the destination `{bucket}` of another account makes requesters pay");
            self.add(Finding::new(Code::RequesterPays, Severity::FailsNow, message).fix(
                fix::s3api(
                    "put-bucket-request-payment",
                    bucket,
                    ["--request-payment-configuration", "Payer=BucketOwner"],
                ),
            ));
        }
        let keeps_owner = match abroad.ownership {
            Ok(ObjectOwnership::ObjectWriter | ObjectOwnership::BucketOwnerPreferred) => true,
            Ok(ObjectOwnership::BucketOwnerEnforced) | Err(_) => false,
        };
        if keeps_owner && !self.rule.rule.overrides_owner() {
            let message = format!(
                "the source's account owns the replicas in bucket `{bucket}`, whose owner may not be able to read them"
            );
            let finding = Finding::new(Code::OwnerNotOverridden, Severity::Note, message);
            self.add(finding.fix(fix::enforce_owner(bucket)));
        }
    }
}
