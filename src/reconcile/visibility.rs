//! Which errors only mean that a role or bucket that this request made is not visible yet.
//!
//! It must not know how long a request waits.
//!
//! Anything else that is missing or denied is a failure, and is not waited for. What every request waits for, whoever made it, is in
//! the classification of AWS's errors: versioning, principals and concurrent writers.

use crate::model::ApiError;
use crate::plan::Action;

/// What a request has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Role,
    Bucket,
}

/// A code that is no failure of an action that depends on what was made.
struct Wait {
    made: Made,
    code: &'static str,
}

/// IAM's pages give no time for a role and its tags to be known to all of IAM and to S3. Terraform's provider waits two minutes for roles,
/// as [`RetryBudget::for_visibility`](super::retry::RetryBudget::for_visibility) does.
const WAITS: [Wait; 5] = [
    Wait { made: Made::Role, code: "NoSuchEntity" },
    // The function may write only roles with its tag.
    Wait { made: Made::Role, code: "AccessDenied" },
    // S3's word for a role that it does not know yet.
    Wait { made: Made::Role, code: "InvalidArgument" },
    Wait { made: Made::Bucket, code: "NoSuchBucket" },
    Wait { made: Made::Bucket, code: "HTTP 404" },
];

/// Whether `failure` of `action` may only mean that something in `done` is not visible yet.
pub(super) fn is_awaited(action: &Action, failure: &ApiError, done: &[&Action]) -> bool {
    WAITS.iter().any(|wait| {
        wait.code == failure.code
            && done.iter().any(|earlier| depends_on(action, earlier) == Some(wait.made))
    })
}

/// What `earlier` has made and `action` depends on.
fn depends_on(action: &Action, earlier: &Action) -> Option<Made> {
    match earlier {
        Action::CreateRole { name, .. } => action.uses_role(name).then_some(Made::Role),
        Action::CreateBucket { location, .. } => {
            action.uses_bucket(&location.bucket).then_some(Made::Bucket)
        }
        Action::EnableVersioning { .. }
        | Action::EncryptBucket { .. }
        | Action::BlockPublicAccess { .. }
        | Action::UpdateAssumeRolePolicy { .. }
        | Action::PutRolePermissionsBoundary { .. }
        | Action::PutRolePolicy { .. }
        | Action::DeleteRolePolicy { .. }
        | Action::DeleteRole { .. }
        | Action::PutStatement { .. }
        | Action::RemoveStatement { .. }
        | Action::PutAlarm { .. }
        | Action::DeleteAlarm { .. }
        | Action::StartJob { .. }
        | Action::CancelJob { .. }
        | Action::TagRole { .. }
        | Action::KeepForNow { .. }
        | Action::UntagRole { .. }
        | Action::PutReplication { .. }
        | Action::DeleteReplication { .. } => None,
    }
}
