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
        let failure = |code: String, message: String, retry| ApiError {
            operation: "PUT",
            resource: "the `ResponseURL`".to_owned(),
            code,
            message,
            missing_right: None,
            retry,
        };
        // CloudFormation signs the URL for an empty content type.
        let request = http::Request::put(url.expose().clone())
            .header(http::header::CONTENT_TYPE, "")
            .header(http::header::CONTENT_LENGTH, body.len())
            .body(SdkBody::from(body))
            .ok()
            .and_then(|request| HttpRequest::try_from(request).ok())
            .ok_or_else(|| {
                failure(
                    "Unsendable".to_owned(),
                    "the request could not be built".to_owned(),
                    Retry::Never,
                )
            })?;
        let response = timeout(CALLBACK_TIMEOUT, self.connector.call(request)).await;
        let response = response.map_err(|_| {
            failure("TimedOut".to_owned(), "no response in time".to_owned(), Retry::NextInvocation)
        })?;
        // The source error may contain the URL, so it is not shown.
        let response = response.map_err(|_| {
            failure(
                "Unreachable".to_owned(),
                "the connection failed".to_owned(),
                Retry::NextInvocation,
            )
        })?;
        let status = response.status();
        // S3 also answers 400 when a request arrives too slowly.
        let retry = if status.is_server_error() || status.as_u16() == 400 {
            Retry::NextInvocation
        } else {
            Retry::Never
        };
        if status.is_success() {
            Ok(())
        } else {
            Err(failure(format!("HTTP {status}"), "the answer was not accepted".to_owned(), retry))
        }
    }
}
