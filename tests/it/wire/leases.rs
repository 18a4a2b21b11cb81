//! The requests about leases and generations.

use s3_kms_replication::model::{Acquired, Lease};

use super::*;

#[tokio::test]
async fn invariant_6_lease_is_acquired_and_released_under_conditions() {
    let lease = Lease {
        table: "leases".to_owned(),
        resource: "demo-source".to_owned(),
        holder: "me".to_owned(),
        expires_at: 1_700_000_300,
    };
    let held = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"m\"}";
    let denied = "{\"__type\":\"AccessDeniedException\",\"message\":\"m\"}";
    let earlier = "{\"Attributes\":{\"BucketName\":{\"S\":\"demo-source\"},\"ExpiresAt\":{\"N\":\"1699999999\"}}}";
    let (aws, replay) = aws(&[
        ok("{}"),
        ok(earlier),
        ok("{}"),
        (400, None, held),
        (400, None, held),
        (400, None, denied),
    ]);
    assert_eq!(
        aws.acquire(&lease, 1_700_000_000).await,
        Ok(Some(Acquired { previous_expiry: None }))
    );
    let previous_expiry = Some(1_699_999_999);
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await, Ok(Some(Acquired { previous_expiry })));
    assert_eq!(aws.release(&lease, 1_700_000_000).await, Ok(()));
    assert_snapshot!(sent(&replay));
    assert_eq!(aws.release(&lease, 1_700_000_000).await, Ok(()), "another holder has it");
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await, Ok(None));
    assert_eq!(aws.acquire(&lease, 1_700_000_000).await.unwrap_err().code, "AccessDeniedException");
}

#[tokio::test]
async fn generation_is_recorded_unless_a_later_one_was() {
    let later = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"m\"}";
    let item = "{\"Item\":{\"BucketName\":{\"S\":\"demo-source/rule\"},\"Turn\":{\"N\":\"40522244160001\"}}}";
    let (aws, replay) = aws(&[ok("{}"), ok(item), ok("{}"), (400, None, later)]);
    assert_eq!(
        aws.record_generation("leases", "demo-source/rule", 40_522_244_160_000, 1_700_000_300)
            .await,
        Ok(true)
    );
    assert_eq!(
        aws.latest_generation("leases", "demo-source/rule").await,
        Ok(Some(40_522_244_160_001))
    );
    assert_eq!(aws.latest_generation("leases", "demo-source/rule").await, Ok(None));
    assert_snapshot!(sent(&replay));
    assert_eq!(
        aws.record_generation("leases", "demo-source/rule", 40_522_244_160_000, 1_700_000_300)
            .await,
        Ok(false)
    );
}
