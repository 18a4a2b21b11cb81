//! How a bucket is created under a name of its account's namespace.

use s3_kms_replication::plan::Action;

use super::*;

#[tokio::test]
async fn bucket_of_the_accounts_namespace_is_created_with_the_header_for_it() {
    for (name, header) in
        [("orders-111122223333-us-west-2-an", Some("account-regional")), ("orders-replica", None)]
    {
        let (aws, replay) = aws(&[ok("")]);
        let location = at(name, "us-west-2");
        aws.execute(&Action::CreateBucket { location, source: bucket("orders") }).await.unwrap();
        let request = replay.actual_requests().next().unwrap();
        assert_eq!(request.headers().get("x-amz-bucket-namespace"), header, "{name}");
    }
}
