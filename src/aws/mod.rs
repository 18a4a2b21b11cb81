//! The ports on the AWS SDK.
//!
//! Only this module and its children call AWS, and only they see errors of the SDK. It owns clients, credentials, timeouts and
//! the retries of single calls. It must not decide what to change.

mod cloudwatch;
mod connector;
mod dynamodb;
mod iam;
mod kms;
mod objects;
mod raw_encryption;
pub mod raw_replication;
mod replace;
mod s3;
mod s3control;
mod sdk_error;
mod session;
mod ssm;
mod sts;
pub mod whole_answer;

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
pub use connector::{connector, http_client};
use futures_util::FutureExt;
use tokio::sync::{Mutex, OnceCell};
use whole_answer::WholeAnswer;

use crate::config::Settings;
use crate::model::{
    Access, Account, Alarm, ApiError, BucketLocation, BucketName, Encryption, Identity, Job, Key,
    ListedBucket, Partition, Region, ReplicationConfiguration, ResourcePolicyTarget, Role,
    RoleName, RoleOutline, Versioning,
};
use crate::plan::{Action, NewJob};
use crate::ports::{Execute, Executed, Read};

/// Time for one attempt of an operation.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one operation, with its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an operation is tried that is throttled or not answered: about as long as [`OPERATION_TIMEOUT`].
const ATTEMPTS: u32 = 6;

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
    policy: ssm::CachedParameter,
    identity: OnceCell<Identity>,
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

/// A service's clients with the caller's own credentials. They are cached, since creating one takes longer than signing a
/// request.
type RegionalClients<C> = Mutex<HashMap<Region, C>>;

impl Aws {
    /// Takes Region, credentials and endpoint from the environment, as every AWS SDK does.
    pub async fn from_env(settings: &Settings) -> Self {
        // The ARN of the execution role contains the account, so no call is needed.
        let identity = OnceCell::new_with(
            settings
                .execution_role_arn
                .as_deref()
                .and_then(|arn| sts::identity_of_role(arn, settings.partition)),
        );
        Self {
            identity,
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
            policy: ssm::CachedParameter::default(),
            connector,
            config,
            path_style: false,
            partition: Partition::default(),
            identity: OnceCell::new(),
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

    fn s3_config(&self, config: &SdkConfig) -> aws_sdk_s3::config::Builder {
        let config = aws_sdk_s3::Config::from(config).to_builder();
        config
            .force_path_style(self.path_style)
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer)
    }

    async fn s3(&self, region: &Region, access: &Access) -> Result<aws_sdk_s3::Client, ApiError> {
        let client = |config: &SdkConfig| {
            let config = self.s3_config(config).region(sdk_region(region));
            aws_sdk_s3::Client::from_conf(config.build())
        };
        Ok(match access {
            Access::Own => self
                .s3
                .lock()
                .await
                .entry(region.clone())
                .or_insert_with(|| client(&self.config))
                .clone(),
            access => client(&self.config_for(access).await?),
        })
    }

    async fn s3_at(&self, location: &BucketLocation) -> Result<aws_sdk_s3::Client, ApiError> {
        self.s3(&location.region, &location.access).await
    }

    async fn kms(&self, region: &Region, access: &Access) -> Result<aws_sdk_kms::Client, ApiError> {
        let client = |config: &SdkConfig| {
            let config = aws_sdk_kms::Config::from(config).to_builder().region(sdk_region(region));
            aws_sdk_kms::Client::from_conf(config.build())
        };
        Ok(match access {
            Access::Own => self
                .kms
                .lock()
                .await
                .entry(region.clone())
                .or_insert_with(|| client(&self.config))
                .clone(),
            access => client(&self.config_for(access).await?),
        })
    }

    fn s3control(&self, region: &Region) -> aws_sdk_s3control::Client {
        s3control::client(&self.config, region)
    }

    fn cloudwatch(&self, region: &Region) -> aws_sdk_cloudwatch::Client {
        let config = aws_sdk_cloudwatch::Config::from(&self.config)
            .to_builder()
            .region(sdk_region(region))
            .build();
        aws_sdk_cloudwatch::Client::from_conf(config)
    }
}

impl Aws {
    /// Starts a job and records its id in a tag of its role. When the tag cannot be written, the same request finds the job by
    /// its token.
    async fn start_job(&self, action: &Action, job: &NewJob) -> Result<String, ApiError> {
        let Identity { partition, .. } = self.identity().await?;
        let role_error = |operation| {
            move |error: sdk_error::CallError| {
                error.into_error(operation, format!("role `{}`", job.role))
            }
        };
        let token =
            job.token(&iam::role_id(&self.iam, &job.role).await.map_err(role_error("GetRole"))?);
        let created =
            s3control::create_job(&self.s3control(&job.location.region), job, partition, token)
                .await;
        let id =
            created.map_err(|error| error.into_error(action.operation(), action.resource()))?;
        let (key, value) = job.tag(&id);
        iam::tag_role(&self.iam, &job.role, key.as_str(), &value)
            .await
            .map_err(role_error("TagRole"))?;
        Ok(id)
    }
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

fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.to_string())
}

/// Each call is boxed: its future has about 5 KB, and the futures that contain it would overflow the stack.
impl Read for Aws {
    async fn identity(&self) -> Result<Identity, ApiError> {
        let identity = self.identity.get_or_try_init(|| async {
            sts::identity(&sts::client(&self.config), self.partition).boxed_local().await
        });
        identity.await.cloned()
    }

    async fn buckets(&self) -> Result<Vec<ListedBucket>, ApiError> {
        let config = self.s3_config(&self.config).build();
        s3::list_buckets(&aws_sdk_s3::Client::from_conf(config)).boxed_local().await
    }

    async fn bucket_region(
        &self,
        bucket: &BucketName,
        expected: &Region,
        access: &Access,
    ) -> Result<Option<Region>, ApiError> {
        self.in_session(access, async || {
            s3::bucket_region(&self.s3(expected, access).await?, bucket, expected).await
        })
        .await
    }

    async fn versioning(&self, location: &BucketLocation) -> Result<Versioning, ApiError> {
        self.in_session(&location.access, async || {
            s3::versioning(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn encryption(&self, location: &BucketLocation) -> Result<Encryption, ApiError> {
        self.in_session(&location.access, async || {
            s3::encryption(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn replication(
        &self,
        location: &BucketLocation,
    ) -> Result<Option<ReplicationConfiguration>, ApiError> {
        self.in_session(&location.access, async || {
            s3::replication(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn object_lock(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.in_session(&location.access, async || {
            s3::object_lock(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn bucket_tags(
        &self,
        location: &BucketLocation,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        self.in_session(&location.access, async || {
            s3::tags(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn is_empty(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.in_session(&location.access, async || {
            objects::is_empty(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn public_access_blocked(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.in_session(&location.access, async || {
            s3::public_access_blocked(&self.s3_at(location).await?, location).await
        })
        .await
    }

    async fn key(
        &self,
        id: &str,
        region: &Region,
        access: &Access,
    ) -> Result<Option<Key>, ApiError> {
        self.in_session(access, async || kms::key(&self.kms(region, access).await?, id).await).await
    }

    async fn resource_policy(
        &self,
        target: &ResourcePolicyTarget,
    ) -> Result<Option<String>, ApiError> {
        self.in_session(target.access(), async || match target {
            ResourcePolicyTarget::Bucket(location) => {
                s3::policy(&self.s3_at(location).await?, location).await
            }
            ResourcePolicyTarget::Key { arn, region, access } => {
                kms::policy(&self.kms(region, access).await?, arn).await
            }
        })
        .await
    }

    async fn role_outline(&self, name: &RoleName) -> Result<Option<RoleOutline>, ApiError> {
        iam::role_outline(&self.iam, name).boxed_local().await
    }

    async fn with_policies(&self, outline: RoleOutline) -> Result<Role, ApiError> {
        iam::with_policies(&self.iam, outline).boxed_local().await
    }

    async fn alarms(&self, names: &[String], region: &Region) -> Result<Vec<Alarm>, ApiError> {
        cloudwatch::alarms(&self.cloudwatch(region), names, region).boxed_local().await
    }

    async fn parameter(&self, name: &str) -> Result<String, ApiError> {
        let ssm = self.ssm.get_or_init(|| aws_sdk_ssm::Client::new(&self.config));
        self.policy.get(ssm, name).boxed_local().await
    }

    async fn job(
        &self,
        id: &str,
        region: &Region,
        account: &Account,
    ) -> Result<Option<Job>, ApiError> {
        s3control::job(&self.s3control(region), id, account).boxed_local().await
    }
}

impl Execute for Aws {
    async fn execute(&self, action: &Action) -> Result<Executed, ApiError> {
        self.in_session(action.access(), async || self.execute_once(action).await).await
    }
}

impl Aws {
    async fn execute_once(&self, action: &Action) -> Result<Executed, ApiError> {
        let done = match action {
            Action::CreateBucket { location, source } => {
                s3::create_bucket(&self.s3_at(location).await?, location, source).await
            }
            Action::EnableVersioning { location, .. } => {
                s3::enable_versioning(&self.s3_at(location).await?, location).await
            }
            Action::EncryptBucket { location, key, .. } => {
                raw_encryption::set_default_key(&self.s3_at(location).await?, location, key).await
            }
            Action::BlockPublicAccess { location } => {
                s3::block_public_access(&self.s3_at(location).await?, location).await
            }
            Action::PutReplication { .. }
            | Action::DeleteReplication { .. }
            | Action::PutStatement { .. }
            | Action::RemoveStatement { .. } => {
                return self.replace_whole(action).boxed_local().await.map(|()| Executed::Done);
            }
            Action::StartJob { job } => {
                return self.start_job(action, job).await.map(Executed::JobStarted);
            }
            Action::CancelJob { location, id, .. } => {
                s3control::cancel_job(&self.s3control(&location.region), location, id).await
            }
            Action::UntagRole { role, tag, .. } => {
                iam::untag_role(&self.iam, role, tag.as_str()).await
            }
            Action::PutAlarm { alarm, .. } => {
                cloudwatch::put(&self.cloudwatch(&alarm.region), alarm).await
            }
            Action::DeleteAlarm { alarm } => {
                cloudwatch::delete(&self.cloudwatch(&alarm.region), &alarm.name).await
            }
            Action::CreateRole { name, path, trust, boundary, source } => {
                let boundary = boundary.as_deref();
                let role = iam::NewRole { name, path, trust, boundary, source };
                iam::create_role(&self.iam, role).await
            }
            Action::UpdateAssumeRolePolicy { name, trust, .. } => {
                iam::update_assume_role_policy(&self.iam, name, trust).await
            }
            Action::PutRolePermissionsBoundary { name, boundary, .. } => {
                iam::put_role_permissions_boundary(&self.iam, name, boundary).await
            }
            Action::PutRolePolicy { role, policy, document, .. } => {
                iam::put_role_policy(&self.iam, role, policy, document).await
            }
            Action::DeleteRolePolicy { role, policy, .. } => {
                iam::delete_role_policy(&self.iam, role, policy).await
            }
            Action::DeleteRole { name } => iam::delete_role(&self.iam, name).await,
        };
        done.map(|()| Executed::Done)
            .map_err(|error| error.into_error(action.operation(), action.resource()))
    }
}
