//! The HTTP connector: one pool of connections for AWS's APIs and for responses to CloudFormation.
//!
//! It must not know AWS's APIs.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Aws;
use crate::model::{ApiError, ResponseUrl, Retry};
use crate::ports::Callback;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for one attempt to answer CloudFormation. The time that is kept for the answer suffices for three attempts.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts to build a connector on another thread. The first call waits for it.
pub fn connector() -> SharedHttpConnector {
    let connector: Arc<LazyLock<_>> = Arc::new(LazyLock::new(new_connector));
    let building = connector.clone();
    // A blocking thread is needed later for DNS lookups anyway.
    spawn_blocking(move || {
        LazyLock::force(&building);
    });
    SharedHttpConnector::new(LazyConnector(connector))
}

fn new_connector() -> Connector {
    // No read timeout: a write that was given up could still take effect. Each client has a timeout for an attempt.
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    Connector::builder()
        .connector_settings(settings)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build()
}

/// A connector that may still be under construction: reading and parsing the system's certificates takes most of a cold start.
#[derive(Debug)]
struct LazyConnector(Arc<LazyLock<Connector>>);

impl HttpConnector for LazyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.call(request)
    }
}

/// A client that uses this connector for every call.
pub fn http_client(connector: SharedHttpConnector) -> SharedHttpClient {
    http_client_fn(move |_, _| connector.clone())
}

impl Callback for Aws {
    async fn answer(&self, url: &ResponseUrl, body: String) -> Result<(), ApiError> {
        let request = put_request(url, body).ok_or_else(|| {
            callback_error("Unsendable", "the request could not be built", Retry::Never)
        })?;
        let response = timeout(CALLBACK_TIMEOUT, self.connector.call(request)).await;
        let response = response.map_err(|_| {
            callback_error("TimedOut", "no response in time", Retry::NextInvocation)
        })?;
        // The source error may contain the URL, so it is not shown.
        let response = response.map_err(|_| {
            callback_error("Unreachable", "the connection failed", Retry::NextInvocation)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // S3 also answers 400 when a request arrives too slowly.
        let can_be_repeated = status.is_server_error() || status.as_u16() == 400;
        let retry = if can_be_repeated { Retry::NextInvocation } else { Retry::Never };
        Err(callback_error(&format!("HTTP {status}"), "the answer was not accepted", retry))
    }
}

/// The request that sends an answer. CloudFormation signs the URL for an empty content type.
fn put_request(url: &ResponseUrl, body: String) -> Option<HttpRequest> {
    let request = http::Request::put(url.expose().clone())
        .header(http::header::CONTENT_TYPE, "")
        .header(http::header::CONTENT_LENGTH, body.len())
        .body(SdkBody::from(body));
    HttpRequest::try_from(request.ok()?).ok()
}

fn callback_error(code: &str, message: &str, retry: Retry) -> ApiError {
    ApiError {
        operation: "PUT",
        resource: "the `ResponseURL`".to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        missing_right: None,
        retry,
    }
}
