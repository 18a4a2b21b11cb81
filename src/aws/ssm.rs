//! Systems Manager: the parameter that holds the replication policy.
//!
//! It owns the cache of the parameter's value. It must not know what the value means.

use std::time::{Duration, SystemTime};

use aws_sdk_ssm::Client;
use tokio::sync::Mutex;

use super::sdk_error::{self, CallError};
use crate::model::ApiError;

/// How old a cached value may be, and so how late a change of the policy may take effect.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The cached value of the only parameter that this program reads.
#[derive(Debug, Default)]
pub(super) struct CachedParameter(Mutex<Option<CachedValue>>);

#[derive(Debug)]
struct CachedValue {
    /// When the value was read, on a clock that runs on while Lambda freezes the process.
    read_at: SystemTime,
    value: String,
}

impl CachedParameter {
    /// Returns the parameter's value, read at most [`MAX_AGE`] ago.
    pub(super) async fn get(&self, client: &Client, name: &str) -> Result<String, ApiError> {
        // The lock is held during the read, so that concurrent callers make one call.
        let mut cached = self.0.lock().await;
        let is_fresh =
            |cached: &&CachedValue| cached.read_at.elapsed().is_ok_and(|age| age < MAX_AGE);
        if let Some(CachedValue { value, .. }) = cached.as_ref().filter(is_fresh) {
            return Ok(value.clone());
        }
        let value = get_parameter(client, name).await?;
        *cached = Some(CachedValue { read_at: SystemTime::now(), value: value.clone() });
        Ok(value)
    }
}

async fn get_parameter(client: &Client, name: &str) -> Result<String, ApiError> {
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
