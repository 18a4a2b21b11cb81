//! STS: who the caller is, and the roles of other accounts that it assumes.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use super::sdk_error::{self, malformed};
use super::whole_answer::WholeAnswer;
use crate::model::{Account, ApiError, AssumedRole, Identity, Partition, RoleArn};

const ACTION: &str = "AssumeRole";

/// A session must last longer than any invocation of the function may.
const LEAST_LEFT: Duration = Duration::from_secs(16 * 60);

/// A client that refuses answers that are not whole.
pub(super) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_sts::Config::from(config).to_builder();
    Client::from_conf(config.interceptor(WholeAnswer).retry_classifier(WholeAnswer).build())
}

pub(super) async fn identity(client: &Client) -> Result<Identity, ApiError> {
    let operation = "GetCallerIdentity";
    let answer = client.get_caller_identity().send().await;
    let answer = answer.map_err(|error| sdk_error::of(operation, "the caller", error))?;
    let malformed = |problem: String| sdk_error::malformed(operation, "the caller", &problem);
    let partition = answer.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or_default();
    Ok(Identity {
        account: Account::parse(answer.account().unwrap_or_default()).map_err(malformed)?,
        partition: Partition::parse(partition).map_err(malformed)?,
    })
}

/// The identity of whoever runs as a role; `None` when the text is no role's ARN.
pub(super) fn identity_of_role(arn: &str) -> Option<Identity> {
    let role = RoleArn::parse(arn).ok()?;
    Some(Identity { account: role.account().clone(), partition: role.partition() })
}

/// The sessions of assumed roles, each with the configuration that makes clients act in it.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<AssumedRole, (SdkConfig, SystemTime)>>);

impl Sessions {
    /// `own` with the credentials of `role`, which is assumed unless there is a session with time left.
    pub(super) async fn of(
        &self,
        own: &SdkConfig,
        role: &AssumedRole,
    ) -> Result<SdkConfig, ApiError> {
        // LeaseGuard while the role is assumed, so that calls of one stage share the session.
        let mut sessions = self.0.lock().await;
        let now = SystemTime::now();
        sessions.retain(|_, (_, ends)| *ends > now + LEAST_LEFT);
        if let Some((config, _)) = sessions.get(role) {
            return Ok(config.clone());
        }
        let (credentials, ends) = assume(&client(own), role).await?;
        let config = own.clone().into_builder().credentials_provider(credentials).build();
        sessions.insert(role.clone(), (config.clone(), ends));
        Ok(config)
    }
}

async fn assume(
    client: &Client,
    role: &AssumedRole,
) -> Result<(SharedCredentialsProvider, SystemTime), ApiError> {
    let resource = format!("role `{}`", role.arn);
    let request =
        client.assume_role().role_arn(role.arn.as_str()).set_external_id(role.external_id.clone());
    let answer = request.role_session_name(&role.session).send().await.map_err(|error| {
        let mut failure = sdk_error::of(ACTION, &resource, error);
        if failure.is_denied() {
            failure.message.push_str("; the role must trust whoever assumes it");
        }
        failure.naming(Some("DestinationRoleArns"))
    })?;
    let credentials =
        answer.credentials().ok_or_else(|| malformed(ACTION, &resource, "no credentials"))?;
    let ends = SystemTime::try_from(*credentials.expiration())
        .map_err(|error| malformed(ACTION, &resource, &error.to_string()))?;
    let (id, secret, token) =
        (credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token());
    let credentials = Credentials::new(id, secret, Some(token.to_owned()), Some(ends), ACTION);
    Ok((SharedCredentialsProvider::new(credentials), ends))
}
