//! Writes every request that the SDK sends in these tests to a file. tests/local/oracle.py holds the requests against AWS's service models.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use aws_smithy_http_client::test_util::StaticReplayClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::json;

/// The file of this run of the tests, one request a line.
static FILE: LazyLock<Mutex<File>> = LazyLock::new(|| {
    Mutex::new(File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/wire-requests.jsonl")).unwrap())
});

/// Answers as the replay does, and records each request.
#[derive(Debug, Clone)]
pub struct Recorded(pub StaticReplayClient);

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        record(&request);
        self.0.call(request)
    }
}

impl HttpClient for Recorded {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Adds a request to the file.
pub fn record(request: &HttpRequest) {
    let headers: BTreeMap<&str, &str> = request.headers().iter().collect();
    let body: String = request
        .body()
        .bytes()
        .unwrap_or_default()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let line =
        json!({"method": request.method(), "uri": request.uri(), "headers": headers, "body": body});
    writeln!(FILE.lock().unwrap(), "{line}").unwrap();
}
