//! Buckets with names from before March 2018, which the program does not replicate.
//!
//! It must not read the bucket: a name of that form has no place in requests.

use super::decision::NO_NAME_MATCHES;
use super::{BucketOutcome, Engine, Error, RuleOutcome};
use crate::config::PolicyRule;
use crate::model::LegacyBucketName;
use crate::plan::Refusal;
use crate::ports::Cloud;

impl<C: Cloud> Engine<'_, C> {
    /// Skips a bucket that no rule of the policy matches, and refuses each rule that matches it. A rule with conditions on tags does not count
    /// as matching, since the bucket's tags are not read.
    ///
    /// # Errors
    /// When there is no policy, or the policy cannot be read.
    pub async fn reconcile_legacy_bucket(
        &self,
        bucket: &LegacyBucketName,
    ) -> Result<BucketOutcome, Error> {
        let policy = self.policy().await?.ok_or(Error::NoPolicy)?;
        let refused = |rule: &PolicyRule| {
            let refusal = Refusal::LegacyName { bucket: bucket.clone() };
            RuleOutcome {
                source: bucket.to_string(),
                rule_id: rule.rule_id().clone(),
                result: Err(Error::Refused(refusal)),
            }
        };
        let (tagged, matching): (Vec<_>, Vec<_>) =
            policy.rules_for_legacy_name(bucket).partition(|rule| rule.needs_tags());
        Ok(match (matching.is_empty(), tagged.is_empty()) {
            (false, _) => BucketOutcome::Rules(matching.into_iter().map(refused).collect()),
            (true, true) => BucketOutcome::Skipped(NO_NAME_MATCHES.to_owned()),
            (true, false) => BucketOutcome::Skipped(
                "its name is from before March 2018; such buckets are not supported, and their tags are not read".to_owned(),
            ),
        })
    }
}
