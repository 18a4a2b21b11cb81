"""Bucket events: changes of buckets reach the function through EventBridge and SQS."""

from __future__ import annotations

import json

from conftest import OWNER_TAG, ROLE_PATH, Application
from local_aws import ACCOUNT, REGION, REPLICA_REGION, wait_until
from samples import bucket_event, writes


def await_rules(app: Application, bucket: str, count: int = 1) -> list[dict]:
    """Waits for the number of rules and for an idle function, and returns the bucket's rules."""
    wait_until(f"{count} rules on bucket `{bucket}`", lambda: len(app.rules(bucket)) == count)
    app.await_idle()
    return app.rules(bucket)


def await_grant(app: Application, bucket: str, key: str) -> None:
    """Waits until the bucket's role has a grant for the key."""
    role = f"s3-crr-{bucket}"
    wait_until(f"the grant on key `{key}`", lambda: app.role(role) and key in app.granted_keys(role))


def test_new_bucket_that_matches_the_policy_is_replicated(app: Application) -> None:
    app.aws.aws("s3api", "create-bucket", "--bucket", "prod-orders")
    app.aws.aws("s3api", "put-bucket-encryption", "--bucket", "prod-orders", "--server-side-encryption-configuration", json.dumps(
        {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": app.source_key}}]}))
    await_grant(app, "prod-orders", app.source_key)
    rule, = await_rules(app, "prod-orders")

    assert rule["ID"] == "s3-kms-replication.dr"
    assert rule["Status"] == "Enabled"
    assert rule["SourceSelectionCriteria"]["SseKmsEncryptedObjects"] == {"Status": "Enabled"}
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::prod-orders-replica"
    assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": app.replica_key}
    assert app.versioning("prod-orders") == app.versioning("prod-orders-replica") == "Enabled"
    role = app.role("s3-crr-prod-orders")
    assert (role["Path"], role["Tags"]) == (ROLE_PATH, [{"Key": OWNER_TAG, "Value": "prod-orders"}])
    assert app.replication("prod-orders")["Role"] == role["Arn"]
    assert app.granted_keys("s3-crr-prod-orders") == {app.source_key, app.replica_key}

    app.s3.put_object(Bucket="prod-orders", Key="1.json", Body=b"{}", ServerSideEncryption="aws:kms", SSEKMSKeyId=app.source_key)
    assert app.s3_replica.head_object(Bucket="prod-orders-replica", Key="1.json")["ReplicationStatus"] == "REPLICA"


def test_created_destination_is_encrypted_private_and_not_a_source(app: Application) -> None:
    app.aws.create_bucket("prod-private")
    await_rules(app, "prod-private")

    encryption = app.s3_replica.get_bucket_encryption(Bucket="prod-private-replica")["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]
    assert default["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": app.replica_key}
    assert default["BucketKeyEnabled"] is True
    blocked = app.s3_replica.get_public_access_block(Bucket="prod-private-replica")["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert app.region("prod-private-replica") == REPLICA_REGION
    assert app.rules("prod-private-replica") == []
    assert app.role("s3-crr-prod-private-replica") is None


def test_new_default_key_is_granted_and_the_previous_key_keeps_its_grant(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-rotated")
    app.aws.encrypt_bucket(bucket, app.source_key)
    await_grant(app, bucket, app.source_key)
    new_key = app.aws.create_key()
    app.aws.encrypt_bucket(bucket, new_key)
    await_grant(app, bucket, new_key)

    assert app.granted_keys(f"s3-crr-{bucket}") == {app.source_key, new_key, app.replica_key}


def test_tag_that_the_policy_matches_adds_a_second_rule(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-tagged")
    await_rules(app, bucket)
    app.aws.aws("s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", "TagSet=[{Key=archive,Value=yes}]")
    rules = await_rules(app, bucket, count=2)

    destinations = {rule["ID"]: rule["Destination"]["Bucket"] for rule in rules}
    assert destinations == {"s3-kms-replication.dr": "arn:aws:s3:::prod-tagged-replica",
                            "s3-kms-replication.tagged": "arn:aws:s3:::prod-tagged-archive"}
    assert len({rule["Priority"] for rule in rules}) == 2
    assert set(app.policies(f"s3-crr-{bucket}")) == set(destinations)


def test_bucket_that_no_rule_matches_is_unchanged(app: Application) -> None:
    app.aws.create_bucket("scratch")
    app.await_idle()

    assert app.rules("scratch") == []
    assert app.versioning("scratch") is None
    assert app.role("s3-crr-scratch") is None
    assert "Skipped" in app.invoke(bucket_event("CreateBucket", "scratch"))


def test_invariant_3_duplicate_event_performs_only_reads(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-twice")
    app.aws.encrypt_bucket(bucket, app.source_key)
    await_rules(app, bucket)
    before = len(app.calls())
    answer = app.invoke(bucket_event("CreateBucket", bucket))

    assert [rule["Status"] for rule in answer["Rules"]] == ["Unchanged"]
    calls = app.calls()[before:]
    assert calls
    assert writes(calls) == []


def test_invariant_3_event_caused_by_the_function_performs_no_calls(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-quiet")
    await_rules(app, bucket)
    written = [call for call in app.calls() if call["action"] == "s3:PutReplicationConfiguration" and bucket in call["resource"]]
    calls_before = len(app.calls())
    issuer = {"type": "Role", "arn": app.outputs["ExecutionRoleArn"], "accountId": ACCOUNT}
    answer = app.invoke(bucket_event("PutBucketReplication", bucket, userIdentity={"sessionContext": {"sessionIssuer": issuer}}))

    assert len(written) == 1
    assert "Skipped" in answer
    assert len(app.calls()) == calls_before


def test_deleted_replication_configuration_is_restored(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-repaired")
    before = await_rules(app, bucket)
    app.aws.aws("s3api", "delete-bucket-replication", "--bucket", bucket)

    assert await_rules(app, bucket) == before


def test_suspended_destination_versioning_is_enabled_by_the_next_reconcile(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-suspended")
    await_rules(app, bucket)
    app.s3_replica.put_bucket_versioning(Bucket=f"{bucket}-replica", VersioningConfiguration={"Status": "Suspended"})
    answer = app.invoke({"Action": "Reconcile", "SourceBucket": bucket})

    assert [rule["Status"] for rule in answer["Rules"]] == ["Configured"]
    assert app.versioning(f"{bucket}-replica") == "Enabled"


def test_role_is_deleted_after_its_bucket_is_deleted(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-short-lived")
    await_rules(app, bucket)
    assert app.role(f"s3-crr-{bucket}")
    app.aws.aws("s3api", "delete-bucket", "--bucket", bucket)

    wait_until("the end of the role", lambda: app.role(f"s3-crr-{bucket}") is None)
    app.await_idle()
    assert app.region(f"{bucket}-replica") == REPLICA_REGION


def test_event_of_a_failed_call_is_skipped(app: Application) -> None:
    answer = app.invoke(bucket_event("CreateBucket", "prod-refused", errorCode="BucketAlreadyExists"))

    assert "BucketAlreadyExists" in answer["Skipped"]


def test_unreadable_message_is_the_only_batch_item_failure(app: Application) -> None:
    bucket = app.aws.create_bucket("prod-batch")
    await_rules(app, bucket)
    bodies = {"good": json.dumps(bucket_event("CreateBucket", bucket)), "bad": "{", "skipped": json.dumps(bucket_event("CreateBucket", "scratch-2"))}
    batch = [{"messageId": name, "receiptHandle": name, "body": body, "attributes": {}, "messageAttributes": {},
              "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": REGION,
              "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"} for name, body in bodies.items()]

    assert app.invoke({"Records": batch}) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}


def test_dead_letter_queue_is_empty_after_all_events(app: Application) -> None:
    app.await_idle()
    dead = app.aws.aws("sqs", "get-queue-attributes", "--queue-url", app.outputs["DeadLetterQueueUrl"],
                       "--attribute-names", "ApproximateNumberOfMessages")

    assert dead["Attributes"]["ApproximateNumberOfMessages"] == "0"
