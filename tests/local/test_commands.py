"""Commands, as sent with `aws lambda invoke`: two with the AWS CLI, the others with boto3, which is faster."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Application
from local_aws import REGION, REPLICA_REGION, ClientError
from samples import writes


@pytest.fixture
def request_body(app: Application, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Creates two buckets and returns the properties that replicate one to the other."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    source = app.aws.create_bucket(name, key=app.source_key)
    destination = app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    return {"SourceBucket": source, "DestinationBucket": destination, "ReplicaKmsKeyArn": app.replica_key}


def test_plan_lists_the_actions_of_apply_and_performs_no_writes(app: Application, request_body: dict[str, Any]) -> None:
    plan = app.invoke_with_cli({"Action": "Plan", **request_body})

    assert plan["Status"] == "Planned"
    assert plan["RuleId"] == f"s3-kms-replication.{request_body['DestinationBucket']}"
    assert plan["SourceKmsKeyArns"] == [app.source_key]
    actions = [{step["Action"] for step in stage} for stage in plan["Stages"]]
    assert actions == [{"PutBucketVersioning", "CreateRole"}, {"PutRolePolicy"}, {"PutBucketReplication"}]
    for word in (request_body["SourceBucket"], request_body["DestinationBucket"], app.replica_key, "kms:Decrypt"):
        assert word in plan["Text"]
    assert app.replication(request_body["SourceBucket"]) is None
    assert app.versioning(request_body["SourceBucket"]) is None
    assert app.role(plan["RoleName"]) is None


def test_invariant_3_reapplying_an_unchanged_spec_performs_no_writes(app: Application, request_body: dict[str, Any]) -> None:
    assert app.invoke({"Action": "Apply", **request_body})["Status"] == "Configured"
    configured = app.replication(request_body["SourceBucket"])
    before = len(app.calls())
    again = app.invoke({"Action": "Apply", **request_body})
    plan = app.invoke({"Action": "Plan", **request_body})

    assert (again["Status"], again["Stages"]) == ("Unchanged", [])
    assert plan["Stages"] == []
    assert app.replication(request_body["SourceBucket"]) == configured
    assert writes(app.calls()[before:]) == []


def test_invariant_1_rule_is_written_last_and_removed_first(app: Application, request_body: dict[str, Any]) -> None:
    def writes_of(action: str) -> list[str]:
        before = len(app.calls())
        app.invoke({"Action": action, **request_body})
        return writes(app.calls()[before:])

    assert writes_of("Apply")[-1] == "PutReplicationConfiguration"
    assert writes_of("Delete") == ["PutReplicationConfiguration", "DeleteRolePolicy", "DeleteRole"]


def test_invariant_4_delete_removes_what_apply_created_and_nothing_else(app: Application, request_body: dict[str, Any]) -> None:
    applied = app.invoke({"Action": "Apply", **request_body})
    removed = app.invoke({"Action": "Delete", **request_body})

    assert removed["Status"] == "Removed"
    assert app.replication(request_body["SourceBucket"]) is None
    assert app.role(applied["RoleName"]) is None
    assert app.versioning(request_body["SourceBucket"]) == app.versioning(request_body["DestinationBucket"]) == "Enabled"
    assert app.invoke({"Action": "Delete", **request_body})["Status"] == "Unchanged"


def test_reconcile_applies_the_policy_to_one_bucket(app: Application) -> None:
    bucket = app.aws.create_bucket("reconciled", key=app.source_key)
    assert "Skipped" in app.invoke({"Action": "Reconcile", "SourceBucket": bucket})
    app.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "archive", "Value": "yes"}]})
    app.await_idle()
    answer = app.invoke({"Action": "Reconcile", "SourceBucket": bucket})

    assert [(rule["RuleId"], rule["Status"]) for rule in answer["Rules"]] == [("s3-kms-replication.tagged", "Unchanged")]


def canaries(app: Application, *buckets: str) -> list[str]:
    """The keys of all versions and delete markers of canaries in these buckets."""
    found = [client.list_object_versions(Bucket=bucket) for bucket, client in zip(buckets, (app.s3, app.s3_replica), strict=True)]
    versions = [version for listed in found for kind in ("Versions", "DeleteMarkers") for version in listed.get(kind, [])]
    return [version["Key"] for version in versions if ".s3-kms-replication-verify/" in version["Key"]]


def test_verify_replicates_a_canary_and_removes_it(app: Application) -> None:
    source = app.aws.create_bucket("verified", key=app.source_key)
    request_body = {"SourceBucket": source, "DestinationBucket": "verified-copy"}
    applied = app.invoke({"Action": "Apply", "ReplicaKmsKeyArn": app.replica_key, "CreateDestinationBucket": True, "Verify": True, **request_body})
    verified = app.invoke({"Action": "Verify", **request_body})

    assert applied["Status"] == verified["Status"] == "Verified"
    assert canaries(app, source, "verified-copy") == []


def test_verify_fails_and_removes_the_canary_when_the_replica_has_the_source_key(app: Application, request_body: dict[str, Any]) -> None:
    app.invoke({"Action": "Apply", **request_body})
    with pytest.raises(ClientError) as refused:
        app.invoke_with_cli({"Action": "Verify", **{name: request_body[name] for name in ("SourceBucket", "DestinationBucket")}})

    assert f"the source object's key `{app.source_key}`, not with the replica key `{app.replica_key}`" in str(refused.value)
    assert canaries(app, request_body["SourceBucket"], request_body["DestinationBucket"]) == []


def test_apply_warns_when_the_source_is_not_kms_encrypted(app: Application, request_body: dict[str, Any]) -> None:
    app.s3.delete_bucket_encryption(Bucket=request_body["SourceBucket"])
    answer = app.invoke({"Action": "Apply", **request_body})

    assert answer["Status"] == "Configured"
    assert answer["SourceKmsKeyArns"] == []
    assert any("not KMS-encrypted" in warning for warning in answer["Warnings"])


@pytest.mark.parametrize(("change", "named"), [
    ({"Action": "Verify"}, "Verify"),
    ({"Action": "Aply"}, "Action"),
    ({"Prefx": "Tax"}, "Prefx"),
    ({"Priority": "high"}, "Priority"),
    ({"ReplicateExistingObjects": True}, "ReplicateExistingObjects"),
    ({"DestinationAccount": "4444"}, "DestinationAccount"),
    ({"DestinationBucket": "no-such-bucket-here"}, "no-such-bucket-here"),
    ({"SourceBucket": "No_Bucket"}, "SourceBucket"),
    ({"ReplicaKmsKeyArn": f"arn:aws:kms:{REPLICA_REGION}:111122223333:alias/aws/s3"}, "ReplicaKmsKeyArn"),
])
def test_invariant_9_invalid_property_is_named_before_any_change(app: Application, change: dict[str, Any], named: str) -> None:
    request_body = {"Action": "Apply", "SourceBucket": "asked-wrongly", "DestinationBucket": "asked-wrongly-copy",
                    "ReplicaKmsKeyArn": app.replica_key}
    if app.aws.client("s3").list_buckets(Prefix="asked-wrongly")["Buckets"] == []:
        app.aws.create_bucket("asked-wrongly", key=app.source_key)
        app.aws.create_bucket("asked-wrongly-copy", region=REPLICA_REGION)
    before = len(app.calls())
    with pytest.raises(ClientError, match=named):
        app.invoke({**request_body, **change})

    assert writes(app.calls()[before:]) == []
    assert app.versioning("asked-wrongly") is None


@pytest.mark.parametrize("problem", ["disabled", "pending deletion", "for signing", "of the wrong Region"])
def test_invariant_9_replica_key_that_s3_cannot_use_is_refused(app: Application, problem: str) -> None:
    region = REGION if "Region" in problem else REPLICA_REGION
    kind = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"} if problem == "for signing" else {}
    key = app.aws.create_key(region, **kind)
    kms = app.aws.client("kms", region)
    if problem == "disabled":
        kms.disable_key(KeyId=key)
    if problem == "pending deletion":
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    name = f"key-{problem.lower().replace(' ', '-')}"
    source, destination = app.aws.create_bucket(name, key=app.source_key), app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    with pytest.raises(ClientError) as refused:
        app.invoke({"Action": "Apply", "SourceBucket": source, "DestinationBucket": destination, "ReplicaKmsKeyArn": key})

    assert "ReplicaKmsKeyArn" in str(refused.value) or key in str(refused.value)
    assert app.versioning(source) is None
    assert app.replication(source) is None


def test_object_lock_source_requires_a_locked_destination_and_grants_to_read_locks(app: Application) -> None:
    app.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    app.aws.encrypt_bucket("locked", app.source_key)
    app.aws.create_bucket("open-copy", region=REPLICA_REGION)
    app.s3_replica.create_bucket(Bucket="locked-copy", ObjectLockEnabledForBucket=True,
                                 CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
    command = {"Action": "Apply", "SourceBucket": "locked", "ReplicaKmsKeyArn": app.replica_key}
    with pytest.raises(ClientError, match="`locked` has S3 Object Lock and `open-copy` has not"):
        app.invoke({**command, "DestinationBucket": "open-copy"})
    assert app.replication("locked") is None
    assert app.role("s3-crr-locked") is None

    applied = app.invoke({**command, "DestinationBucket": "locked-copy"})
    policy, = app.policies(applied["RoleName"]).values()
    reads = next(statement["Action"] for statement in policy["Statement"] if statement["Sid"] == "SourceObjects")
    assert {"s3:GetObjectRetention", "s3:GetObjectLegalHold"} <= set(reads)
