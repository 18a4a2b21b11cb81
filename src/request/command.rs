//! Commands: what a person, Action Functions or the CLI asks for directly.

use serde_json::{Map, Value};

use crate::model::{Access, BucketName, KeyReference, RuleAddress, RuleId};
use crate::spec::{Invalid, Object, Properties, Spec, destination_access, read_properties};

/// A command. The rule that `Plan`, `Apply`, `Delete` and `Verify` are about is called `Name`, or else as its destination bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a rule true, or with `DryRun` (which `Plan` implies) tells what that would take.
    Apply(Box<Spec>),
    /// Takes a rule back.
    Delete {
        /// The rule.
        rule: RuleAddress,
        /// With whose credentials the destination's account is accessed.
        access: Access,
        /// Plan only.
        dry_run: bool,
    },
    /// Shows with an object that a rule replicates.
    Verify {
        /// The rule.
        rule: RuleAddress,
        /// The key that encrypts the object; `None` for what the bucket encrypts with.
        key: Option<KeyReference>,
        /// With whose credentials the destination's account is accessed.
        access: Access,
    },
    /// Holds the replication policy against one bucket.
    Reconcile {
        /// The bucket.
        source: BucketName,
        /// Plan only.
        dry_run: bool,
    },
}

const ACTIONS: &str = "Plan, Apply, Delete, Reconcile, Verify";

pub(super) fn read(object: &Map<String, Value>) -> Result<Command, Invalid> {
    let mut named = Object::new(object);
    let action = named.text("Action")?.unwrap_or_default();
    let name = named.text("Name")?;
    let properties = read_properties(object, &["Action", "Name"])?;
    let dry_run = properties.dry_run.unwrap_or(false);
    let source = || {
        let name = properties
            .source_bucket
            .as_deref()
            .ok_or_else(|| Invalid::new("SourceBucket", "is required"))?;
        BucketName::parse(name).map_err(|problem| Invalid::new("SourceBucket", problem))
    };
    let access = || destination_access(&properties, &source()?);
    let rule_id = || match &name {
        Some(name) => RuleId::named(name).map_err(|problem| Invalid::new("Name", problem)),
        None => {
            let destination = properties
                .destination_bucket
                .as_deref()
                .ok_or_else(|| Invalid::new("DestinationBucket", "is required, or `Name`"))?;
            let destination = BucketName::parse_name_or_arn(destination)
                .map_err(|problem| Invalid::new("DestinationBucket", problem))?;
            RuleId::named(destination.as_str())
                .map_err(|problem| Invalid::new("DestinationBucket", problem))
        }
    };
    match action.as_str() {
        "Plan" => {
            let spec = Spec::new(rule_id()?, &properties)?;
            Ok(Command::Apply(Box::new(Spec { dry_run: true, ..spec })))
        }
        "Apply" => Ok(Command::Apply(Box::new(Spec::new(rule_id()?, &properties)?))),
        "Delete" => Ok(Command::Delete {
            rule: RuleAddress { source: source()?, id: rule_id()? },
            access: access()?,
            dry_run,
        }),
        "Reconcile" if properties != of_reconcile(&properties) || name.is_some() => {
            Err(Invalid::new(
                "Action",
                "`Reconcile` takes `SourceBucket` and `DryRun`, and everything else from the replication policy",
            ))
        }
        "Reconcile" => Ok(Command::Reconcile { source: source()?, dry_run }),
        "Verify" if properties != of_verify(&properties) => Err(Invalid::new(
            "Action",
            "`Verify` takes `SourceBucket`, `Name` or `DestinationBucket`, `SourceKmsKeyArns`, `DestinationRoleArn` and `DestinationRoleExternalId`, and the rest from the rule",
        )),
        "Verify" => {
            let key = properties
                .source_kms_key_arns
                .iter()
                .flatten()
                .next()
                .map(|arn| KeyReference::parse(arn))
                .transpose();
            let key = key.map_err(|problem| Invalid::new("SourceKmsKeyArns", problem))?;
            Ok(Command::Verify {
                rule: RuleAddress { source: source()?, id: rule_id()? },
                key,
                access: access()?,
            })
        }
        other => Err(Invalid::new("Action", format!("is `{other}`; allowed are {ACTIONS}"))),
    }
}

/// Those of the properties that `Reconcile` has a use for.
fn of_reconcile(properties: &Properties) -> Properties {
    Properties {
        source_bucket: properties.source_bucket.clone(),
        dry_run: properties.dry_run,
        ..Properties::default()
    }
}

/// Those of the properties that `Verify` has a use for.
fn of_verify(properties: &Properties) -> Properties {
    Properties {
        source_bucket: properties.source_bucket.clone(),
        destination_bucket: properties.destination_bucket.clone(),
        source_kms_key_arns: properties.source_kms_key_arns.clone(),
        destination_role_arn: properties.destination_role_arn.clone(),
        destination_role_external_id: properties.destination_role_external_id.clone(),
        ..Properties::default()
    }
}
