//! IAM: replication roles and their inline policies.
//!
//! It must not know what a role should contain: [`crate::plan`] and [`crate::iam_policy`] decide that.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType, Role as SdkRole,
    SummaryKeyType, Tag,
};
use futures_util::future::try_join_all;
use percent_encoding::percent_decode_str;
use tokio::try_join;

use super::sdk_error::{CallError, malformed_response, none_if};
use super::whole_answer::WholeAnswer;
use crate::iam_policy::RolePolicyDocument;
use crate::model::{
    ApiError, InlinePolicyName, KEEP_TAG, OWNER_TAG, Role, RoleName, RoleOutline, RoleOwner,
    RoleQuota, SimulatedCall, Simulation,
};
use crate::plan::KEEP_TIME;

/// IAM's error code for a role or policy that does not exist.
const NOT_FOUND: &str = "NoSuchEntity";

/// A client that refuses answers that are not whole.
pub(super) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_iam::Config::from(config).to_builder();
    Client::from_conf(config.interceptor(WholeAnswer).retry_classifier(WholeAnswer).build())
}

/// Whether there is a role with this name.
pub(super) async fn role_exists(client: &Client, name: &RoleName) -> Result<bool, ApiError> {
    match get_role(client, name).await {
        Ok(_) => Ok(true),
        Err((_, cause)) if cause.code() == NOT_FOUND => Ok(false),
        Err((operation, cause)) => Err(cause.into_error(operation, format!("role `{name}`"))),
    }
}

/// Reads a role and the names of its policies, with concurrent calls; `None` when there is no such role.
pub(super) async fn role_outline(
    client: &Client,
    name: &RoleName,
) -> Result<Option<RoleOutline>, ApiError> {
    let reads = async {
        try_join!(
            get_role(client, name),
            policy_names(client, name),
            attached_policies(client, name)
        )
    };
    let (role, policies, attached) = match reads.await {
        Ok(role) => role,
        Err((_, cause)) if cause.code() == NOT_FOUND => return Ok(None),
        Err((operation, cause)) => {
            return Err(cause.into_error(operation, format!("role `{name}`")));
        }
    };
    let tags =
        role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    let role = Role {
        name: name.clone(),
        arn: role.arn().to_owned(),
        trust: decode_document(role.assume_role_policy_document().unwrap_or_default()),
        boundary: role
            .permissions_boundary()
            .and_then(|boundary| boundary.permissions_boundary_arn())
            .map(str::to_owned),
        tags,
        policies: BTreeMap::new(),
        attached,
    };
    Ok(Some(RoleOutline { role, policies }))
}

/// Reads the documents of the role's inline policies, with concurrent calls.
pub(super) async fn with_policies(
    client: &Client,
    RoleOutline { role, policies }: RoleOutline,
) -> Result<Role, ApiError> {
    let policies =
        try_join_all(policies.into_iter().map(|policy| get_policy(client, &role.name, policy)))
            .await?;
    Ok(Role { policies: policies.into_iter().flatten().collect(), ..role })
}

/// Reads how many roles the account has and may have.
pub(super) async fn role_quota(client: &Client) -> Result<RoleQuota, ApiError> {
    let (operation, resource) = ("GetAccountSummary", "the account".to_owned());
    let response = client.get_account_summary().send().await;
    let response =
        response.map_err(|error| CallError::from(error).into_error(operation, resource.clone()))?;
    let value = |key: SummaryKeyType| {
        let value = response.summary_map().and_then(|summary| summary.get(&key)).copied();
        value.and_then(|value| u32::try_from(value).ok())
    };
    match (value(SummaryKeyType::Roles), value(SummaryKeyType::RolesQuota)) {
        (Some(in_use), Some(quota)) => Ok(RoleQuota { in_use, quota }),
        (None, _) | (_, None) => Err(CallError::empty_response().into_error(operation, resource)),
    }
}

/// What a call read, or the operation that failed and why.
type CallResult<T> = Result<T, (&'static str, CallError)>;

async fn get_role(client: &Client, name: &RoleName) -> CallResult<SdkRole> {
    let operation = "GetRole";
    let response = client
        .get_role()
        .role_name(name.as_str())
        .send()
        .await
        .map_err(|error| (operation, CallError::from(error)))?;
    response.role.ok_or_else(|| (operation, CallError::empty_response()))
}

async fn policy_names(client: &Client, name: &RoleName) -> CallResult<Vec<String>> {
    let pages =
        client.list_role_policies().role_name(name.as_str()).into_paginator().items().send();
    pages
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| ("ListRolePolicies", CallError::from(error)))
}

async fn attached_policies(client: &Client, name: &RoleName) -> CallResult<Vec<String>> {
    let pages = client
        .list_attached_role_policies()
        .role_name(name.as_str())
        .into_paginator()
        .items()
        .send();
    let policies = pages
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| ("ListAttachedRolePolicies", CallError::from(error)))?;
    Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// Reads an inline policy; `None` when another writer has removed it since the names were listed.
async fn get_policy(
    client: &Client,
    role: &RoleName,
    policy: String,
) -> Result<Option<(String, String)>, ApiError> {
    let response =
        client.get_role_policy().role_name(role.as_str()).policy_name(&policy).send().await;
    let failed = |cause: CallError| {
        cause.into_error("GetRolePolicy", format!("inline policy `{policy}` of role `{role}`"))
    };
    let response = none_if(NOT_FOUND, response).map_err(failed)?;
    Ok(response.map(|response| (policy, decode_document(response.policy_document()))))
}

/// Reads the document of a managed policy's default version; `None` when there is no such policy.
pub(super) async fn managed_policy(client: &Client, arn: &str) -> Result<Option<String>, ApiError> {
    let resource = format!("managed policy `{arn}`");
    let policy = none_if(NOT_FOUND, client.get_policy().policy_arn(arn).send().await)
        .map_err(|cause| cause.into_error("GetPolicy", &resource))?;
    let Some(policy) = policy else {
        return Ok(None);
    };
    let missing = |operation| malformed_response(operation, &resource, "no default version");
    let id = policy.policy.and_then(|policy| policy.default_version_id);
    let id = id.ok_or_else(|| missing("GetPolicy"))?;
    let version = client.get_policy_version().policy_arn(arn).version_id(id).send().await;
    let version = none_if(NOT_FOUND, version)
        .map_err(|cause| cause.into_error("GetPolicyVersion", &resource))?;
    let document = version.and_then(|version| version.policy_version).and_then(|it| it.document);
    document
        .map(|document| Some(decode_document(&document)))
        .ok_or_else(|| missing("GetPolicyVersion"))
}

/// Asks IAM's simulator about a call of a role.
pub(super) async fn simulate(
    client: &Client,
    role_arn: &str,
    call: &SimulatedCall,
) -> Result<Simulation, ApiError> {
    let (operation, resource) = ("SimulatePrincipalPolicy", format!("role `{role_arn}`"));
    let context = call.context.iter().map(|(key, value)| {
        let entry = ContextEntry::builder().context_key_name(key).context_key_values(value);
        entry.context_key_type(ContextKeyTypeEnum::String).build()
    });
    let request = client
        .simulate_principal_policy()
        .policy_source_arn(role_arn)
        .action_names(&call.action)
        .resource_arns(&call.resource)
        .set_context_entries(Some(context.collect()));
    let response = request
        .send()
        .await
        .map_err(|error| CallError::from(error).into_error(operation, &resource))?;
    let [result] = response.evaluation_results() else {
        return Err(malformed_response(operation, &resource, "not one result for one call"));
    };
    let organization = result.organizations_decision_detail();
    Ok(Simulation {
        is_explicitly_denied: *result.eval_decision() == PolicyEvaluationDecisionType::ExplicitDeny,
        is_allowed_by_organization: organization.map(|detail| detail.allowed_by_organizations()),
    })
}

/// IAM returns policy documents percent-encoded.
fn decode_document(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

/// Reads a role's unique id. A role that is deleted and created again gets another one.
pub(super) async fn role_id(client: &Client, name: &RoleName) -> Result<String, CallError> {
    get_role(client, name).await.map(|role| role.role_id).map_err(|(_, cause)| cause)
}

pub(super) async fn tag_role(
    client: &Client,
    name: &RoleName,
    key: &str,
    value: &str,
) -> Result<(), CallError> {
    let tag = Tag::builder().key(key).value(value).build().map_err(CallError::unsendable)?;
    client.tag_role().role_name(name.as_str()).tags(tag).send().await?;
    Ok(())
}

/// Records in a tag until when the role, or its earlier grants, must stay.
pub(super) async fn keep_for_now(client: &Client, name: &RoleName) -> Result<(), CallError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    tag_role(client, name, KEEP_TAG, &(now + KEEP_TIME).as_secs().to_string()).await
}

pub(super) async fn untag_role(
    client: &Client,
    name: &RoleName,
    key: &str,
) -> Result<(), CallError> {
    client.untag_role().role_name(name.as_str()).tag_keys(key).send().await?;
    Ok(())
}

/// A role to create.
pub(super) struct NewRole<'a> {
    pub name: &'a RoleName,
    pub path: &'a str,
    pub trust: &'a RolePolicyDocument,
    pub boundary: Option<&'a str>,
    /// What the role is for, which is the value of the owner tag.
    pub owner: &'a RoleOwner,
}

pub(super) async fn create_role(client: &Client, role: NewRole<'_>) -> Result<(), CallError> {
    let tag = Tag::builder()
        .key(OWNER_TAG)
        .value(role.owner.to_string())
        .build()
        .map_err(CallError::unsendable)?;
    let sources = match role.owner {
        RoleOwner::Bucket(bucket) => format!("bucket {bucket}"),
        RoleOwner::Stack(_) => "the buckets of a replication policy".to_owned(),
    };
    let description = format!("S3 replication of {sources}, made by s3-kms-replication");
    client
        .create_role()
        .role_name(role.name.as_str())
        .path(role.path)
        .assume_role_policy_document(role.trust.to_string())
        .tags(tag)
        .description(description)
        .set_permissions_boundary(role.boundary.map(str::to_owned))
        .send()
        .await?;
    Ok(())
}

pub(super) async fn update_assume_role_policy(
    client: &Client,
    name: &RoleName,
    trust: &RolePolicyDocument,
) -> Result<(), CallError> {
    client
        .update_assume_role_policy()
        .role_name(name.as_str())
        .policy_document(trust.to_string())
        .send()
        .await?;
    Ok(())
}

pub(super) async fn put_role_permissions_boundary(
    client: &Client,
    name: &RoleName,
    boundary: &str,
) -> Result<(), CallError> {
    client
        .put_role_permissions_boundary()
        .role_name(name.as_str())
        .permissions_boundary(boundary)
        .send()
        .await?;
    Ok(())
}

pub(super) async fn put_role_policy(
    client: &Client,
    role: &RoleName,
    policy: &InlinePolicyName,
    document: &RolePolicyDocument,
) -> Result<(), CallError> {
    let request = client.put_role_policy().role_name(role.as_str()).policy_name(policy.as_str());
    request.policy_document(document.to_string()).send().await?;
    Ok(())
}

pub(super) async fn delete_role_policy(
    client: &Client,
    role: &RoleName,
    policy: &InlinePolicyName,
) -> Result<(), CallError> {
    client
        .delete_role_policy()
        .role_name(role.as_str())
        .policy_name(policy.as_str())
        .send()
        .await?;
    Ok(())
}

pub(super) async fn delete_role(client: &Client, name: &RoleName) -> Result<(), CallError> {
    client.delete_role().role_name(name.as_str()).send().await?;
    Ok(())
}
