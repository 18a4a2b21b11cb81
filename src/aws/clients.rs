//! The SDK's clients: by Region, and with the credentials of an access.
//!
//! It owns their configuration, time-outs and cache. It must not know what is called.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use futures_util::FutureExt;
use tokio::sync::Mutex;

use super::whole_answer::WholeAnswer;
use super::{Aws, s3control, sdk_error};
use crate::model::{Access, ApiError, BucketLocation, Region};

/// Time for one attempt of an operation.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one operation, with its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an operation is tried that is throttled or not answered: about as long as [`OPERATION_TIMEOUT`].
const ATTEMPTS: u32 = 6;

/// A service's clients with the caller's own credentials. They are cached, since creating one takes longer than signing a
/// request.
pub(super) type RegionalClients<C> = Mutex<HashMap<Region, C>>;

impl Aws {
    pub(super) async fn s3(
        &self,
        region: &Region,
        access: &Access,
    ) -> Result<aws_sdk_s3::Client, ApiError> {
        self.regional_client(&self.s3, region, access, |config| self.new_s3(config)).await
    }

    pub(super) async fn s3_at(
        &self,
        location: &BucketLocation,
    ) -> Result<aws_sdk_s3::Client, ApiError> {
        self.s3(&location.region, &location.access).await
    }

    pub(super) fn new_s3(&self, config: &SdkConfig) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::from(config)
            .to_builder()
            .force_path_style(self.path_style)
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub(super) async fn kms(
        &self,
        region: &Region,
        access: &Access,
    ) -> Result<aws_sdk_kms::Client, ApiError> {
        self.regional_client(&self.kms, region, access, aws_sdk_kms::Client::new).await
    }

    pub(super) fn s3control(&self, region: &Region) -> aws_sdk_s3control::Client {
        s3control::client(&in_region(&self.config, region))
    }

    pub(super) fn cloudwatch(&self, region: &Region) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&in_region(&self.config, region))
    }

    /// A client for a Region: a cached one for the caller's own credentials, else a new one.
    async fn regional_client<C: Clone>(
        &self,
        cache: &RegionalClients<C>,
        region: &Region,
        access: &Access,
        new: impl Fn(&SdkConfig) -> C,
    ) -> Result<C, ApiError> {
        let new = |config: &SdkConfig| new(&in_region(config, region));
        Ok(match access {
            Access::Own => {
                let mut clients = cache.lock().await;
                clients.entry(region.clone()).or_insert_with(|| new(&self.config)).clone()
            }
            Access::Role(_) | Access::Credentials(_) => new(&self.config_for(access).await?),
        })
    }

    /// The configuration of clients that call with this access.
    async fn config_for(&self, access: &Access) -> Result<SdkConfig, ApiError> {
        match access {
            Access::Own => Ok(self.config.clone()),
            Access::Role(role) => self.sessions.config_for(&self.config, role).boxed_local().await,
            Access::Credentials(account) => match &self.second_account {
                Some(second) if second.account == *account => Ok(second.config.clone()),
                _ => Err(sdk_error::malformed_response(
                    "GetCallerIdentity",
                    format!("account `{account}`"),
                    "there are no credentials of this account",
                )),
            },
        }
    }
}

fn in_region(config: &SdkConfig, region: &Region) -> SdkConfig {
    config.to_builder().region(aws_config::Region::new(region.to_string())).build()
}

/// Sets the retries and the timeout of each operation.
pub fn with_retries(config: SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(OPERATION_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    config
        .into_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts)
        .build()
}
