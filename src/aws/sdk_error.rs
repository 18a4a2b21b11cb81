//! Converts errors of the AWS SDK to [`ApiError`].
//!
//! It owns the decision whether a retry can help, which it takes from AWS's error code and, for some codes, from a part of the
//! message. It must not know which operations the program calls. What is waited for
//! because the same request made it is decided in `reconcile::visibility`.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::whole_answer::unparsed_answer;
use crate::model::{ApiError, Retry};

/// Why a call failed, without the operation and the resource.
#[derive(Debug)]
pub(super) struct CallError {
    code: String,
    message: String,
    retry: Retry,
}

impl CallError {
    /// Adds the operation and the resource.
    pub(super) fn into_error(
        self,
        operation: &'static str,
        resource: impl Into<String>,
    ) -> ApiError {
        let Self { code, message, retry } = self;
        ApiError { operation, resource: resource.into(), code, message, missing_right: None, retry }
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// Whether AWS answers that the resource does not exist. HeadBucket's response has no body, so only its status shows that.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self.code.as_str(), "NotFound" | "NoSuchBucket" | "HTTP 404")
    }

    /// A request that lacks a required member.
    pub(super) fn unsendable(error: aws_smithy_types::error::operation::BuildError) -> Self {
        Self { code: "Unsendable".to_owned(), message: error.to_string(), retry: Retry::Never }
    }

    /// A response without its content.
    pub(super) fn empty_response() -> Self {
        Self {
            code: "MalformedAnswer".to_owned(),
            message: "the answer is empty".to_owned(),
            retry: Retry::Never,
        }
    }
}

/// Turns the error `code` into `None`: the resource does not exist, or a condition does not hold.
pub(super) fn none_if<T, E: Into<CallError>>(
    code: &str,
    response: Result<T, E>,
) -> Result<Option<T>, CallError> {
    match response.map_err(Into::into) {
        Ok(response) => Ok(Some(response)),
        Err(cause) if cause.code == code => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// The error of a failed call of `operation` on `resource`.
pub(super) fn api_error<E: ProvideErrorMetadata + std::error::Error + 'static>(
    operation: &'static str,
    resource: impl Into<String>,
    error: SdkError<E, HttpResponse>,
) -> ApiError {
    CallError::from(error).into_error(operation, resource)
}

/// The error of a response that lacks a required value or has an invalid one.
pub(super) fn malformed_response(
    operation: &'static str,
    resource: impl Into<String>,
    problem: &str,
) -> ApiError {
    CallError {
        code: "MalformedAnswer".to_owned(),
        message: problem.to_owned(),
        retry: Retry::Never,
    }
    .into_error(operation, resource)
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<SdkError<E, HttpResponse>>
    for CallError
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let transient = |code: &str, message: String| Self {
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
                    service.err().message().unwrap_or(default_message(status.as_u16())).to_owned();
                let retry = if status.is_server_error() {
                    Retry::NextInvocation
                } else {
                    classify(&code, &message)
                };
                Self { code, message, retry }
            }
            SdkError::TimeoutError(_) => transient("TimedOut", "no answer in time".to_owned()),
            SdkError::DispatchFailure(failure) => transient(
                "Unreachable",
                failure.as_connector_error().map(|error| root_cause(error)).unwrap_or_default(),
            ),
            SdkError::ResponseError(_) => {
                let unparsed = unparsed_answer(&error).map(ToString::to_string);
                let message = unparsed.unwrap_or_else(|| "the answer could not be read".to_owned());
                transient("UnreadableAnswer", message)
            }
            other => Self {
                code: "Unsendable".to_owned(),
                message: root_cause(other),
                retry: Retry::Never,
            },
        }
    }
}

/// The message for a response without a body, such as HeadBucket's.
fn default_message(status: u16) -> &'static str {
    match status {
        403 => "access denied: rights are missing, or it belongs to another account",
        _ => "no message",
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Decides whether a retry can help, for errors other than a 5xx status.
fn classify(code: &str, message: &str) -> Retry {
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
