//! The requests about canaries.

use std::collections::BTreeMap;

use s3_kms_replication::model::{Canary, ObjectVersion, ReplicationStatus, Versions};

use super::*;

#[tokio::test]
async fn canary_is_written_read_listed_and_removed_with_the_recorded_requests() {
    let listed = "<ListVersionsResult><Version><Key>a/b</Key><VersionId>2</VersionId></Version><DeleteMarker><Key>a/b</Key><VersionId>3\
        </VersionId></DeleteMarker><Version><Key>a/b</Key><VersionId>1</VersionId></Version><Version><Key>a/bc</Key><VersionId>0</VersionId>\
        </Version></ListVersionsResult>";
    let written = (200, Some(("x-amz-version-id", "1")), "");
    let (aws, replay) = aws(&[written, written, ok(""), ok(listed), (204, None, "")]);
    let here = at("demo-source", "us-east-1");
    let tags =
        BTreeMap::from([("a b".to_owned(), "1&2".to_owned()), ("c".to_owned(), String::new())]);
    let tagged = Canary { key: "a/b".to_owned(), tags, kms_key: Some(SOURCE_KEY.to_owned()) };
    assert_eq!(aws.put_canary(&here, &tagged).await.unwrap(), "1");
    assert_eq!(
        aws.put_canary(&here, &Canary { tags: BTreeMap::new(), kms_key: None, ..tagged })
            .await
            .unwrap(),
        "1"
    );
    assert_eq!(
        aws.object_version(&here, "a/b", "1").await,
        Ok(Some(ObjectVersion { replication: None, kms_key: None, last_modified: None }))
    );
    let versions = Versions {
        objects: vec!["2".to_owned(), "1".to_owned()],
        delete_markers: vec!["3".to_owned()],
        more: false,
    };
    assert_eq!(aws.versions(&here, "a/b").await, Ok(versions));
    assert_eq!(aws.delete_version(&here, "a/b", "1").await, Ok(()));
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn object_version_has_its_replication_status_and_key_or_is_absent() {
    let here = at("demo-source", "us-east-1");
    let head =
        async |status, header| aws(&[(status, header, "")]).0.object_version(&here, "a", "1").await;
    for (word, replication) in [
        ("PENDING", ReplicationStatus::Pending),
        ("COMPLETED", ReplicationStatus::Completed),
        ("COMPLETE", ReplicationStatus::Completed),
        ("FAILED", ReplicationStatus::Failed),
        ("REPLICA", ReplicationStatus::Replica),
    ] {
        let seen = head(200, Some(("x-amz-replication-status", word))).await.unwrap().unwrap();
        assert_eq!(
            seen,
            ObjectVersion { replication: Some(replication), kms_key: None, last_modified: None }
        );
    }
    let dated = head(200, Some(("last-modified", "Sun, 22 Nov 2026 08:00:00 GMT"))).await.unwrap();
    assert_eq!(dated.unwrap().last_modified, Some(1_795_334_400));
    let key = head(200, Some(("x-amz-server-side-encryption-aws-kms-key-id", SOURCE_KEY)))
        .await
        .unwrap()
        .unwrap()
        .kms_key;
    assert_eq!(key.as_deref(), Some(SOURCE_KEY));
    assert_eq!(head(404, None).await, Ok(None));
    assert_snapshot!(head(403, None).await.unwrap_err(), @"HeadObject on object `a` of bucket `demo-source`: HTTP 403: access denied: rights are missing, or it belongs to another account");
    assert_snapshot!(head(200, Some(("x-amz-replication-status", "TOMORROW"))).await.unwrap_err(), @"HeadObject on object `a` of bucket `demo-source`: MalformedAnswer: replication status `TOMORROW`");
    let canary = Canary { key: "a".to_owned(), tags: BTreeMap::new(), kms_key: None };
    let unversioned = aws(&[ok("")]).0.put_canary(&here, &canary).await;
    assert_snapshot!(unversioned.unwrap_err(), @"PutObject on object `a` of bucket `demo-source`: MalformedAnswer: no version id: the bucket is not versioned");
}

#[tokio::test]
async fn page_of_versions_says_whether_the_key_has_more() {
    let here = at("demo-source", "us-east-1");
    let page = |truncated: &str, next: &str| {
        format!(
            "<ListVersionsResult><IsTruncated>{truncated}</IsTruncated><NextKeyMarker>{next}</NextKeyMarker><Version><Key>a</Key>\
             <VersionId>1</VersionId></Version></ListVersionsResult>"
        )
    };
    for (truncated, next, more) in
        [("true", "a", true), ("true", "ab", false), ("false", "", false)]
    {
        let versions = aws(&[ok(&page(truncated, next))]).0.versions(&here, "a").await.unwrap();
        assert_eq!((versions.objects, versions.more), (vec!["1".to_owned()], more));
    }
}
