//! Systems Manager: the parameter that holds the replication policy.
//!
//! It must not know what the value means.

use std::time::Duration;

use aws_sdk_ssm::Client;

use super::sdk_error::{self, CallError};
use crate::model::ApiError;

/// How old the value may be, and so how late a change of the policy may take effect.
pub(super) const MAX_AGE: Duration = Duration::from_secs(60);

/// Reads the value of a parameter.
pub(super) async fn parameter(client: &Client, name: &str) -> Result<String, ApiError> {
    let (operation, resource) = ("GetParameter", format!("parameter `{name}`"));
    let response = client
        .get_parameter()
        .name(name)
        .send()
        .await
        .map_err(|error| sdk_error::api_error(operation, &resource, error))?;
    let value = response.parameter.and_then(|parameter| parameter.value);
    value.ok_or_else(|| CallError::empty_response().into_error(operation, resource))
}
