//! Prints a role's policy documents without a call to AWS, for people who must approve them.
//!
//! The library plans them for a snapshot in which everything but the role is ready. It must not build documents itself.

use std::collections::BTreeMap;

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::error::Error;
use s3_kms_replication::iam_policy::RolePolicyDocument;
use s3_kms_replication::model::{
    Access, Account, BucketLocation, BucketName, Identity, Key, KeyReference, Partition, Region,
    Versioning,
};
use s3_kms_replication::plan::{self, Action, ApplySnapshot, Destination, Roles, Source};
use s3_kms_replication::reconcile;
use s3_kms_replication::request::Command;
use s3_kms_replication::spec::{Invalid, SourceKeys, Spec};
use serde::Serialize;

use crate::options::{self, Common, Output, Policies};
use crate::{DONE, Failure, screen};

/// A role's documents, with the names of IAM's API.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Documents {
    role_name: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<String>,
    assume_role_policy_document: Option<RolePolicyDocument>,
    policies: BTreeMap<String, RolePolicyDocument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub fn print(args: &Policies, common: &Common) -> Result<i32, Failure> {
    let settings = args.deployment.settings(common.region.as_ref())?;
    let Command::Apply(mut spec) = options::command("Plan", &args.rule)? else {
        return Err(Error::Internal("`Plan` was read as another command".to_owned()).into());
    };
    // Nothing is planned for the destination's account: its owner makes the changes there.
    spec.destination_access = Access::Own;
    let snapshot = ready_snapshot(&spec, args.object_lock)?;
    let (plan, _) =
        plan::apply(&spec, &snapshot, &settings.roles).map_err(reconcile::Error::from)?;
    let mut documents = Documents { warnings: plan.warnings.clone(), ..Documents::default() };
    for action in plan.actions() {
        match action.clone() {
            Action::CreateRole { name, path, trust, boundary, .. } => {
                documents.role_name = name.to_string();
                documents.path = path;
                documents.permissions_boundary = boundary;
                documents.assume_role_policy_document = Some(trust);
            }
            Action::PutRolePolicy { policy, document, .. } => {
                documents.policies.insert(policy.to_string(), document);
            }
            _ => {}
        }
    }
    match common.output {
        Output::Json => screen::print_json(&documents)?,
        Output::Text => screen::print(&documents.text())?,
    }
    Ok(DONE)
}

impl Documents {
    fn text(&self) -> String {
        let to_json = |document: &RolePolicyDocument| {
            serde_json::to_string_pretty(document).unwrap_or_default()
        };
        let boundary = self
            .permissions_boundary
            .iter()
            .map(|arn| format!(", with the permissions boundary {arn}"));
        let mut text = screen::bold(&format!(
            "role {}{}{}",
            self.path,
            self.role_name,
            boundary.collect::<String>()
        )) + "\n";
        let trust =
            self.assume_role_policy_document.iter().map(|trust| ("trust policy".to_owned(), trust));
        let policies = self
            .policies
            .iter()
            .map(|(name, document)| (format!("inline policy {name}"), document));
        for (title, document) in trust.chain(policies) {
            text += &format!("\n{}\n{}\n", screen::bold(&title), to_json(document));
        }
        text.extend(
            self.warnings
                .iter()
                .map(|warning| format!("\n{} {warning}\n", screen::yellow("warning:"))),
        );
        text
    }
}

/// A snapshot in which the buckets and the keys are ready and the role is missing.
fn ready_snapshot(spec: &Spec, object_lock: bool) -> Result<ApplySnapshot, Failure> {
    let SourceKeys::Given(keys) = &spec.source_keys else {
        return Err(Invalid::new(
            "SourceKmsKeyArns",
            "is required: this command makes no call to AWS, so it cannot read the bucket's default encryption",
        )
        .into());
    };
    let source_keys = keys
        .iter()
        .map(|key| Ok((key.to_string(), Some(enabled_key("SourceKmsKeyArns", key)?))))
        .collect::<Result<Vec<_>, Invalid>>()?;
    let replica_key = enabled_key("ReplicaKmsKeyArn", &spec.replica_key)?;
    let first = keys.first().unwrap_or(&spec.replica_key);
    let partition = Partition::parse(first.partition())
        .map_err(|problem| Invalid::new("ReplicaKmsKeyArn", problem))?;
    let account = first.account().clone();
    let location = |bucket: &BucketName, region: &Region, owner: &Account| BucketLocation {
        bucket: bucket.clone(),
        region: region.clone(),
        owner: owner.clone(),
        access: Access::Own,
    };
    let source = location(&spec.rule.source, first.region(), &account);
    let destination = location(
        &spec.destination,
        &spec.destination_region,
        spec.destination_account.as_ref().unwrap_or(&account),
    );
    Ok(ApplySnapshot {
        source: Source {
            location: source,
            versioning: Versioning::Enabled,
            object_lock,
            replication: None,
        },
        destination: Some(Destination {
            location: destination,
            versioning: Versioning::Enabled,
            object_lock,
            created: None,
            // `ExistingDestination` does not refuse a destination of this source.
            tagged_for: Some(spec.rule.source.to_string()),
        }),
        identity: Identity { account, partition },
        replica_key: Some(replica_key),
        source_keys,
        unread_source_keys: Vec::new(),
        roles: Roles { with_own_name: None, serving: None },
        shared_role: None,
        alarm: None,
        denied_reads: Vec::new(),
        resource_policies: Vec::new(),
        job: None,
        report_missing: false,
        has_no_versions: false,
        catch_up_follows: false,
    })
}

/// An enabled key with this ARN. Refuses an alias, since only a call can find out its key.
fn enabled_key(property: &str, key: &KeyReference) -> Result<Key, Invalid> {
    if key.as_str().contains(":alias/") {
        return Err(Invalid::new(
            property,
            format!(
                "is the alias `{key}`; this command makes no call to AWS, so pass the key's ARN"
            ),
        ));
    }
    Ok(Key { arn: key.to_string(), state: KeyState::Enabled, symmetric: true, aws_managed: false })
}
