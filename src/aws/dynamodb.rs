//! DynamoDB: the leases, and the turns of requests about custom resources.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::failure::{self, Cause};
use crate::cloud::{CloudError, Lease};

/// The table's partition key: a bucket's name, or with a slash, so that it is none, a custom resource's id or an account's policies.
const KEY: &str = "BucketName";
const HOLDER: &str = "Holder";
/// Epoch seconds; the table's time-to-live attribute.
const EXPIRES_AT: &str = "ExpiresAt";
const TURN: &str = "Turn";
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Takes the lease when nobody has it, its holder's time is over, or this holder has it already, an answer having been lost.
pub(super) async fn acquire(client: &Client, lease: &Lease, now: u64) -> Result<bool, CloudError> {
    let request = client
        .put_item()
        .table_name(&lease.table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(&lease.of)),
            (HOLDER.to_owned(), text(&lease.holder)),
            (EXPIRES_AT.to_owned(), AttributeValue::N(lease.expires_at.to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {EXPIRES_AT} <= :now OR {HOLDER} = :holder"))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
        .expression_attribute_values(":holder", text(&lease.holder));
    unless_condition_failed(request.send().await.map_err(Cause::from))
        .map_err(|cause| cause.into_error("PutItem", resource(&lease.of, &lease.table)))
}

/// Whether somebody holds the lease, and is still in time.
pub(super) async fn is_leased(client: &Client, table: &str, of: &str, now: u64) -> Result<bool, CloudError> {
    let expires_at = number(client, table, of, EXPIRES_AT, resource(of, table)).await?;
    Ok(expires_at.is_some_and(|expires_at| expires_at > now))
}

/// Notes the turn, unless a later one is noted already.
pub(super) async fn take_turn(client: &Client, table: &str, id: &str, turn: u64, expires_at: u64) -> Result<bool, CloudError> {
    let request = client
        .put_item()
        .table_name(table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(id)),
            (TURN.to_owned(), AttributeValue::N(turn.to_string())),
            (EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {TURN} <= :turn"))
        .expression_attribute_values(":turn", AttributeValue::N(turn.to_string()));
    unless_condition_failed(request.send().await.map_err(Cause::from)).map_err(|cause| cause.into_error("PutItem", turn_of(id, table)))
}

/// The latest turn that is noted.
pub(super) async fn turn(client: &Client, table: &str, id: &str) -> Result<Option<u64>, CloudError> {
    number(client, table, id, TURN, turn_of(id, table)).await
}

/// A number of the item with this key.
async fn number(client: &Client, table: &str, key: &str, attribute: &str, resource: String) -> Result<Option<u64>, CloudError> {
    let request = client.get_item().table_name(table).key(KEY, text(key)).consistent_read(true);
    let answer = request.send().await.map_err(|error| failure::of("GetItem", resource, error))?;
    let number = answer.item().and_then(|item| item.get(attribute)).and_then(|attribute| attribute.as_n().ok());
    Ok(number.and_then(|number| number.parse().ok()))
}

/// Gives the lease back, unless it is another's by now.
pub(super) async fn release(client: &Client, lease: &Lease) -> Result<(), CloudError> {
    let request = client
        .delete_item()
        .table_name(&lease.table)
        .key(KEY, text(&lease.of))
        .condition_expression(format!("{HOLDER} = :holder"))
        .expression_attribute_values(":holder", text(&lease.holder));
    let released = unless_condition_failed(request.send().await.map_err(Cause::from));
    released.map(|_| ()).map_err(|cause| cause.into_error("DeleteItem", resource(&lease.of, &lease.table)))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn resource(of: &str, table: &str) -> String {
    format!("lease of `{of}` in table `{table}`")
}

fn turn_of(id: &str, table: &str) -> String {
    format!("latest request about `{id}` in table `{table}`")
}

fn unless_condition_failed<T>(answer: Result<T, Cause>) -> Result<bool, Cause> {
    match answer {
        Ok(_) => Ok(true),
        Err(cause) if cause.code() == CONDITION_FAILED => Ok(false),
        Err(cause) => Err(cause),
    }
}
