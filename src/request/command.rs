//! Commands of a person, Step Functions or the CLI.
//!
//! It must not know how a command is executed.

use std::fmt;

use serde_json::{Map, Value};

use crate::model::{Access, BucketName, KeyReference, LegacyBucketName, RuleAddress, RuleId};
use crate::plan::ObjectSelection;
use crate::spec::{Invalid, Object, Properties, Report, Spec, destination_access, read_properties};

/// A command. The rule of `Plan`, `Apply`, `Delete` and `Verify` has the name in `Name`, or else the name of the destination bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Creates or updates a rule. A dry run, which `Plan` implies, only plans.
    Apply(Box<Spec>),
    /// Deletes a rule.
    Delete {
        /// The rule.
        rule: RuleAddress,
        /// The credentials with which the destination's account is accessed.
        access: Access,
        /// Whether to plan without changing anything.
        dry_run: bool,
    },
    /// Checks with a canary whether a rule replicates.
    Verify {
        /// The rule.
        rule: RuleAddress,
        /// The key that encrypts the canary; `None` for the bucket's default encryption.
        key: Option<KeyReference>,
        /// The credentials with which the destination's account is accessed.
        access: Access,
    },
    /// Diagnoses the rules of a bucket, whoever made them.
    Diagnose {
        /// The bucket.
        source: BucketName,
        /// The id of the only rule to diagnose; `None` for all rules.
        rule: Option<String>,
        /// The credentials with which the destination's account is accessed.
        access: Access,
    },
    /// Starts a job for the objects of a rule that S3 failed to replicate.
    Replay {
        /// The source bucket.
        source: BucketName,
        /// The rule's name, or the `ID` of a foreign rule; `None` for the bucket's only rule of ours.
        name: Option<String>,
        /// The place of the job's report.
        report: Report,
        /// The objects that the job replicates.
        selection: ObjectSelection,
        /// Whether to plan without changing anything.
        dry_run: bool,
    },
    /// Applies the replication policy to one bucket.
    Reconcile {
        /// The bucket.
        source: SourceName,
        /// Whether to plan without changing anything.
        dry_run: bool,
    },
    /// Applies the replication policy to several buckets, each by itself.
    ReconcileBatch {
        /// The buckets. A name that no bucket can have fails alone.
        sources: Vec<BatchItem>,
    },
}

/// The name of a bucket to reconcile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceName {
    /// A bucket that the replication policy can apply to.
    Bucket(BucketName),
    /// A bucket with a name from before March 2018, which is not supported.
    Legacy(LegacyBucketName),
}

/// A bucket of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// The name as it was given.
    pub name: String,
    /// The bucket, or why no bucket can have the name.
    pub source: Result<SourceName, Invalid>,
}

/// The most buckets of a batch: an invocation has time for them, and an answer place.
const MAX_BATCH: usize = 25;

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(bucket) => bucket.fmt(formatter),
            Self::Legacy(bucket) => bucket.fmt(formatter),
        }
    }
}

impl SourceName {
    fn parse(name: &str) -> Result<Self, Invalid> {
        if let Some(legacy) = LegacyBucketName::parse(name) {
            return Ok(Self::Legacy(legacy));
        }
        let bucket = BucketName::parse(name);
        bucket.map(Self::Bucket).map_err(|problem| Invalid::new("SourceBucket", problem))
    }
}

const ACTIONS: &str = "Plan, Apply, Delete, Reconcile, Verify, Diagnose, Replay";

/// Reads a command from a payload with the name `Action`.
pub(super) fn read(object: &Map<String, Value>) -> Result<Command, Invalid> {
    match Object::new(object).text("Action")?.as_deref() {
        Some("Diagnose") => return read_diagnose(object),
        Some("Reconcile") if object.contains_key("SourceBuckets") => return read_batch(object),
        Some(_) | None => {}
    }
    let arguments = Arguments::read(object)?;
    match arguments.action.as_deref().unwrap_or_default() {
        "Plan" => Ok(Command::Apply(Box::new(Spec { dry_run: true, ..arguments.spec()? }))),
        "Apply" => Ok(Command::Apply(Box::new(arguments.spec()?))),
        "Delete" => Ok(Command::Delete {
            rule: arguments.rule()?,
            access: arguments.access()?,
            dry_run: arguments.dry_run(),
        }),
        "Reconcile" => {
            arguments.check_reconcile()?;
            let source = SourceName::parse(arguments.source_name()?)?;
            Ok(Command::Reconcile { source, dry_run: arguments.dry_run() })
        }
        "Verify" => {
            arguments.check_verify()?;
            let (rule, key) = (arguments.rule()?, arguments.key()?);
            Ok(Command::Verify { rule, key, access: arguments.access()? })
        }
        "Replay" => arguments.replay(),
        other => Err(Invalid::new("Action", format!("is `{other}`; allowed are {ACTIONS}"))),
    }
}

fn read_diagnose(object: &Map<String, Value>) -> Result<Command, Invalid> {
    let rule = Object::new(object).text("RuleId")?;
    let properties = read_properties(object, &["Action", "RuleId"])?;
    let arguments = Arguments { action: None, name: None, properties };
    arguments.check_diagnose()?;
    Ok(Command::Diagnose { source: arguments.source()?, rule, access: arguments.access()? })
}

fn read_batch(object: &Map<String, Value>) -> Result<Command, Invalid> {
    let mut reader = Object::new(object);
    reader.text("Action")?;
    let names = reader.list("SourceBuckets")?.unwrap_or_default();
    reader.finish()?;
    if !(1..=MAX_BATCH).contains(&names.len()) {
        let problem = format!("has {} names; allowed are 1 to {MAX_BATCH}", names.len());
        return Err(Invalid::new("SourceBuckets", problem));
    }
    let item = |name: String| BatchItem { source: SourceName::parse(&name), name };
    Ok(Command::ReconcileBatch { sources: names.into_iter().map(item).collect() })
}

/// The values of a command.
pub(super) struct Arguments {
    /// What is to be done.
    pub action: Option<String>,
    name: Option<String>,
    properties: Properties,
}

impl Arguments {
    /// Reads the values, and refuses names that are not known.
    pub fn read(object: &Map<String, Value>) -> Result<Self, Invalid> {
        let mut reader = Object::new(object);
        Ok(Self {
            action: reader.text("Action")?,
            name: reader.text("Name")?,
            properties: read_properties(object, &["Action", "Name"])?,
        })
    }

    /// The rule that should exist.
    pub fn spec(&self) -> Result<Spec, Invalid> {
        Spec::check_required(&self.properties)?;
        Spec::new(self.rule_id()?, &self.properties)
    }

    /// The rule that the name, or else the destination, stands for.
    pub fn rule(&self) -> Result<RuleAddress, Invalid> {
        let has_rule = self.name.is_some() || self.properties.destination_bucket.is_some();
        if self.properties.source_bucket.is_none() && !has_rule {
            let problem = "is required, and so is `DestinationBucket` or `Name`";
            return Err(Invalid::new("SourceBucket", problem));
        }
        Ok(RuleAddress { source: self.source()?, id: self.rule_id()? })
    }

    fn source_name(&self) -> Result<&str, Invalid> {
        let name = self.properties.source_bucket.as_deref();
        name.ok_or_else(|| Invalid::new("SourceBucket", "is required"))
    }

    fn source(&self) -> Result<BucketName, Invalid> {
        BucketName::parse(self.source_name()?)
            .map_err(|problem| Invalid::new("SourceBucket", problem))
    }

    /// The id of the rule. Answers show ids, so an id may stand for the name.
    fn rule_id(&self) -> Result<RuleId, Invalid> {
        if let Some(name) = &self.name {
            let named = RuleId::parse(name).map_or_else(|| RuleId::named(name), Ok);
            return named.map_err(|problem| Invalid::new("Name", problem));
        }
        let invalid = |problem: String| Invalid::new("DestinationBucket", problem);
        let destination = self.destination()?;
        let destination =
            destination.ok_or_else(|| invalid("is required, or `Name`".to_owned()))?;
        RuleId::named(destination.as_str()).map_err(invalid)
    }

    fn destination(&self) -> Result<Option<BucketName>, Invalid> {
        let given = self.properties.destination_bucket.as_deref();
        let destination = given.map(BucketName::parse_name_or_arn).transpose();
        destination.map_err(|problem| Invalid::new("DestinationBucket", problem))
    }

    fn replay(&self) -> Result<Command, Invalid> {
        self.check_replay()?;
        let source = self.source()?;
        let name = match &self.name {
            Some(name) => Some(name.clone()),
            None => self.destination()?.map(|destination| destination.to_string()),
        };
        let includes_existing = self.properties.replicate_existing_objects == Some(true);
        let selection = match includes_existing {
            true => ObjectSelection::Unreplicated,
            false => ObjectSelection::Failed,
        };
        let report = Report::of_replay(&self.properties)?;
        Ok(Command::Replay { source, name, report, selection, dry_run: self.dry_run() })
    }

    /// The credentials with which the destination's account is accessed.
    pub fn access(&self) -> Result<Access, Invalid> {
        destination_access(&self.properties, &self.source()?)
    }

    fn key(&self) -> Result<Option<KeyReference>, Invalid> {
        let arn = self.properties.source_kms_key_arns.iter().flatten().next();
        arn.map(|arn| KeyReference::parse(arn))
            .transpose()
            .map_err(|problem| Invalid::new("SourceKmsKeyArns", problem))
    }

    /// Whether to plan without changing anything.
    pub fn dry_run(&self) -> bool {
        self.properties.dry_run.unwrap_or(false)
    }

    /// Refuses properties that `Reconcile` does not use.
    fn check_reconcile(&self) -> Result<(), Invalid> {
        let used = Properties {
            source_bucket: self.properties.source_bucket.clone(),
            dry_run: self.properties.dry_run,
            ..Properties::default()
        };
        if self.properties == used && self.name.is_none() {
            return Ok(());
        }
        Err(Invalid::new(
            "Action",
            "is `Reconcile`, which takes only `SourceBucket` and `DryRun`, or only `SourceBuckets`; the replication policy has the rest",
        ))
    }

    /// Refuses properties that `Diagnose` does not use.
    fn check_diagnose(&self) -> Result<(), Invalid> {
        let given = &self.properties;
        let used = Properties {
            source_bucket: given.source_bucket.clone(),
            destination_role_arn: given.destination_role_arn.clone(),
            destination_role_external_id: given.destination_role_external_id.clone(),
            ..Properties::default()
        };
        if *given == used {
            return Ok(());
        }
        Err(Invalid::new(
            "Action",
            "is `Diagnose`, which takes only `SourceBucket`, `RuleId`, `DestinationRoleArn` and `DestinationRoleExternalId`",
        ))
    }

    /// Refuses properties that `Replay` does not use.
    fn check_replay(&self) -> Result<(), Invalid> {
        let given = &self.properties;
        let used = Properties {
            source_bucket: given.source_bucket.clone(),
            destination_bucket: given.destination_bucket.clone(),
            report_bucket: given.report_bucket.clone(),
            report_prefix: given.report_prefix.clone(),
            replicate_existing_objects: given.replicate_existing_objects,
            dry_run: given.dry_run,
            ..Properties::default()
        };
        if *given == used {
            return Ok(());
        }
        Err(Invalid::new(
            "Action",
            "is `Replay`, which takes only `SourceBucket`, `Name` or `DestinationBucket`, `ReportBucket`, `ReportPrefix`, `ReplicateExistingObjects` and `DryRun`; the rule has the rest",
        ))
    }

    /// Refuses properties that `Verify` does not use.
    fn check_verify(&self) -> Result<(), Invalid> {
        let given = &self.properties;
        let used = Properties {
            source_bucket: given.source_bucket.clone(),
            destination_bucket: given.destination_bucket.clone(),
            source_kms_key_arns: given.source_kms_key_arns.clone(),
            destination_role_arn: given.destination_role_arn.clone(),
            destination_role_external_id: given.destination_role_external_id.clone(),
            ..Properties::default()
        };
        if *given == used {
            return Ok(());
        }
        Err(Invalid::new(
            "Action",
            "is `Verify`, which takes only `SourceBucket`, `Name` or `DestinationBucket`, `SourceKmsKeyArns`, `DestinationRoleArn` and `DestinationRoleExternalId`; the rule has the rest",
        ))
    }
}
