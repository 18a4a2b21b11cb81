//! The environment, read once at start. What is wrong with it stops the function there, with an error that names the place.

mod policy;

use http::Uri;

pub use policy::{Policy, PolicyRule};

use crate::model::{Region, is_loopback};
use crate::spec::{Invalid, RoleSettings};

/// The function's environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ROLE_PATH` and `ROLE_PERMISSIONS_BOUNDARY_ARN`.
    pub roles: RoleSettings,
    /// Where it says which new buckets are replicated, and how; `None` when nowhere.
    pub policy: Option<PolicySource>,
    /// `LOCK_TABLE`: the DynamoDB table for leases on buckets' configurations; without it, two writers at once can lose a rule.
    pub lock_table: Option<String>,
    /// `EXECUTION_ROLE_ARN`: the role that the function runs as; events of its making are ignored.
    pub execution_role_arn: Option<String>,
    /// `AWS_REGION`: the function's own Region, where a bucket is looked for first.
    pub region: Region,
    /// Whether `AWS_ENDPOINT_URL` is on this machine, so that `ResponseURL` may be, too.
    pub loopback_endpoint: bool,
}

/// Where the replication policy is.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// `REPLICATION_POLICY`: here it is.
    Inline(Policy),
    /// `REPLICATION_POLICY_PARAMETER`: in the SSM parameter of this name.
    Parameter(String),
}

impl Settings {
    /// Reads the settings with `variable`, which gives the value of an environment variable. An empty value is as good as none.
    ///
    /// # Errors
    /// The variable that cannot be accepted, with the place inside it and what is allowed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let path = variable("ROLE_PATH").unwrap_or_else(|| "/s3-kms-replication/".to_owned());
        let allowed = |byte: u8| byte.is_ascii_graphic();
        if !(path.starts_with('/')
            && path.ends_with('/')
            && path.len() <= 512
            && path.bytes().all(allowed))
        {
            return Err(Invalid::new(
                "ROLE_PATH",
                format!(
                    "is `{path}`; a path begins and ends with `/` and has at most 512 characters"
                ),
            ));
        }
        let boundary = variable("ROLE_PERMISSIONS_BOUNDARY_ARN");
        if let Some(arn) =
            boundary.as_deref().filter(|arn| !(arn.starts_with("arn:") && arn.contains(":policy/")))
        {
            return Err(Invalid::new(
                "ROLE_PERMISSIONS_BOUNDARY_ARN",
                format!("is `{arn}`; it must be the ARN of a managed policy"),
            ));
        }
        let region = variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
        Ok(Self {
            roles: RoleSettings { path, boundary },
            policy: policy_source(
                variable("REPLICATION_POLICY"),
                variable("REPLICATION_POLICY_PARAMETER"),
            )?,
            lock_table: variable("LOCK_TABLE"),
            execution_role_arn: variable("EXECUTION_ROLE_ARN"),
            region: Region::parse(&region)
                .map_err(|problem| Invalid::new("AWS_REGION", problem))?,
            loopback_endpoint: variable("AWS_ENDPOINT_URL")
                .and_then(|url| url.parse::<Uri>().ok())
                .is_some_and(|uri| uri.host().is_some_and(is_loopback)),
        })
    }
}

fn policy_source(
    inline: Option<String>,
    parameter: Option<String>,
) -> Result<Option<PolicySource>, Invalid> {
    match (inline, parameter) {
        (Some(_), Some(_)) => Err(Invalid::new(
            "REPLICATION_POLICY_PARAMETER",
            "cannot be set together with `REPLICATION_POLICY`",
        )),
        (Some(text), None) => Policy::parse(&text)
            .map(|policy| Some(PolicySource::Inline(policy)))
            .map_err(|invalid| invalid.within("REPLICATION_POLICY")),
        (None, parameter) => Ok(parameter.map(PolicySource::Parameter)),
    }
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
