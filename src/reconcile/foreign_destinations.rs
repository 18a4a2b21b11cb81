//! Names the foreign rule for whose destination S3 refuses a replication configuration.
//!
//! It must not change a foreign rule.
//!
//! S3 validates all rules of a configuration whenever it is written. A foreign rule whose destination does not exist or is not
//! versioned makes every write fail, with a message that names neither the rule nor the bucket.

use futures_util::future::join_all;

use crate::model::{
    Access, Account, ApiError, BucketLocation, BucketName, Identity, Region,
    ReplicationConfiguration, ReplicationRule, RuleId, Versioning,
};
use crate::ports::Read;

/// Whether S3 refused a configuration for a destination of one of its rules.
pub(super) fn is_refused_destination(failure: &ApiError) -> bool {
    failure.code == "InvalidRequest" && failure.message.contains("Destination bucket must")
}

/// Says which foreign rules have a destination that S3 refuses, one sentence each; empty when none is found. A destination that
/// cannot be read decides nothing.
pub(super) async fn refused_destinations<R: Read>(
    cloud: &R,
    configuration: &ReplicationConfiguration,
    own: &RuleId,
    source_region: &Region,
) -> Vec<String> {
    let Ok(identity) = cloud.identity().await else { return Vec::new() };
    let foreign = configuration.rules().filter(|rule| rule.id() != Some(own.as_str()));
    let found = foreign.map(|rule| refused_destination(cloud, rule, source_region, &identity));
    join_all(found).await.into_iter().flatten().collect()
}

async fn refused_destination<R: Read>(
    cloud: &R,
    rule: &ReplicationRule,
    source_region: &Region,
    identity: &Identity,
) -> Option<String> {
    let name = rule.id().unwrap_or("without an id");
    let bucket = BucketName::parse_name_or_arn(rule.destination_bucket()?).ok()?;
    let owner = rule.destination_account().and_then(|account| Account::parse(account).ok());
    let owner = owner.unwrap_or_else(|| identity.account.clone());
    let region = cloud.bucket_region(&bucket, source_region, &owner, &Access::Own).await.ok()?;
    let problem = match region {
        None => "does not exist".to_owned(),
        Some(region) => {
            let location =
                BucketLocation { bucket: bucket.clone(), region, owner, access: Access::Own };
            match cloud.versioning(&location).await.ok()? {
                Versioning::Enabled => return None,
                Versioning::Off => "has no versioning".to_owned(),
                Versioning::Suspended => "has its versioning suspended".to_owned(),
            }
        }
    };
    Some(format!("the destination `{bucket}` of foreign rule `{name}` {problem}"))
}
