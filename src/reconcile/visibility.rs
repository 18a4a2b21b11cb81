//! What a request waits for after it has made something itself: AWS does not show a new role or bucket everywhere at once.
//!
//! Anything else that is missing or denied is a failure, and is not waited for. What every request waits for, whoever made it, is in
//! the classification of AWS's errors: versioning, principals and concurrent writers.

use std::time::Duration;

use crate::model::ApiError;
use crate::plan::Action;

/// What a request has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Role,
    Bucket,
}

/// How long a code is no failure for an action that depends on what was made.
struct Wait {
    made: Made,
    code: &'static str,
    limit: Duration,
}

/// IAM's pages give no time for a role and its tags to be known to all of IAM and to S3; Terraform's provider waits two minutes for
/// roles. A bucket is usually there within seconds.
const WAITS: [Wait; 5] = [
    Wait { made: Made::Role, code: "NoSuchEntity", limit: Duration::from_secs(120) },
    // The function may write only roles with its tag.
    Wait { made: Made::Role, code: "AccessDenied", limit: Duration::from_secs(120) },
    // S3's word for a role that it does not know yet.
    Wait { made: Made::Role, code: "InvalidArgument", limit: Duration::from_secs(120) },
    Wait { made: Made::Bucket, code: "NoSuchBucket", limit: Duration::from_secs(120) },
    Wait { made: Made::Bucket, code: "HTTP 404", limit: Duration::from_secs(120) },
];

/// How long `failure` of `action` may only mean that something in `done` is not visible yet; `None` when it is a failure.
pub(super) fn wait_limit(
    action: &Action,
    failure: &ApiError,
    done: &[&Action],
) -> Option<Duration> {
    let wait = WAITS.iter().find(|wait| {
        wait.code == failure.code
            && done.iter().any(|earlier| depends_on(action, earlier) == Some(wait.made))
    });
    wait.map(|wait| wait.limit)
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
        | Action::UntagRole { .. }
        | Action::PutReplication { .. }
        | Action::DeleteReplication { .. } => None,
    }
}
