//! The actions of plans, each one call of the SDK or a few.
//!
//! It must not know why an action is executed or in which order.

use futures_util::FutureExt;

use super::{Aws, cloudwatch, iam, raw_encryption, s3, s3control, sdk_error};
use crate::model::{ApiError, Identity};
use crate::plan::{Action, NewJob};
use crate::ports::{Execute, Executed, Read};

impl Execute for Aws {
    async fn execute(&self, action: &Action) -> Result<Executed, ApiError> {
        self.in_session(action.access(), async || self.execute_once(action).await).await
    }
}

impl Aws {
    async fn execute_once(&self, action: &Action) -> Result<Executed, ApiError> {
        let done = match action {
            Action::CreateBucket { location, source } => {
                s3::create_bucket(&self.s3_at(location).await?, location, source).await
            }
            Action::EnableVersioning { location, .. } => {
                s3::enable_versioning(&self.s3_at(location).await?, location).await
            }
            Action::EncryptBucket { location, key, .. } => {
                raw_encryption::set_default_key(&self.s3_at(location).await?, location, key).await
            }
            Action::BlockPublicAccess { location } => {
                s3::block_public_access(&self.s3_at(location).await?, location).await
            }
            Action::PutReplication { .. }
            | Action::DeleteReplication { .. }
            | Action::PutStatement { .. }
            | Action::RemoveStatement { .. } => {
                return self.replace_whole(action).boxed_local().await.map(|()| Executed::Done);
            }
            Action::StartJob { job } => {
                return self.start_job(action, job).await.map(Executed::JobStarted);
            }
            Action::CancelJob { location, id, .. } => {
                s3control::cancel_job(&self.s3control(&location.region), location, id).await
            }
            Action::TagRole { role, tag, value, .. } => {
                iam::tag_role(&self.iam, role, tag.as_str(), value).await
            }
            Action::KeepForNow { role, .. } => iam::keep_for_now(&self.iam, role).await,
            Action::UntagRole { role, tag, .. } => {
                iam::untag_role(&self.iam, role, tag.as_str()).await
            }
            Action::PutAlarm { alarm, .. } => {
                cloudwatch::put(&self.cloudwatch(&alarm.region), alarm).await
            }
            Action::DeleteAlarm { alarm } => {
                cloudwatch::delete(&self.cloudwatch(&alarm.region), &alarm.name).await
            }
            Action::CreateRole { name, path, trust, boundary, owner } => {
                let boundary = boundary.as_deref();
                let role = iam::NewRole { name, path, trust, boundary, owner };
                iam::create_role(&self.iam, role).await
            }
            Action::UpdateAssumeRolePolicy { name, trust, .. } => {
                iam::update_assume_role_policy(&self.iam, name, trust).await
            }
            Action::PutRolePermissionsBoundary { name, boundary, .. } => {
                iam::put_role_permissions_boundary(&self.iam, name, boundary).await
            }
            Action::PutRolePolicy { role, policy, document, .. } => {
                iam::put_role_policy(&self.iam, role, policy, document).await
            }
            Action::DeleteRolePolicy { role, policy, .. } => {
                iam::delete_role_policy(&self.iam, role, policy).await
            }
            Action::DeleteRole { name, .. } => iam::delete_role(&self.iam, name).await,
        };
        done.map(|()| Executed::Done)
            .map_err(|error| error.into_error(action.operation(), action.resource()))
    }

    /// Starts a job and records its id in a tag of its role. When the tag cannot be written, the same request finds the job by
    /// its token.
    async fn start_job(&self, action: &Action, job: &NewJob) -> Result<String, ApiError> {
        let Identity { partition, .. } = self.identity().await?;
        let role_error = |operation| {
            move |error: sdk_error::CallError| {
                error.into_error(operation, format!("role `{}`", job.role))
            }
        };
        let token =
            job.token(&iam::role_id(&self.iam, &job.role).await.map_err(role_error("GetRole"))?);
        let created =
            s3control::create_job(&self.s3control(&job.location.region), job, partition, token)
                .await;
        let id =
            created.map_err(|error| error.into_error(action.operation(), action.resource()))?;
        let (key, value) = job.tag(&id);
        iam::tag_role(&self.iam, &job.role, key.as_str(), &value)
            .await
            .map_err(role_error("TagRole"))?;
        Ok(id)
    }
}
