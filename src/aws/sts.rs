//! STS: the caller's identity, and sessions of assumed roles.
//!
//! It owns the cached sessions. It must not know what the sessions are used for.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use super::sdk_error::{self, malformed_response};
use super::whole_answer::WholeAnswer;
use crate::model::{Account, ApiError, AssumedRole, Identity, OptionalRight, Partition, RoleArn};

const ASSUME_ROLE: &str = "AssumeRole";

/// The shortest remaining time in which a session is reused: longer than any invocation of the function.
const MIN_TIME_LEFT: Duration = Duration::from_secs(16 * 60);

/// How old the caller's identity may be.
pub(super) const IDENTITY_MAX_AGE: Duration = Duration::from_secs(300);

/// A client that refuses answers that are not whole.
pub(super) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_sts::Config::from(config).to_builder();
    Client::from_conf(config.interceptor(WholeAnswer).retry_classifier(WholeAnswer).build())
}

/// Reads the account and the partition of the client's credentials.
///
/// `own` is the partition of the function, which may be one that the table of partitions does not have.
pub(super) async fn identity(client: &Client, own: Partition) -> Result<Identity, ApiError> {
    let operation = "GetCallerIdentity";
    let response = client.get_caller_identity().send().await;
    let response =
        response.map_err(|error| sdk_error::api_error(operation, "the caller", error))?;
    let malformed = |problem: String| malformed_response(operation, "the caller", &problem);
    let partition = response.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or_default();
    Ok(Identity {
        account: Account::parse(response.account().unwrap_or_default()).map_err(malformed)?,
        partition: find_partition(partition, own).map_err(malformed)?,
    })
}

/// The identity of a program that runs as this role; `None` when the text is not a role's ARN.
pub(super) fn identity_of_role(arn: &str, own: Partition) -> Option<Identity> {
    let role = RoleArn::parse(arn).ok()?;
    let partition = find_partition(role.partition(), own).ok()?;
    Some(Identity { account: role.account().clone(), partition })
}

fn find_partition(name: &str, own: Partition) -> Result<Partition, String> {
    if name == own.as_str() { Ok(own) } else { Partition::parse(name) }
}

/// The cached sessions of assumed roles.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<AssumedRole, Session>>);

#[derive(Debug)]
struct Session {
    /// The configuration of clients that call with the session's credentials.
    config: SdkConfig,
    expires_at: SystemTime,
}

impl Sessions {
    /// Returns `own` with the credentials of `role`. The role is assumed, unless a cached session lasts long enough.
    pub(super) async fn config_for(
        &self,
        own: &SdkConfig,
        role: &AssumedRole,
    ) -> Result<SdkConfig, ApiError> {
        // The lock is held while the role is assumed, so that concurrent calls share the session.
        let mut sessions = self.0.lock().await;
        let now = SystemTime::now();
        sessions.retain(|_, session| session.expires_at > now + MIN_TIME_LEFT);
        if let Some(session) = sessions.get(role) {
            return Ok(session.config.clone());
        }
        let (credentials, expires_at) = assume_role(&client(own), role).await?;
        let config = own.clone().into_builder().credentials_provider(credentials).build();
        sessions.insert(role.clone(), Session { config: config.clone(), expires_at });
        Ok(config)
    }
}

impl Sessions {
    /// When the cached session of `role` expires; `None` if there is none.
    pub(super) async fn expiry(&self, role: &AssumedRole) -> Option<SystemTime> {
        self.0.lock().await.get(role).map(|session| session.expires_at)
    }

    /// Forgets the session of `role` that expires at `expiry`. A session that has replaced that one stays.
    pub(super) async fn forget(&self, role: &AssumedRole, expiry: Option<SystemTime>) {
        let mut sessions = self.0.lock().await;
        let is_other =
            |session: &Session| expiry.is_some_and(|expiry| expiry != session.expires_at);
        if !sessions.get(role).is_some_and(is_other) {
            sessions.remove(role);
        }
    }
}

async fn assume_role(
    client: &Client,
    role: &AssumedRole,
) -> Result<(SharedCredentialsProvider, SystemTime), ApiError> {
    let resource = format!("role `{}`", role.arn);
    let request =
        client.assume_role().role_arn(role.arn.as_str()).set_external_id(role.external_id.clone());
    let response = request.role_session_name(&role.session).send().await.map_err(|error| {
        let mut failure = sdk_error::api_error(ASSUME_ROLE, &resource, error);
        if failure.is_denied() {
            failure
                .message
                .push_str("; the role's trust policy must allow the caller to assume it");
        }
        failure.with_needed_right(Some(OptionalRight::AssumeDestinationRole))
    })?;
    let credentials = response
        .credentials()
        .ok_or_else(|| malformed_response(ASSUME_ROLE, &resource, "no credentials"))?;
    let expires_at = SystemTime::try_from(*credentials.expiration())
        .map_err(|error| malformed_response(ASSUME_ROLE, &resource, &error.to_string()))?;
    let (id, secret, token) =
        (credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token());
    let credentials =
        Credentials::new(id, secret, Some(token.to_owned()), Some(expires_at), ASSUME_ROLE);
    Ok((SharedCredentialsProvider::new(credentials), expires_at))
}
