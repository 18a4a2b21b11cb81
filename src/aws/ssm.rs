//! Systems Manager: the parameter that holds the replication policy.

use std::time::{Duration, SystemTime};

use aws_sdk_ssm::Client;
use tokio::sync::Mutex;

use super::sdk_error::{self, Cause};
use crate::model::ApiError;

/// How long a value that was read is used: so long may a change of the policy take to be followed.
const FRESH: Duration = Duration::from_secs(300);

/// The value of the one parameter that this program reads, and when it was read, on a clock that goes on while Lambda freezes the process.
#[derive(Debug, Default)]
pub(super) struct Cached(Mutex<Option<(SystemTime, String)>>);

impl Cached {
    /// The parameter's value, read at most [`FRESH`] ago.
    pub(super) async fn parameter(&self, client: &Client, name: &str) -> Result<String, ApiError> {
        // LeaseGuard while reading: several that ask at once read once.
        let mut cached = self.0.lock().await;
        if let Some((_, value)) =
            cached.as_ref().filter(|(read, _)| read.elapsed().is_ok_and(|age| age < FRESH))
        {
            return Ok(value.clone());
        }
        let value = parameter(client, name).await?;
        *cached = Some((SystemTime::now(), value.clone()));
        Ok(value)
    }
}

async fn parameter(client: &Client, name: &str) -> Result<String, ApiError> {
    let (operation, resource) = ("GetParameter", format!("parameter `{name}`"));
    let answer = client
        .get_parameter()
        .name(name)
        .send()
        .await
        .map_err(|error| sdk_error::of(operation, &resource, error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    value.ok_or_else(|| Cause::empty_answer().into_error(operation, resource))
}
