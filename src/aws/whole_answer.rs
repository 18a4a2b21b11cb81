//! The check that an answer is whole before anything is decided by it.
//!
//! It owns which operations are checked and the root element that each answers with. It must not know what an answer is used for.
//!
//! The SDK reads an empty or cut XML body of a successful answer as a shorter one, without an error: no rule, no tag, no default encryption.
//! [`WholeAnswer`] makes such an answer a failure of the call.
//!
//! # Expected Flow
//! The interceptor is installed in a client's configuration, where it checks every call, and the same type is installed as retry
//! classifier, so that the SDK asks again within its own limits. A call that fails for this gives `SdkError::ResponseError`;
//! [`unparsed_answer`] finds the reason in it.
//!
//! # Caveats
//! The check runs after deserialization, the first hook at which the SDK has read the whole body of a streamed answer. JSON answers need no
//! such check: a cut one does not parse.

use std::borrow::Cow;
use std::error::Error;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::model::ParseError;
use crate::model::xml::{XmlError, check_whole};

/// A successful answer that nothing can be decided by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer could not be parsed: {0}")]
pub struct UnparsedAnswer(pub ParseError);

impl From<XmlError> for UnparsedAnswer {
    fn from(error: XmlError) -> Self {
        Self(error.into())
    }
}

/// Interceptor that fails a call whose successful answer is not whole, and retry classifier that lets the SDK repeat it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeAnswer;

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let root = config
            .load::<Metadata>()
            .and_then(|operation| expected_root(operation.service(), operation.name()));
        match (root, successful_body(context.response())) {
            (Some(root), Some(body)) => {
                check_whole(body, &root).map_err(|error| UnparsedAnswer::from(error).into())
            }
            _ => Ok(()),
        }
    }
}

impl ClassifyRetry for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) if in_sources(error).is_some() => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }
}

/// Why a call's answer could not be parsed; `None` when the call failed for another reason.
pub fn unparsed_answer<E: Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> Option<&UnparsedAnswer> {
    match error {
        SdkError::ResponseError(_) => in_sources(error),
        _ => None,
    }
}

fn in_sources<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a UnparsedAnswer> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The body of an answer that says success. A body that was not kept counts as empty.
pub(crate) fn successful_body(response: &HttpResponse) -> Option<&[u8]> {
    response.status().is_success().then(|| response.body().bytes().unwrap_or_default())
}

/// The root element of an operation's answer; `None` for operations that decide nothing, or do not answer in XML.
fn expected_root(service: &str, operation: &str) -> Option<Cow<'static, str>> {
    let root = match (service, operation) {
        ("S3", "GetBucketAcl") => "AccessControlPolicy",
        ("S3", "GetBucketOwnershipControls") => "OwnershipControls",
        ("S3", "GetBucketRequestPayment") => "RequestPaymentConfiguration",
        ("S3", "GetBucketEncryption") => "ServerSideEncryptionConfiguration",
        ("S3", "GetBucketReplication") => "ReplicationConfiguration",
        ("S3", "GetBucketTagging") => "Tagging",
        ("S3", "ListObjectsV2") => "ListBucketResult",
        ("S3", "GetBucketVersioning") => "VersioningConfiguration",
        ("S3", "GetObjectLockConfiguration") => "ObjectLockConfiguration",
        ("S3", "GetPublicAccessBlock") => "PublicAccessBlockConfiguration",
        ("S3", "ListBuckets") => "ListAllMyBucketsResult",
        ("S3", "ListObjectVersions") => "ListVersionsResult",
        ("S3 Control", "DescribeJob") => "DescribeJobResult",
        ("IAM" | "STS", read) if read.starts_with("Get") || read.starts_with("List") => {
            return Some(format!("{read}Response").into());
        }
        _ => return None,
    };
    Some(root.into())
}
