//! The requests of a catch-up: its message, and the list of versions.

use insta::assert_snapshot;
use s3_kms_replication::model::{ListedVersion, VersionMarker};
use s3_kms_replication::ports::Queue;

use super::*;

#[tokio::test]
async fn message_and_pages_of_versions_are_requested_as_recorded() {
    let first = "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>Tax/1</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>\
        <Version><Key>Tax/1</Key><VersionId>v1</VersionId><LastModified>2026-11-20T12:00:00Z</LastModified></Version>\
        <DeleteMarker><Key>Tax/0</Key><VersionId>v0</VersionId></DeleteMarker></ListVersionsResult>";
    let last = "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>";
    let (aws, replay) = aws(&[ok("{\"MessageId\": \"1\"}"), ok(first), ok(last)]);
    let queue = "https://sqs.us-east-1.amazonaws.com/111122223333/events";
    aws.send(queue, "{\"Action\": \"CatchUp\"}".to_owned(), Duration::from_secs(900))
        .await
        .unwrap();
    let place = at("demo-source", "us-east-1");
    let page = aws.versions_page(&place, "Tax", None, 1_000).await.unwrap();
    let version = ListedVersion {
        key: "Tax/1".to_owned(),
        version: "v1".to_owned(),
        last_modified: 1_795_176_000,
    };
    let marker = VersionMarker { key: "Tax/1".to_owned(), version: Some("v1".to_owned()) };
    assert_eq!((&page.versions, page.delete_markers), (&vec![version], 1));
    assert_eq!(page.next.as_ref(), Some(&marker));
    let page = aws.versions_page(&place, "Tax", page.next.as_ref(), 1_000).await.unwrap();
    assert!(page.is_empty() && page.next.is_none());
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn list_of_versions_that_does_not_say_where_it_was_cut_is_refused() {
    for body in [
        "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
        "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>k</Key></Version></ListVersionsResult>",
    ] {
        let (aws, _) = aws(&[ok(body)]);
        let failure = aws.versions_page(&at("demo-source", "us-east-1"), "", None, 1).await;
        assert_eq!(failure.unwrap_err().retry, Retry::Never, "{body}");
    }
}
