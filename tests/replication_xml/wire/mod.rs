//! The SDK's side: the requests that it sends, byte by byte, and what is made of S3's answers.

mod answers;
mod put;

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::body::SdkBody;
use s3_kms_replication::aws::whole_answer::WholeAnswer;

const OWNER: &str = "111122223333";

const ROOT: &str = "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";

fn replay(answers: &[(u16, &str)]) -> StaticReplayClient {
    let event = |(status, body): &(u16, &str)| {
        let request =
            http::Request::builder().uri("https://any.example").body(SdkBody::empty()).unwrap();
        ReplayEvent::new(
            request,
            http::Response::builder().status(*status).body(SdkBody::from(*body)).unwrap(),
        )
    };
    StaticReplayClient::new(answers.iter().map(event).collect())
}

fn client(
    http: impl aws_smithy_runtime_api::client::http::HttpClient + 'static,
    tries: u32,
) -> Client {
    let retry = RetryConfig::standard()
        .with_max_attempts(tries)
        .with_initial_backoff(Duration::from_millis(1));
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "secret",
            None,
            None,
            "test",
        )))
        .time_source(StaticTimeSource::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        ))
        .http_client(SharedHttpClient::new(http))
        .retry_config(retry)
        .interceptor(WholeAnswer)
        .retry_classifier(WholeAnswer);
    Client::from_conf(config.build())
}
