//! DynamoDB: the leases, and the generations of requests about custom resources.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::sdk_error::{self, none_if};
use crate::model::{Acquired, ApiError, Lease};

/// The table's partition key: a bucket's name, or with a slash, so that it is none, a custom resource's id or an account's policies.
const KEY: &str = "BucketName";
const HOLDER: &str = "Holder";
/// Epoch seconds at which a lease ends.
const EXPIRES_AT: &str = "ExpiresAt";
/// Epoch seconds; the table's time-to-live attribute.
const FORGET_AT: &str = "ForgetAt";
/// For how many seconds it is remembered when a lease ended.
const REMEMBERED: u64 = 24 * 60 * 60;
/// The table's attribute for the generation of a request about a custom resource.
const GENERATION: &str = "Turn";
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Acquires the lease when nobody holds it, its holder's lease has expired, or this holder has it already: the first answer may have
/// been lost.
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
        .expression_attribute_values(":holder", text(&lease.holder))
        .return_values(ReturnValue::AllOld);
    let answer = none_if(CONDITION_FAILED, request.send().await);
    let answer = answer.map_err(|cause| cause.into_error("PutItem", lease_name(lease)))?;
    Ok(answer.map(|answer| Acquired {
        previous_expiry: answer.attributes().and_then(|previous| number_in(previous, EXPIRES_AT)),
    }))
}

/// Lets the lease expire at `expires_at`, when this holder has it.
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
        .expression_attribute_values(":holder", text(&lease.holder));
    let answer = none_if(CONDITION_FAILED, request.send().await);
    answer.map(|_| ()).map_err(|cause| cause.into_error("PutItem", lease_name(lease)))
}

fn lease_item(lease: &Lease, expires_at: u64) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (KEY.to_owned(), text(&lease.resource)),
        (HOLDER.to_owned(), text(&lease.holder)),
        (EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string())),
        (FORGET_AT.to_owned(), AttributeValue::N((expires_at + REMEMBERED).to_string())),
    ])
}

/// Records the generation, unless a later one is recorded.
pub(super) async fn record_generation(
    client: &Client,
    table: &str,
    id: &str,
    generation: u64,
    forget_at: u64,
) -> Result<bool, ApiError> {
    let request = client
        .put_item()
        .table_name(table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(id)),
            (GENERATION.to_owned(), AttributeValue::N(generation.to_string())),
            (FORGET_AT.to_owned(), AttributeValue::N(forget_at.to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {GENERATION} <= :turn"))
        .expression_attribute_values(":turn", AttributeValue::N(generation.to_string()));
    let recorded = none_if(CONDITION_FAILED, request.send().await);
    let recorded =
        recorded.map_err(|cause| cause.into_error("PutItem", generation_name(id, table)))?;
    Ok(recorded.is_some())
}

/// The latest generation that is recorded.
pub(super) async fn latest_generation(
    client: &Client,
    table: &str,
    id: &str,
) -> Result<Option<u64>, ApiError> {
    let request = client.get_item().table_name(table).key(KEY, text(id)).consistent_read(true);
    let answer = request
        .send()
        .await
        .map_err(|error| sdk_error::of("GetItem", generation_name(id, table), error))?;
    Ok(answer.item().and_then(|item| number_in(item, GENERATION)))
}

fn number_in(item: &HashMap<String, AttributeValue>, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn lease_name(lease: &Lease) -> String {
    format!("lease of `{}` in table `{}`", lease.resource, lease.table)
}

fn generation_name(id: &str, table: &str) -> String {
    format!("latest request about `{id}` in table `{table}`")
}
