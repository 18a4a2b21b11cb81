//! The way around the SDK's types, which drop elements that they do not know: answers are read, and requests are sent, as text.
//!
//! It must not know which operation is called.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;

use super::whole_answer::{UnparsedAnswer, successful_body};

/// Interceptor that parses the body of a successful answer and keeps the result.
pub(super) struct ParsedBody<T, F> {
    parse: F,
    parsed: Arc<Mutex<Option<T>>>,
}

impl<T, F> ParsedBody<T, F>
where
    T: Send + 'static,
    F: Fn(&[u8]) -> Result<T, UnparsedAnswer> + Clone + Send + Sync + 'static,
{
    pub(super) fn new(parse: F) -> Self {
        Self { parse, parsed: Arc::default() }
    }

    /// The interceptor for one call, which leaves its result here.
    pub(super) fn interceptor(&self) -> impl Intercept + 'static {
        Self { parse: self.parse.clone(), parsed: self.parsed.clone() }
    }

    /// The result; `None` when no successful answer was parsed.
    pub(super) fn take(&self) -> Option<T> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T, F> fmt::Debug for ParsedBody<T, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ParsedBody")
    }
}

impl<T, F> Intercept for ParsedBody<T, F>
where
    T: Send + 'static,
    F: Fn(&[u8]) -> Result<T, UnparsedAnswer> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "ParsedBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = successful_body(context.response()) {
            let parsed = (self.parse)(body)?;
            *self.parsed.lock().unwrap_or_else(PoisonError::into_inner) = Some(parsed);
        }
        Ok(())
    }
}

/// Interceptor that replaces a request's body. This hook runs before the SDK computes the checksum and the signature, and before
/// it keeps the request for further attempts.
#[derive(Debug)]
pub(super) struct Body(pub(super) String);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().try_insert("content-length", self.0.len().to_string())?;
        *request.body_mut() = SdkBody::from(self.0.as_str());
        Ok(())
    }
}
