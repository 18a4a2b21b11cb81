"""Commands: what a person asks with `aws lambda invoke`."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Application
from local_aws import REGION, REPLICA_REGION, ClientError


@pytest.fixture
def asked(app: Application, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Two buckets of the test's own, and the request that replicates one to the other."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40]
    source = app.aws.create_bucket(name, key=app.source_key)
    destination = app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    return {"SourceBucket": source, "DestinationBucket": destination, "ReplicaKmsKeyArn": app.replica_key}


def test_plan_tells_what_apply_would_do_and_changes_nothing(app: Application, asked: dict[str, Any]) -> None:
    plan = app.invoke({"Action": "Plan", **asked})

    assert plan["Status"] == "Planned"
    assert plan["RuleId"] == f"s3-kms-replication.{asked['DestinationBucket']}"
    assert plan["SourceKmsKeyArns"] == [app.source_key]
    actions = [{step["Action"] for step in stage} for stage in plan["Stages"]]
    assert actions == [{"PutBucketVersioning", "CreateRole"}, {"PutRolePolicy"}, {"PutBucketReplication"}]
    for word in (asked["SourceBucket"], asked["DestinationBucket"], app.replica_key, "kms:Decrypt"):
        assert word in plan["Text"]
    assert app.replication(asked["SourceBucket"]) is None
    assert app.versioning(asked["SourceBucket"]) is None
    assert app.role(plan["RoleName"]) is None


def test_invariant_3_apply_then_plan_is_empty_and_twice_is_once(app: Application, asked: dict[str, Any]) -> None:
    assert app.invoke({"Action": "Apply", **asked})["Status"] == "Configured"
    configured = app.replication(asked["SourceBucket"])
    before = len(app.calls())
    again = app.invoke({"Action": "Apply", **asked})
    plan = app.invoke({"Action": "Plan", **asked})

    assert (again["Status"], again["Stages"]) == ("Unchanged", [])
    assert plan["Stages"] == []
    assert app.replication(asked["SourceBucket"]) == configured
    verbs = {call["action"].split(":")[1][:3] for call in app.calls()[before:]}
    assert verbs <= {"Get", "Lis", "Des", "Hea"}


def test_invariant_1_the_rule_comes_last_and_goes_first(app: Application, asked: dict[str, Any]) -> None:
    def writes_of(action: str) -> list[str]:
        before = len(app.calls())
        app.invoke({"Action": action, **asked})
        names = [call["action"].split(":")[1] for call in app.calls()[before:]]
        return [name for name in names if not name.startswith(("Get", "List", "Describe", "Head"))]

    assert writes_of("Apply")[-1] == "PutReplicationConfiguration"
    assert writes_of("Delete") == ["PutReplicationConfiguration", "DeleteRolePolicy", "DeleteRole"]


def test_invariant_4_delete_gives_back_what_apply_made_and_nothing_else(app: Application, asked: dict[str, Any]) -> None:
    applied = app.invoke({"Action": "Apply", **asked})
    removed = app.invoke({"Action": "Delete", **asked})

    assert removed["Status"] == "Removed"
    assert app.replication(asked["SourceBucket"]) is None
    assert app.role(applied["RoleName"]) is None
    assert app.versioning(asked["SourceBucket"]) == app.versioning(asked["DestinationBucket"]) == "Enabled"
    assert app.invoke({"Action": "Delete", **asked})["Status"] == "Unchanged"


def test_reconcile_holds_the_policy_against_one_bucket(app: Application) -> None:
    bucket = app.aws.create_bucket("reconciled", key=app.source_key)
    assert "Skipped" in app.invoke({"Action": "Reconcile", "SourceBucket": bucket})
    app.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "archive", "Value": "yes"}]})
    app.settled()
    answer = app.invoke({"Action": "Reconcile", "SourceBucket": bucket})

    assert [(rule["RuleId"], rule["Status"]) for rule in answer["Rules"]] == [("s3-kms-replication.tagged", "Unchanged")]


def canaries(app: Application, *buckets: str) -> list[str]:
    """The keys of all versions and delete markers of canaries in these buckets."""
    found = [client.list_object_versions(Bucket=bucket) for bucket, client in zip(buckets, (app.s3, app.s3_replica), strict=True)]
    versions = [version for listed in found for kind in ("Versions", "DeleteMarkers") for version in listed.get(kind, [])]
    return [version["Key"] for version in versions if ".s3-kms-replication-verify/" in version["Key"]]


def test_verify_sees_an_object_replicated_and_leaves_nothing_of_it(app: Application) -> None:
    source = app.aws.create_bucket("verified", key=app.source_key)
    asked = {"SourceBucket": source, "DestinationBucket": "verified-copy"}
    applied = app.invoke({"Action": "Apply", "ReplicaKmsKeyArn": app.replica_key, "CreateDestinationBucket": True, "Verify": True, **asked})
    verified = app.invoke({"Action": "Verify", **asked})

    assert applied["Status"] == verified["Status"] == "Verified"
    assert canaries(app, source, "verified-copy") == []


def test_verify_refuses_a_replica_with_the_sources_key_and_leaves_nothing_of_it(app: Application, asked: dict[str, Any]) -> None:
    app.invoke({"Action": "Apply", **asked})
    with pytest.raises(ClientError) as refused:
        app.invoke({"Action": "Verify", "SourceBucket": asked["SourceBucket"], "DestinationBucket": asked["DestinationBucket"]})

    assert f"the source object's key `{app.source_key}`, not with the replica key `{app.replica_key}`" in str(refused.value)
    assert canaries(app, asked["SourceBucket"], asked["DestinationBucket"]) == []


def test_an_unencrypted_source_is_replicated_with_a_warning(app: Application, asked: dict[str, Any]) -> None:
    app.s3.delete_bucket_encryption(Bucket=asked["SourceBucket"])
    answer = app.invoke({"Action": "Apply", **asked})

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
def test_invariant_9_what_is_wrong_is_named_before_anything_is_changed(app: Application, change: dict[str, Any], named: str) -> None:
    asked = {"Action": "Apply", "SourceBucket": "asked-wrongly", "DestinationBucket": "asked-wrongly-copy",
             "ReplicaKmsKeyArn": app.replica_key}
    if app.aws.client("s3").list_buckets(Prefix="asked-wrongly")["Buckets"] == []:
        app.aws.create_bucket("asked-wrongly", key=app.source_key)
        app.aws.create_bucket("asked-wrongly-copy", region=REPLICA_REGION)
    before = len(app.calls())
    with pytest.raises(ClientError, match=named):
        app.invoke({**asked, **change})

    assert [call for call in app.calls()[before:] if ":Put" in call["action"] or ":Create" in call["action"]] == []
    assert app.versioning("asked-wrongly") is None


@pytest.mark.parametrize("problem", ["disabled", "pending deletion", "for signing", "of the wrong Region"])
def test_invariant_9_a_key_that_s3_could_not_use_is_refused(app: Application, problem: str) -> None:
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


def test_a_locked_source_needs_a_locked_destination_and_grants_for_its_locks(app: Application) -> None:
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
