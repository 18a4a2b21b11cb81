//! DynamoDB: the leases, and the turns of requests about custom resources.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::failure::{self, none_if};
use crate::cloud::{Acquired, CloudError, Lease};

/// The table's partition key: a bucket's name, or with a slash, so that it is none, a custom resource's id or an account's policies.
const KEY: &str = "BucketName";
const HOLDER: &str = "Holder";
/// Epoch seconds at which a lease ends.
const EXPIRES_AT: &str = "ExpiresAt";
/// Epoch seconds; the table's time-to-live attribute.
const FORGET_AT: &str = "ForgetAt";
/// For how many seconds it is remembered when a lease ended.
const REMEMBERED: u64 = 24 * 60 * 60;
const TURN: &str = "Turn";
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Takes the lease when nobody has it, its holder's time is over, or this holder has it already: an answer was lost, or it gives it back.
pub(super) async fn acquire(client: &Client, lease: &Lease, now: u64) -> Result<Acquired, CloudError> {
    let request = client
        .put_item()
        .table_name(&lease.table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(&lease.of)),
            (HOLDER.to_owned(), text(&lease.holder)),
            (EXPIRES_AT.to_owned(), AttributeValue::N(lease.expires_at.to_string())),
            (FORGET_AT.to_owned(), AttributeValue::N((lease.expires_at + REMEMBERED).to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {EXPIRES_AT} <= :now OR {HOLDER} = :holder"))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
        .expression_attribute_values(":holder", text(&lease.holder))
        .return_values(ReturnValue::AllOld);
    match none_if(CONDITION_FAILED, request.send().await) {
        Ok(None) => Ok(Acquired::No),
        Ok(Some(answer)) => Ok(Acquired::Yes(answer.attributes().and_then(|earlier| number_in(earlier, EXPIRES_AT)))),
        Err(cause) => Err(cause.into_error("PutItem", resource(&lease.of, &lease.table))),
    }
}

/// Notes the turn, unless a later one is noted already.
pub(super) async fn take_turn(client: &Client, table: &str, id: &str, turn: u64, expires_at: u64) -> Result<bool, CloudError> {
    let request = client
        .put_item()
        .table_name(table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(id)),
            (TURN.to_owned(), AttributeValue::N(turn.to_string())),
            (FORGET_AT.to_owned(), AttributeValue::N(expires_at.to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {TURN} <= :turn"))
        .expression_attribute_values(":turn", AttributeValue::N(turn.to_string()));
    let taken = none_if(CONDITION_FAILED, request.send().await);
    taken.map(|taken| taken.is_some()).map_err(|cause| cause.into_error("PutItem", turn_of(id, table)))
}

/// The latest turn that is noted.
pub(super) async fn turn(client: &Client, table: &str, id: &str) -> Result<Option<u64>, CloudError> {
    let request = client.get_item().table_name(table).key(KEY, text(id)).consistent_read(true);
    let answer = request.send().await.map_err(|error| failure::of("GetItem", turn_of(id, table), error))?;
    Ok(answer.item().and_then(|item| number_in(item, TURN)))
}

fn number_in(item: &HashMap<String, AttributeValue>, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
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
