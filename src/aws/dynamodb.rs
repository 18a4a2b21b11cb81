//! DynamoDB: leases, and the generations of requests about custom resources.
//!
//! It owns the layout of the table's items. It must not know when a lease is needed or how long it lasts: [`crate::reconcile`]
//! decides that.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::FutureExt;

use super::Aws;
use super::sdk_error::{self, none_if};
use crate::model::{
    Acquired, ApiError, GenerationRecord, Lease, OutcomeChange, RecordedRequest, Recording,
    RequestOutcome,
};
use crate::ports::Leases;

/// The table's partition key. It is a bucket's name, or a text with a slash, which no bucket's name has: the id of a custom
/// resource, or the resource of the lease on other accounts' policies.
const KEY: &str = "BucketName";
const HOLDER: &str = "Holder";
/// When a lease expires, in seconds since the epoch.
const EXPIRES_AT: &str = "ExpiresAt";
/// The table's time-to-live attribute, in seconds since the epoch.
const FORGET_AT: &str = "ForgetAt";
/// For how many seconds an expired lease stays in the table.
const LEASE_RETENTION: u64 = 24 * 60 * 60;
/// The generation of the latest request about a custom resource. The tables of 0.1.0 have this name.
const GENERATION: &str = "Turn";
/// What the requests about a custom resource have left: `Open`, `Applied`, or nothing.
const OUTCOME: &str = "Outcome";
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Acquires the lease when nobody holds it, when it has expired, or when this holder already has it. The latter happens after a
/// retry: the response to the first attempt was lost.
pub(super) async fn acquire(
    client: &Client,
    lease: &Lease,
    now: u64,
) -> Result<Option<Acquired>, ApiError> {
    let request = client
        .put_item()
        .table_name(&lease.table)
        .set_item(Some(lease_item(lease, lease.expires_at)))
        .condition_expression(format!(
            "attribute_not_exists({KEY}) OR {EXPIRES_AT} <= :now OR {HOLDER} = :holder"
        ))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
        .expression_attribute_values(":holder", text_value(&lease.holder))
        .return_values(ReturnValue::AllOld);
    let response = none_if(CONDITION_FAILED, request.send().await);
    let response = response.map_err(|cause| cause.into_error("PutItem", lease_resource(lease)))?;
    Ok(response.map(|response| Acquired {
        previous_expiry: response
            .attributes()
            .and_then(|previous| number_attribute(previous, EXPIRES_AT)),
    }))
}

/// Sets the lease's expiry to `expires_at`, unless another holder has acquired the lease.
pub(super) async fn release(
    client: &Client,
    lease: &Lease,
    expires_at: u64,
) -> Result<(), ApiError> {
    let request = client
        .put_item()
        .table_name(&lease.table)
        .set_item(Some(lease_item(lease, expires_at)))
        .condition_expression(format!("{HOLDER} = :holder"))
        .expression_attribute_values(":holder", text_value(&lease.holder));
    let response = none_if(CONDITION_FAILED, request.send().await);
    response.map(|_| ()).map_err(|cause| cause.into_error("PutItem", lease_resource(lease)))
}

fn lease_item(lease: &Lease, expires_at: u64) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (KEY.to_owned(), text_value(&lease.resource)),
        (HOLDER.to_owned(), text_value(&lease.holder)),
        (EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string())),
        (FORGET_AT.to_owned(), AttributeValue::N((expires_at + LEASE_RETENTION).to_string())),
    ])
}

/// Where the generation of a custom resource is recorded.
#[derive(Clone, Copy)]
pub(super) struct GenerationKey<'a> {
    pub table: &'a str,
    /// The custom resource.
    pub id: &'a str,
}

/// Records the generation, unless a later one is recorded.
///
/// This is no PutItem: the outcome that is remembered must stay, and one call must also return it.
pub(super) async fn record_generation(
    client: &Client,
    record: &GenerationRecord,
) -> Result<Recording, ApiError> {
    let GenerationRecord { table, id, number, is_unique, change, forget_at } = record;
    let set_outcome = match change {
        OutcomeChange::Keep => "",
        OutcomeChange::OpenUnlessRemembered => ", Outcome = if_not_exists(Outcome, :outcome)",
        OutcomeChange::Set(_) => ", Outcome = :outcome",
        OutcomeChange::Forget => " REMOVE Outcome",
    };
    let outcome = match change {
        OutcomeChange::Keep | OutcomeChange::Forget => None,
        OutcomeChange::OpenUnlessRemembered => Some(RequestOutcome::Open),
        OutcomeChange::Set(outcome) => Some(*outcome),
    };
    let order = if *is_unique { "<" } else { "<=" };
    let mut request = client
        .update_item()
        .table_name(table)
        .key(KEY, text_value(id))
        .update_expression(format!(
            "SET {GENERATION} = :generation, {FORGET_AT} = :forget_at{set_outcome}"
        ))
        .condition_expression(format!(
            "attribute_not_exists({KEY}) OR {GENERATION} {order} :generation"
        ))
        .expression_attribute_values(":generation", AttributeValue::N(number.to_string()))
        .expression_attribute_values(":forget_at", AttributeValue::N(forget_at.to_string()))
        .return_values(ReturnValue::AllOld);
    if let Some(outcome) = outcome {
        request =
            request.expression_attribute_values(":outcome", text_value(outcome_text(outcome)));
    }
    let key = GenerationKey { table, id };
    let response = none_if(CONDITION_FAILED, request.send().await);
    let response =
        response.map_err(|cause| cause.into_error("UpdateItem", generation_resource(key)))?;
    Ok(match response {
        Some(response) => Recording::Recorded(response.attributes().and_then(recorded_request)),
        None => Recording::Superseded,
    })
}

fn outcome_text(outcome: RequestOutcome) -> &'static str {
    match outcome {
        RequestOutcome::Open => "Open",
        RequestOutcome::Applied => "Applied",
    }
}

/// Reads a generation's item. Version 0.1.0 wrote items without an outcome.
fn recorded_request(item: &HashMap<String, AttributeValue>) -> Option<RecordedRequest> {
    let outcome = item.get(OUTCOME).and_then(|outcome| outcome.as_s().ok());
    let known = [RequestOutcome::Open, RequestOutcome::Applied];
    Some(RecordedRequest {
        generation: number_attribute(item, GENERATION)?,
        outcome: known
            .into_iter()
            .find(|known| outcome.is_some_and(|text| text == outcome_text(*known))),
    })
}

/// Reads what is recorded of the latest request.
pub(super) async fn latest_generation(
    client: &Client,
    key: GenerationKey<'_>,
) -> Result<Option<RecordedRequest>, ApiError> {
    let request =
        client.get_item().table_name(key.table).key(KEY, text_value(key.id)).consistent_read(true);
    let response = request
        .send()
        .await
        .map_err(|error| sdk_error::api_error("GetItem", generation_resource(key), error))?;
    Ok(response.item().and_then(recorded_request))
}

fn number_attribute(item: &HashMap<String, AttributeValue>, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

fn text_value(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn lease_resource(lease: &Lease) -> String {
    format!("lease of `{}` in table `{}`", lease.resource, lease.table)
}

fn generation_resource(GenerationKey { table, id }: GenerationKey<'_>) -> String {
    format!("latest request about `{id}` in table `{table}`")
}

impl Leases for Aws {
    async fn acquire(&self, lease: &Lease, now: u64) -> Result<Option<Acquired>, ApiError> {
        acquire(&self.dynamodb, lease, now).boxed_local().await
    }

    async fn release(&self, lease: &Lease, expires_at: u64) -> Result<(), ApiError> {
        release(&self.dynamodb, lease, expires_at).boxed_local().await
    }

    async fn record_generation(&self, record: &GenerationRecord) -> Result<Recording, ApiError> {
        record_generation(&self.dynamodb, record).boxed_local().await
    }

    async fn latest_generation(
        &self,
        table: &str,
        id: &str,
    ) -> Result<Option<RecordedRequest>, ApiError> {
        latest_generation(&self.dynamodb, GenerationKey { table, id }).boxed_local().await
    }
}
