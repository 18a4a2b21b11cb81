//! The requests about leases and generations.

use s3_kms_replication::model::{
    Acquired, GenerationRecord, Lease, OutcomeChange, RecordedRequest, Recording, RequestOutcome,
};

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
async fn generation_is_recorded_with_the_outcome_unless_a_later_one_was() {
    let later = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"m\"}";
    let attributes = "{\"BucketName\":{\"S\":\"demo-source/rule\"},\"Turn\":{\"N\":\"40522244160001\"},\"Outcome\":{\"S\":\"Applied\"}}";
    let (old, item) =
        (format!("{{\"Attributes\":{attributes}}}"), format!("{{\"Item\":{attributes}}}"));
    let of_0_1_0 =
        "{\"Item\":{\"BucketName\":{\"S\":\"demo-source/rule\"},\"Turn\":{\"N\":\"7\"}}}";
    let (aws, replay) = aws(&[
        ok("{}"),
        ok(&old),
        ok("{}"),
        ok("{}"),
        ok(&item),
        ok(of_0_1_0),
        ok("{}"),
        (400, None, later),
    ]);
    let record = |change| GenerationRecord {
        table: "leases".to_owned(),
        id: "demo-source/rule".to_owned(),
        number: 40_522_244_160_000,
        is_unique: false,
        change,
        forget_at: 1_700_000_300,
    };
    let applied = Some(RecordedRequest {
        generation: 40_522_244_160_001,
        outcome: Some(RequestOutcome::Applied),
    });
    for (change, before) in [
        (OutcomeChange::OpenUnlessRemembered, None),
        (OutcomeChange::Set(RequestOutcome::Applied), applied),
        (OutcomeChange::Keep, None),
        (OutcomeChange::Forget, None),
    ] {
        let recording = aws.record_generation(&record(change)).await;
        assert_eq!(recording, Ok(Recording::Recorded(before)));
    }
    let without_outcome = Some(RecordedRequest { generation: 7, outcome: None });
    for recorded in [applied, without_outcome, None] {
        assert_eq!(aws.latest_generation("leases", "demo-source/rule").await, Ok(recorded));
    }
    assert_snapshot!(sent(&replay));
    let recording = aws.record_generation(&record(OutcomeChange::Keep)).await;
    assert_eq!(recording, Ok(Recording::Superseded));
}
