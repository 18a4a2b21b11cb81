//! Which answers are believed.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types as sdk;
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use s3_kms_replication::aws::raw_replication::get;
use s3_kms_replication::aws::whole_answer::{WholeAnswer, unparsed_answer};

use super::{OWNER, ROOT, client, replay};

#[tokio::test]
async fn get_keeps_what_the_sdk_does_not_know() {
    let rule = "<Rule><ID>theirs</ID><Filter><Not><Prefix>tmp/</Prefix></Not></Filter><Status>Enabled</Status><Destination>\
        <Bucket>arn:aws:s3:::b</Bucket></Destination></Rule>";
    let text = format!("{ROOT}<Role>r</Role>{rule}</ReplicationConfiguration>");
    let found = get(&client(replay(&[(200, &text)]), 1), "orders", OWNER).await.unwrap().unwrap();
    assert_eq!((found.to_xml(), found.rules().next().unwrap().xml()), (text.clone(), rule));

    let none =
        "<Error><Code>ReplicationConfigurationNotFoundError</Code><Message>none</Message></Error>";
    assert_eq!(get(&client(replay(&[(404, none)]), 1), "orders", OWNER).await.unwrap(), None);
    for (status, other) in
        [(404, "<Error><Code>NoSuchBucket</Code></Error>"), (403, ""), (500, ""), (404, "")]
    {
        let error = get(&client(replay(&[(status, other)]), 1), "orders", OWNER).await.unwrap_err();
        assert!(
            error.as_service_error().is_some() && unparsed_answer(&error).is_none(),
            "{status} {other}: {error:?}"
        );
    }
    let no_rule = format!("{ROOT}<Role>r</Role></ReplicationConfiguration>");
    let error = get(&client(replay(&[(200, &no_rule)]), 1), "orders", OWNER).await.unwrap_err();
    assert_eq!(
        unparsed_answer(&error).unwrap().to_string(),
        "the answer could not be parsed: there is no `Rule`"
    );
}

/// What the SDK made of an answer, or why the answer was not believed.
fn outcome<E: std::error::Error + 'static>(
    result: Result<usize, SdkError<E>>,
) -> Result<usize, String> {
    result
        .map_err(|error| unparsed_answer(&error).unwrap_or_else(|| panic!("{error:?}")).to_string())
}

async fn read(client: &Client, operation: &str) -> Result<usize, String> {
    let enabled = Some(sdk::BucketVersioningStatus::Enabled);
    match operation {
        "GetBucketReplication" => {
            outcome(get(client, "orders", OWNER).await.map(|found| found.unwrap().rules().count()))
        }
        "GetBucketEncryption" => {
            let answer = client.get_bucket_encryption().bucket("orders").send().await;
            outcome(
                answer
                    .map(|answer| answer.server_side_encryption_configuration.unwrap().rules.len()),
            )
        }
        "GetBucketTagging" => {
            let answer = client.get_bucket_tagging().bucket("orders").send().await;
            outcome(answer.map(|answer| answer.tag_set.len()))
        }
        "GetBucketVersioning" => {
            let answer = client.get_bucket_versioning().bucket("orders").send().await;
            outcome(answer.map(|answer| usize::from(answer.status == enabled)))
        }
        "GetObjectLockConfiguration" => {
            let answer = client.get_object_lock_configuration().bucket("orders").send().await;
            outcome(answer.map(|answer| {
                usize::from(answer.object_lock_configuration.unwrap().object_lock_enabled.is_some())
            }))
        }
        "GetPublicAccessBlock" => {
            let answer = client.get_public_access_block().bucket("orders").send().await;
            let blocked =
                |block: sdk::PublicAccessBlockConfiguration| block.block_public_acls == Some(true);
            outcome(answer.map(|answer| {
                usize::from(answer.public_access_block_configuration.is_some_and(blocked))
            }))
        }
        "ListObjectVersions" => {
            let answer = client.list_object_versions().bucket("orders").send().await;
            outcome(answer.map(|answer| answer.versions.unwrap().len()))
        }
        "ListBuckets" => {
            outcome(client.list_buckets().send().await.map(|answer| answer.buckets.unwrap().len()))
        }
        other => panic!("{other}"),
    }
}

const GOOD: [(&str, &str, &str); 8] = [
    (
        "GetBucketReplication",
        "ReplicationConfiguration",
        "<Role>r</Role><Rule><ID>a</ID><Status>Enabled</Status></Rule>",
    ),
    (
        "GetBucketEncryption",
        "ServerSideEncryptionConfiguration",
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>",
    ),
    ("GetBucketTagging", "Tagging", "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"),
    ("GetBucketVersioning", "VersioningConfiguration", "<Status>Enabled</Status>"),
    (
        "GetObjectLockConfiguration",
        "ObjectLockConfiguration",
        "<ObjectLockEnabled>Enabled</ObjectLockEnabled>",
    ),
    (
        "GetPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        "<BlockPublicAcls>true</BlockPublicAcls>",
    ),
    (
        "ListObjectVersions",
        "ListVersionsResult",
        "<Version><Key>a&#x1;&amp;</Key><VersionId>1</VersionId></Version>",
    ),
    ("ListBuckets", "ListAllMyBucketsResult", "<Buckets><Bucket><Name>a</Name></Bucket></Buckets>"),
];

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_of_every_read_that_decides() {
    let (mut accepted, mut refused) = (0, 0);
    for (operation, root, content) in GOOD {
        let good = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}</{root}>"
        );
        for body in [good.clone(), good.clone() + "\n"] {
            assert_eq!(
                read(&client(replay(&[(200, &body)]), 1), operation).await,
                Ok(1),
                "{operation}"
            );
            accepted += 1;
        }
        let cut = (0..good.len()).map(|end| good[..end].to_owned());
        let other = [
            " ",
            "<html><body>Sign in</body></html>",
            "<!DOCTYPE html><html/>",
            "{}",
            "<Error><Code>InternalError</Code></Error>",
            "<a/>",
            "\u{0}",
        ];
        let trailing = format!("{good}x");
        for body in cut.chain(other.map(str::to_owned)).chain([trailing]) {
            let error = read(&client(replay(&[(200, &body)]), 1), operation)
                .await
                .expect_err(&format!("{operation}: {body}"));
            assert!(error.starts_with("the answer could not be parsed: "), "{operation}: {error}");
            refused += 1;
        }
    }
    eprintln!(
        "{accepted} whole answers were read and {refused} others refused, of {} operations",
        GOOD.len()
    );
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_asked_for_again() {
    for (operation, root, content) in GOOD {
        let good = format!("<{root}>{content}</{root}>");
        let http = replay(&[(200, ""), (200, &good[..good.len() - 1]), (200, &good)]);
        assert_eq!(read(&client(http.clone(), 3), operation).await, Ok(1), "{operation}");
        assert_eq!(http.actual_requests().count(), 3);
    }
}

#[tokio::test]
async fn a_streamed_answer_is_checked_as_a_whole() {
    let streamed = |chunks: &'static [&'static str]| {
        infallible_client_fn(move |_| {
            let frames = chunks.iter().map(|chunk| Ok::<_, std::io::Error>(http_body_frame(chunk)));
            let body = http_body_util::StreamBody::new(futures_util::stream::iter(
                frames.collect::<Vec<_>>(),
            ));
            http::Response::builder().status(200).body(SdkBody::from_body_1_x(body)).unwrap()
        })
    };
    let whole = streamed(&[
        "<Tagging><TagSet><Tag><Key>a</Key>",
        "<Value>b</Value></Tag></Tag",
        "Set></Tagging>",
    ]);
    assert_eq!(read(&client(whole, 1), "GetBucketTagging").await, Ok(1));
    let cut = streamed(&["<Tagging><TagSet><Tag><Key>a</Key>", "<Value>b</Value></Tag></TagSet>"]);
    let expected = "the answer could not be parsed: the document is not well-formed: the root node was opened but never closed";
    assert_eq!(read(&client(cut, 1), "GetBucketTagging").await.unwrap_err(), expected);
    let whole = streamed(&[
        "<ReplicationConfiguration><Role>r</Role><Rule><ID>a",
        "</ID><Status>Enabled</Status></Rule></ReplicationConfiguration>",
    ]);
    assert_eq!(read(&client(whole, 1), "GetBucketReplication").await, Ok(1));
}

fn http_body_frame(chunk: &'static str) -> http_body::Frame<bytes::Bytes> {
    http_body::Frame::data(bytes::Bytes::from_static(chunk.as_bytes()))
}

#[tokio::test]
async fn answers_of_the_query_protocol_are_checked_too() {
    let content =
        "<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>";
    let good = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{content}</GetCallerIdentityResponse>"
    );
    for end in 0..=good.len() {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIDEXAMPLE",
                "secret",
                None,
                None,
                "test",
            )))
            .http_client(replay(&[(200, &good[..end])]))
            .retry_config(RetryConfig::disabled())
            .interceptor(WholeAnswer);
        let answer =
            aws_sdk_sts::Client::from_conf(config.build()).get_caller_identity().send().await;
        match answer {
            Ok(answer) => assert_eq!((end, answer.account()), (good.len(), Some("111122223333"))),
            Err(error) => {
                assert!(unparsed_answer(&error).is_some() && end < good.len(), "{error:?}")
            }
        }
    }
}
