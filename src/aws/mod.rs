//! The ports on the AWS SDK.
//!
//! Only this module and its children call AWS, and only they see errors of the SDK. It owns the configuration and the
//! credentials. It must not decide what to change.

mod clients;
mod cloudwatch;
mod connector;
mod dynamodb;
mod execute;
mod iam;
mod inspect;
mod kms;
mod memory;
mod objects;
mod raw_body;
mod raw_encryption;
pub mod raw_replication;
mod read;
mod replace;
mod s3;
mod s3control;
mod sdk_error;
mod session;
mod sqs;
mod ssm;
mod sts;
pub mod whole_answer;

use std::sync::OnceLock;

use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use clients::RegionalClients;
pub use clients::with_retries;
pub use connector::{connector, http_client};
use tokio::sync::Mutex;

use crate::config::Settings;
use crate::model::{Access, Account, ApiError, Identity, Partition};

/// AWS, with the credentials of the environment.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    connector: SharedHttpConnector,
    /// Whether a bucket's name goes into the URL's path. An emulator on this machine has no host name for each bucket.
    path_style: bool,
    /// The function's partition.
    partition: Partition,
    dynamodb: aws_sdk_dynamodb::Client,
    iam: aws_sdk_iam::Client,
    s3: RegionalClients<aws_sdk_s3::Client>,
    kms: RegionalClients<aws_sdk_kms::Client>,
    /// Created on first use, which only a policy in a parameter needs.
    ssm: OnceLock<aws_sdk_ssm::Client>,
    /// The value of the only parameter that this program reads.
    policy: memory::Cached<String>,
    memory: memory::ProcessMemory,
    /// Created on first use, which only a catch-up needs.
    sqs: OnceLock<aws_sdk_sqs::Client>,
    /// The identity that the environment names, which no call has to read.
    configured_identity: Option<Identity>,
    identity: memory::Cached<Identity>,
    sessions: sts::Sessions,
    /// Credentials of a second account.
    second_account: Option<SecondAccount>,
}

/// A second account, and the configuration of clients that call with its credentials.
#[derive(Debug)]
struct SecondAccount {
    account: Account,
    config: SdkConfig,
}

impl Aws {
    /// Takes Region, credentials and endpoint from the environment, as every AWS SDK does.
    pub async fn from_env(settings: &Settings) -> Self {
        // The ARN of the execution role contains the account, so no call is needed.
        let role = settings.execution_role_arn.as_deref();
        Self {
            configured_identity: role
                .and_then(|arn| sts::identity_of_role(arn, settings.partition)),
            ..Self::load(aws_config::defaults(BehaviorVersion::v2026_01_12()), settings).await
        }
    }

    /// Takes from the environment everything that `loader` does not set.
    pub async fn load(loader: ConfigLoader, settings: &Settings) -> Self {
        let connector = connector();
        let config = loader.http_client(http_client(connector.clone())).load().await;
        Self {
            path_style: settings.loopback_endpoint,
            partition: settings.partition,
            ..Self::new(with_retries(config), connector)
        }
    }

    /// Uses `config` for AWS's APIs and `connector` for responses to CloudFormation.
    pub fn new(config: SdkConfig, connector: SharedHttpConnector) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            iam: iam::client(&config),
            s3: Mutex::default(),
            kms: Mutex::default(),
            ssm: OnceLock::new(),
            policy: memory::Cached::default(),
            memory: memory::ProcessMemory::default(),
            sqs: OnceLock::new(),
            connector,
            config,
            path_style: false,
            partition: Partition::default(),
            configured_identity: None,
            identity: memory::Cached::default(),
            sessions: sts::Sessions::default(),
            second_account: None,
        }
    }

    /// Adds the credentials of a second account and returns the access that uses them.
    ///
    /// # Errors
    /// When the account of the credentials cannot be read.
    pub async fn add_credentials(&mut self, config: SdkConfig) -> Result<Access, ApiError> {
        let config = with_retries(config);
        let account = sts::identity(&sts::client(&config), self.partition).await?.account;
        self.second_account = Some(SecondAccount { account: account.clone(), config });
        Ok(Access::Credentials(account))
    }
}
