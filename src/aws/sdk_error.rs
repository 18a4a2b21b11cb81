//! SDK errors to [`ApiError`]: converted once, by AWS's error code and a loose part of its message.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::whole_answer::unparsed_answer;
use crate::model::{ApiError, Retry};

/// Why a call failed, apart from what was called.
#[derive(Debug)]
pub(super) struct Cause {
    code: String,
    message: String,
    retry: Retry,
}

impl Cause {
    pub(super) fn into_error(
        self,
        operation: &'static str,
        resource: impl Into<String>,
    ) -> ApiError {
        let Self { code, message, retry } = self;
        ApiError { operation, resource: resource.into(), code, message, parameter: None, retry }
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// Whether AWS says that there is no such thing; HeadBucket's answer has no body and says so by its status alone.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self.code.as_str(), "NotFound" | "NoSuchBucket" | "HTTP 404")
    }

    /// A request that lacks what its type requires.
    pub(super) fn unsendable(error: aws_smithy_types::error::operation::BuildError) -> Self {
        Self { code: "Unsendable".to_owned(), message: error.to_string(), retry: Retry::Never }
    }

    /// An answer without its content.
    pub(super) fn empty_answer() -> Self {
        Self {
            code: "MalformedAnswer".to_owned(),
            message: "the answer is empty".to_owned(),
            retry: Retry::Never,
        }
    }
}

/// `None` when AWS refuses with `code`, which says that the thing asked for is not there, or not as it was asked for.
pub(super) fn none_if<T, E: Into<Cause>>(
    code: &str,
    answer: Result<T, E>,
) -> Result<Option<T>, Cause> {
    match answer.map_err(Into::into) {
        Ok(answer) => Ok(Some(answer)),
        Err(cause) if cause.code == code => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// A failed call of `operation` on `resource`.
pub(super) fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(
    operation: &'static str,
    resource: impl Into<String>,
    error: SdkError<E, HttpResponse>,
) -> ApiError {
    Cause::from(error).into_error(operation, resource)
}

/// An answer that was understood and makes no sense.
pub(super) fn malformed(
    operation: &'static str,
    resource: impl Into<String>,
    problem: &str,
) -> ApiError {
    Cause { code: "MalformedAnswer".to_owned(), message: problem.to_owned(), retry: Retry::Never }
        .into_error(operation, resource)
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<SdkError<E, HttpResponse>>
    for Cause
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let later = |code: &str, message: String| Self {
            code: code.to_owned(),
            message,
            retry: Retry::NextInvocation,
        };
        match &error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status();
                let code = service
                    .err()
                    .code()
                    .map_or_else(|| format!("HTTP {}", status.as_u16()), str::to_owned);
                let message =
                    service.err().message().unwrap_or(explanation(status.as_u16())).to_owned();
                let retry = if status.is_server_error() {
                    Retry::NextInvocation
                } else {
                    retry(&code, &message)
                };
                Self { code, message, retry }
            }
            SdkError::TimeoutError(_) => later("TimedOut", "no answer in time".to_owned()),
            SdkError::DispatchFailure(failure) => later(
                "Unreachable",
                failure.as_connector_error().map(|error| innermost(error)).unwrap_or_default(),
            ),
            SdkError::ResponseError(_) => {
                let unparsed = unparsed_answer(&error).map(ToString::to_string);
                let message = unparsed.unwrap_or_else(|| "the answer could not be read".to_owned());
                later("UnreadableAnswer", message)
            }
            other => Self {
                code: "Unsendable".to_owned(),
                message: innermost(other),
                retry: Retry::Never,
            },
        }
    }
}

/// What an answer without a body means, as HeadBucket's are.
fn explanation(status: u16) -> &'static str {
    match status {
        403 => "access denied: rights are missing, or it belongs to another account",
        _ => "no message",
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What helps, by AWS's word for what happened; every 5xx has been dealt with.
fn retry(code: &str, message: &str) -> Retry {
    match code {
        "OperationAborted" | "ConcurrentModification" | "ConcurrentModificationException" => {
            Retry::Soon
        }
        "InvalidRequest"
            if message.contains("Versioning must be 'Enabled'")
                || message.contains("must have versioning enabled") =>
        {
            Retry::Soon
        }
        "MalformedPolicyDocument" | "MalformedPolicy" | "MalformedPolicyDocumentException"
            if message.to_ascii_lowercase().contains("invalid principal") =>
        {
            Retry::Soon
        }
        "InvalidRequest" if message.contains("Destination bucket must exist") => Retry::Replan,
        "JobStatusException"
        | "EntityAlreadyExists"
        | "NoSuchEntity"
        | "DeleteConflict"
        | "BucketAlreadyOwnedByYou"
        | "NoSuchBucket" => Retry::Replan,
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ProvisionedThroughputExceededException" => Retry::NextInvocation,
        _ => Retry::Never,
    }
}
