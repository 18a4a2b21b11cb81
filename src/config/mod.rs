//! The function's settings: its environment and the replication policy document.
//!
//! It owns the environment variables and the policy's form. The environment is read once, at start: a value that cannot be accepted
//! stops the function there, with an error that names the variable. It must not know requests and clients.

mod allowed_destinations;
mod bucket_match;
mod destination_region;
mod destination_template;
mod placeholders;
mod policy;

use http::Uri;

pub use allowed_destinations::AllowedDestinations;
pub use policy::{Policy, PolicyRule};

use crate::model::{Partition, Region, RoleName, is_loopback};
use crate::spec::{Invalid, RoleSettings};

/// The function's environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ROLE_PATH` and `ROLE_PERMISSIONS_BOUNDARY_ARN`, and the role's name from `STACK_ID`.
    pub roles: RoleSettings,
    /// `ROLE_SCOPE` and `STACK_ID`: which role serves the buckets of the replication policy.
    pub role_scope: RoleScope,
    /// The place of the replication policy; `None` when there is no policy.
    pub policy: Option<PolicySource>,
    /// `ALLOWED_DESTINATIONS`: the buckets and accounts that may be destinations.
    pub allowed_destinations: AllowedDestinations,
    /// `LOCK_TABLE`: the DynamoDB table for leases on buckets' configurations. Without the table, concurrent writers can lose a rule.
    pub lock_table: Option<String>,
    /// `ALLOW_DIAGNOSE`: whether the function has the rights for Diagnose.
    pub allow_diagnose: bool,
    /// `CATCH_UP_QUEUE_URL`: the function's own queue, through which it looks again for objects that a rule has missed; `None` if it does not.
    pub catch_up_queue: Option<String>,
    /// `EXECUTION_ROLE_ARN`: the role of the function. Events of its own calls are ignored.
    pub execution_role_arn: Option<String>,
    /// `AWS_REGION`: the function's Region, where a bucket is looked up first.
    pub region: Region,
    /// `PARTITION` and `URL_SUFFIX`, else the partition of the Region.
    pub partition: Partition,
    /// Whether `AWS_ENDPOINT_URL` is on this machine. If it is, `ResponseURL` may be on this machine, too.
    pub loopback_endpoint: bool,
}

/// Which role serves the buckets of the replication policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleScope {
    /// Each bucket has a role of its own.
    Bucket,
    /// One role of the stack with this id serves all buckets.
    Policy(String),
}

/// The place of the replication policy.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// `REPLICATION_POLICY`: the policy itself.
    Inline(Policy),
    /// `REPLICATION_POLICY_PARAMETER`: the name of the SSM parameter that holds the policy.
    Parameter(String),
}

impl Settings {
    /// Reads the settings with `variable`, which returns the value of an environment variable. An empty value means "not set".
    ///
    /// # Errors
    /// The variable that cannot be accepted, with the place inside its value and what is allowed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let region = variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
        let region =
            Region::parse(&region).map_err(|problem| Invalid::new("AWS_REGION", problem))?;
        let stack_id = variable("STACK_ID");
        let settings = Self {
            roles: RoleSettings {
                path: role_path(variable("ROLE_PATH"))?,
                boundary: permissions_boundary(variable("ROLE_PERMISSIONS_BOUNDARY_ARN"))?,
                shared: stack_id.as_deref().map(|id| RoleName::shared(&region, id)),
            },
            role_scope: role_scope(variable("ROLE_SCOPE"), stack_id)?,
            policy: policy_source(
                variable("REPLICATION_POLICY"),
                variable("REPLICATION_POLICY_PARAMETER"),
            )?,
            allowed_destinations: AllowedDestinations::parse(
                variable("ALLOWED_DESTINATIONS").as_deref().unwrap_or_default(),
            )?,
            lock_table: variable("LOCK_TABLE"),
            allow_diagnose: variable("ALLOW_DIAGNOSE").is_some_and(|value| value == "true"),
            catch_up_queue: variable("CATCH_UP_QUEUE_URL"),
            execution_role_arn: variable("EXECUTION_ROLE_ARN"),
            partition: partition(variable("PARTITION"), variable("URL_SUFFIX"), &region)?,
            region,
            loopback_endpoint: variable("AWS_ENDPOINT_URL")
                .and_then(|url| url.parse::<Uri>().ok())
                .is_some_and(|uri| uri.host().is_some_and(is_loopback)),
        };
        if let Some(PolicySource::Inline(policy)) = &settings.policy {
            settings
                .check_policy(policy)
                .map_err(|invalid| invalid.within("REPLICATION_POLICY"))?;
        }
        Ok(settings)
    }

    /// Checks that the role scope can serve the policy.
    ///
    /// # Errors
    /// The property of the policy that does not allow one role for all buckets.
    pub fn check_policy(&self, policy: &Policy) -> Result<(), Invalid> {
        match self.role_scope {
            RoleScope::Bucket => Ok(()),
            RoleScope::Policy(_) => policy.check_shared_role(&self.region, self.partition),
        }
    }

    /// What the caller should know about a policy that [fits](Self::check_policy), as one sentence for each thing.
    pub fn policy_warnings(&self, policy: &Policy) -> Vec<String> {
        let mut warnings = policy.warnings();
        match self.role_scope {
            RoleScope::Bucket => {}
            RoleScope::Policy(_) => {
                warnings.extend(policy.warning_of_shared_role(&self.region, self.partition));
            }
        }
        warnings
    }
}

fn role_scope(scope: Option<String>, stack_id: Option<String>) -> Result<RoleScope, Invalid> {
    match (scope.as_deref(), stack_id) {
        (None | Some("Bucket"), _) => Ok(RoleScope::Bucket),
        (Some("Policy"), Some(stack_id)) => Ok(RoleScope::Policy(stack_id)),
        (Some("Policy"), None) => Err(Invalid::new(
            "STACK_ID",
            "is required with `ROLE_SCOPE` Policy: the role is named and tagged for one stack",
        )),
        (Some(other), _) => {
            Err(Invalid::new("ROLE_SCOPE", format!("is `{other}`; allowed are Bucket, Policy")))
        }
    }
}

/// The partition by its name, else that of the Region. Of a partition that is not in the table, the DNS suffix must be given.
fn partition(
    name: Option<String>,
    url_suffix: Option<String>,
    region: &Region,
) -> Result<Partition, Invalid> {
    let Some(name) = name else {
        return Ok(Partition::of_region(region));
    };
    let invalid = |problem| Invalid::new("PARTITION", problem);
    Partition::check_name(&name).map_err(invalid)?;
    match (Partition::parse(&name), url_suffix) {
        (Ok(known), _) => Ok(known),
        (Err(_), Some(suffix)) if is_dns_suffix(&suffix) => {
            Ok(Partition::with_suffix(name, suffix))
        }
        (Err(_), Some(suffix)) => Err(Invalid::new(
            "URL_SUFFIX",
            format!("is `{suffix}`; it must be a DNS suffix such as amazonaws.com"),
        )),
        (Err(problem), None) => Err(invalid(format!("{problem}; with another, set `URL_SUFFIX`"))),
    }
}

fn is_dns_suffix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.contains('.')
        && text.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

fn role_path(given: Option<String>) -> Result<String, Invalid> {
    let path = given.unwrap_or_else(|| "/s3-kms-replication/".to_owned());
    let is_valid = path.starts_with('/')
        && path.ends_with('/')
        && path.len() <= 512
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid {
        return Ok(path);
    }
    let problem =
        format!("is `{path}`; a path begins and ends with `/` and has at most 512 characters");
    Err(Invalid::new("ROLE_PATH", problem))
}

fn permissions_boundary(given: Option<String>) -> Result<Option<String>, Invalid> {
    let is_policy_arn = |arn: &str| {
        arn.starts_with("arn:")
            && arn.contains(":policy/")
            && arn.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match given {
        Some(arn) if !is_policy_arn(&arn) => Err(Invalid::new(
            "ROLE_PERMISSIONS_BOUNDARY_ARN",
            format!("is `{arn}`; it must be the ARN of a managed policy"),
        )),
        given => Ok(given),
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
mod placeholder_tests;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
