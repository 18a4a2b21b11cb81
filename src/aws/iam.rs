//! IAM: the roles that replicate, and their inline policies.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::{Role as SdkRole, Tag};
use futures_util::future::try_join_all;
use percent_encoding::percent_decode_str;
use tokio::try_join;

use super::sdk_error::{Cause, none_if};
use super::whole_answer::WholeAnswer;
use crate::iam_policy::PolicyDocument;
use crate::model::{ApiError, BucketName, OWNER_TAG, PolicyName, Role, RoleName, RoleOutline};

/// IAM's word for what does not exist.
const NOT_THERE: &str = "NoSuchEntity";

/// A client that refuses answers that are not whole.
pub(super) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_iam::Config::from(config).to_builder();
    Client::from_conf(config.interceptor(WholeAnswer).retry_classifier(WholeAnswer).build())
}

/// What is known of a role before the texts of its inline policies, asked for together.
pub(super) async fn role_outline(
    client: &Client,
    name: &RoleName,
) -> Result<Option<RoleOutline>, ApiError> {
    let read = async {
        try_join!(
            get_role(client, name),
            policy_names(client, name),
            attached_policies(client, name)
        )
    };
    let (role, policies, attached) = match read.await {
        Ok(role) => role,
        Err((_, cause)) if cause.code() == NOT_THERE => return Ok(None),
        Err((operation, cause)) => {
            return Err(cause.into_error(operation, format!("role `{name}`")));
        }
    };
    let tags =
        role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    let role = Role {
        name: name.clone(),
        arn: role.arn().to_owned(),
        trust: decoded(role.assume_role_policy_document().unwrap_or_default()),
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

/// The role with the texts of its inline policies, asked for together.
pub(super) async fn with_policies(
    client: &Client,
    RoleOutline { role, policies }: RoleOutline,
) -> Result<Role, ApiError> {
    let policies =
        try_join_all(policies.into_iter().map(|policy| get_policy(client, &role.name, policy)))
            .await?;
    Ok(Role { policies: policies.into_iter().flatten().collect(), ..role })
}

type Read<T> = Result<T, (&'static str, Cause)>;

async fn get_role(client: &Client, name: &RoleName) -> Read<SdkRole> {
    let operation = "GetRole";
    let answer = client
        .get_role()
        .role_name(name.as_str())
        .send()
        .await
        .map_err(|error| (operation, Cause::from(error)))?;
    answer.role.ok_or_else(|| (operation, Cause::empty_answer()))
}

async fn policy_names(client: &Client, name: &RoleName) -> Read<Vec<String>> {
    let pages =
        client.list_role_policies().role_name(name.as_str()).into_paginator().items().send();
    pages
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| ("ListRolePolicies", Cause::from(error)))
}

async fn attached_policies(client: &Client, name: &RoleName) -> Read<Vec<String>> {
    let pages = client
        .list_attached_role_policies()
        .role_name(name.as_str())
        .into_paginator()
        .items()
        .send();
    let policies = pages
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| ("ListAttachedRolePolicies", Cause::from(error)))?;
    Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// `None` for a policy that another writer has removed since the names were listed.
async fn get_policy(
    client: &Client,
    role: &RoleName,
    policy: String,
) -> Result<Option<(String, String)>, ApiError> {
    let answer =
        client.get_role_policy().role_name(role.as_str()).policy_name(&policy).send().await;
    let failed = |cause: Cause| {
        cause.into_error("GetRolePolicy", format!("inline policy `{policy}` of role `{role}`"))
    };
    let answer = none_if(NOT_THERE, answer).map_err(failed)?;
    Ok(answer.map(|answer| (policy, decoded(answer.policy_document()))))
}

/// IAM returns policy documents percent-encoded.
fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

/// The id that no other role has, with the same name at another time either.
pub(super) async fn role_id(client: &Client, name: &RoleName) -> Result<String, Cause> {
    get_role(client, name).await.map(|role| role.role_id).map_err(|(_, cause)| cause)
}

pub(super) async fn tag_role(
    client: &Client,
    name: &RoleName,
    key: &str,
    value: &str,
) -> Result<(), Cause> {
    let tag = Tag::builder().key(key).value(value).build().map_err(Cause::unsendable)?;
    client.tag_role().role_name(name.as_str()).tags(tag).send().await?;
    Ok(())
}

pub(super) async fn untag_role(client: &Client, name: &RoleName, key: &str) -> Result<(), Cause> {
    client.untag_role().role_name(name.as_str()).tag_keys(key).send().await?;
    Ok(())
}

pub(super) async fn create_role(
    client: &Client,
    name: &RoleName,
    path: &str,
    trust: &PolicyDocument,
    boundary: Option<String>,
    source: &BucketName,
) -> Result<(), Cause> {
    let tag =
        Tag::builder().key(OWNER_TAG).value(source.as_str()).build().map_err(Cause::unsendable)?;
    let request = client
        .create_role()
        .role_name(name.as_str())
        .path(path)
        .assume_role_policy_document(trust.to_string())
        .tags(tag);
    let request = request
        .description(format!("S3 replication of bucket {source}, made by s3-kms-replication"));
    request.set_permissions_boundary(boundary).send().await?;
    Ok(())
}

pub(super) async fn update_assume_role_policy(
    client: &Client,
    name: &RoleName,
    trust: &PolicyDocument,
) -> Result<(), Cause> {
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
) -> Result<(), Cause> {
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
    policy: &PolicyName,
    document: &PolicyDocument,
) -> Result<(), Cause> {
    let request = client.put_role_policy().role_name(role.as_str()).policy_name(policy.as_str());
    request.policy_document(document.to_string()).send().await?;
    Ok(())
}

pub(super) async fn delete_role_policy(
    client: &Client,
    role: &RoleName,
    policy: &PolicyName,
) -> Result<(), Cause> {
    client
        .delete_role_policy()
        .role_name(role.as_str())
        .policy_name(policy.as_str())
        .send()
        .await?;
    Ok(())
}

pub(super) async fn delete_role(client: &Client, name: &RoleName) -> Result<(), Cause> {
    client.delete_role().role_name(name.as_str()).send().await?;
    Ok(())
}
