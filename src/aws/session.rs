//! Calls with the session of an assumed role, which AWS may stop accepting before it expires.
//!
//! It must not know what is called.

use super::Aws;
use crate::model::{Access, ApiError, BucketLocation};

/// The codes by which AWS's services say that a session is not valid, or no longer.
const INVALID_SESSION: [&str; 7] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

impl Aws {
    /// Makes a call with this access. A call that is refused since the session of the assumed role is not valid is made once more, with
    /// a new session. The call is boxed: its future has about 5 KB, and the futures that contain it would overflow the stack.
    pub(super) async fn in_session<T>(
        &self,
        access: &Access,
        call: impl AsyncFn() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let role = match access {
            Access::Role(role) => role,
            Access::Own | Access::Credentials(_) => return Box::pin(call()).await,
        };
        let expiry = self.sessions.expiry(role).await;
        match Box::pin(call()).await {
            Err(failure) if is_invalid_session(&failure) => {
                tracing::info!(role = role.arn.as_str(), %failure, "the session is not valid; assuming the role again");
                self.sessions.forget(role, expiry).await;
                Box::pin(call()).await
            }
            result => result,
        }
    }

    /// Makes a call about a bucket with a client of S3.
    pub(super) async fn on_bucket<T>(
        &self,
        location: &BucketLocation,
        call: impl AsyncFn(aws_sdk_s3::Client) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.in_session(&location.access, async || call(self.s3_at(location).await?).await).await
    }
}

fn is_invalid_session(failure: &ApiError) -> bool {
    // The answer to a HEAD request has no code. S3 answers 400 to a HEAD request with a session that has expired.
    let is_head = matches!(failure.operation, "HeadBucket" | "HeadObject");
    INVALID_SESSION.contains(&failure.code.as_str()) || (is_head && failure.code == "HTTP 400")
}
