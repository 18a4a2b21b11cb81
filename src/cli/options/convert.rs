//! The conversion of options to the library's commands, policies and settings.
//!
//! It must not validate values, since [`request::read_command`], [`Policy::parse`] and [`Settings::read`] do.

use std::path::Path;

use s3_kms_replication::config::{Policy, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::Region;
use s3_kms_replication::request::{self, Command};
use s3_kms_replication::spec::Invalid;
use serde::Serialize;
use serde_json::Value;

use super::{Deployment, Rule, RuleTarget, Verify};
use crate::Failure;

/// Converts `options` to the command `action` with [`request::read_command`], as the function does for its payloads.
pub fn command(action: &str, options: &impl Serialize) -> Result<Command, Failure> {
    let mut payload =
        serde_json::to_value(options).map_err(|error| Error::Internal(error.to_string()))?;
    if let Value::Object(object) = &mut payload {
        object.insert("Action".to_owned(), action.into());
    }
    Ok(request::read_command(&payload).map_err(Error::from)?)
}

/// Reads a replication policy from the file of the option `--policy`.
pub fn read_policy(file: Option<&Path>) -> Result<Option<Policy>, Failure> {
    let Some(file) = file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("--policy {}: {error}", file.display())))?;
    let policy = Policy::parse(&text)
        .map_err(|invalid| Failure::usage(format!("--policy {}: {invalid}", file.display())))?;
    Ok(Some(policy))
}

impl Verify {
    /// Reads the command. Of the rule's properties, `Verify` takes only the keys: the rule itself has the rest.
    pub fn command(&self) -> Result<Command, Failure> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Payload<'a> {
            #[serde(flatten)]
            target: &'a RuleTarget,
            source_kms_key_arns: Option<&'a [String]>,
        }
        let Rule { target, properties } = &self.rule;
        let keys = properties.source_kms_key_arns.as_deref();
        command("Verify", &Payload { target, source_kms_key_arns: keys })
    }

    pub fn destination_profile(&self) -> Option<&str> {
        self.rule.target.destination_profile.as_deref()
    }
}

impl Deployment {
    /// Returns the settings that a deployed function would read from its environment.
    pub fn settings(&self, region: Option<&Region>) -> Result<Settings, Invalid> {
        Settings::read(|name| match name {
            "ROLE_PATH" => self.limits.role_path.clone(),
            "ROLE_SCOPE" => self.function.role_scope.clone(),
            "STACK_ID" => self.function.stack_id.clone(),
            "ROLE_PERMISSIONS_BOUNDARY_ARN" => self.limits.role_permissions_boundary_arn.clone(),
            "ALLOWED_DESTINATIONS" => Some(self.limits.allowed_destinations.join(",")),
            "LOCK_TABLE" => self.function.lock_table.clone(),
            "AWS_REGION" => region.map(ToString::to_string),
            "AWS_ENDPOINT_URL" => std::env::var(name).ok(),
            _ => None,
        })
    }
}
