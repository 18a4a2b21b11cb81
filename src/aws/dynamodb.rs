//! DynamoDB: the leases.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::failure::Cause;
use crate::cloud::{CloudError, Lease};

/// The table's partition key.
const KEY: &str = "BucketName";
const HOLDER: &str = "Holder";
/// Epoch seconds; the table's time-to-live attribute.
const EXPIRES_AT: &str = "ExpiresAt";
const HELD_BY_ANOTHER: &str = "ConditionalCheckFailedException";

/// Takes the lease when nobody has it, its holder's time is over, or this holder has it already, an answer having been lost.
pub(super) async fn acquire(client: &Client, lease: &Lease, now: u64) -> Result<bool, CloudError> {
    let request = client
        .put_item()
        .table_name(&lease.table)
        .set_item(Some(HashMap::from([
            (KEY.to_owned(), text(lease.bucket.as_str())),
            (HOLDER.to_owned(), text(&lease.holder)),
            (EXPIRES_AT.to_owned(), AttributeValue::N(lease.expires_at.to_string())),
        ])))
        .condition_expression(format!("attribute_not_exists({KEY}) OR {EXPIRES_AT} <= :now OR {HOLDER} = :holder"))
        .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
        .expression_attribute_values(":holder", text(&lease.holder));
    unless_held_by_another(request.send().await.map_err(Cause::from)).map_err(|cause| cause.into_error("PutItem", resource(lease)))
}

/// Gives the lease back, unless it is another's by now.
pub(super) async fn release(client: &Client, lease: &Lease) -> Result<(), CloudError> {
    let request = client
        .delete_item()
        .table_name(&lease.table)
        .key(KEY, text(lease.bucket.as_str()))
        .condition_expression(format!("{HOLDER} = :holder"))
        .expression_attribute_values(":holder", text(&lease.holder));
    let released = unless_held_by_another(request.send().await.map_err(Cause::from));
    released.map(|_| ()).map_err(|cause| cause.into_error("DeleteItem", resource(lease)))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn resource(lease: &Lease) -> String {
    format!("lease on bucket `{}` in table `{}`", lease.bucket, lease.table)
}

fn unless_held_by_another<T>(answer: Result<T, Cause>) -> Result<bool, Cause> {
    match answer {
        Ok(_) => Ok(true),
        Err(cause) if cause.code() == HELD_BY_ANOTHER => Ok(false),
        Err(cause) => Err(cause),
    }
}
