"""Replication to another account, with and without a role to assume there, with IAM enforcement on.

The emulator replicates to another account's bucket only if that bucket's policy allows the replication role. So these tests show that
the statement in the bucket policy is correct and necessary. The emulator does not evaluate the key policy.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError as AwsError
from conftest import RULE_PREFIX, Application
from local_aws import ACCOUNT, DESTINATION_ACCOUNT, ROOT, ClientError, LocalAws

EXTERNAL_ID = "of-the-source"
TLS_ONLY = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "maybe"}}}


@dataclass
class Destination:
    """The destination account, with the stack of `examples/destination-account.yaml`."""

    aws: LocalAws
    role: str
    key: str

    def __post_init__(self) -> None:
        self.s3 = self.aws.client("s3")
        self.properties = {"ReplicaKmsKeyArn": self.key, "DestinationRoleArn": self.role, "DestinationRoleExternalId": EXTERNAL_ID}

    def bucket(self, name: str) -> str:
        """Creates a bucket with a foreign bucket policy and returns its name."""
        self.aws.create_bucket(name)
        self.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [TLS_ONLY]}))
        return name

    def statements(self, bucket: str) -> list[dict[str, Any]]:
        """The statements of a bucket policy."""
        try:
            return json.loads(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        except AwsError as error:
            if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
                return []
            raise

    def key_statements(self) -> list[dict[str, Any]]:
        """The statements of the key policy."""
        policy = self.aws.client("kms").get_key_policy(KeyId=self.key, PolicyName="default")["Policy"]
        return json.loads(policy)["Statement"]


@pytest.fixture(scope="module")
def destination(app: Application) -> Destination:
    """Deploys the example stack in the destination account."""
    other = LocalAws(app.aws.endpoint, app.aws.folder, DESTINATION_ACCOUNT)
    bucket = other.create_bucket("artifacts-of-the-destination")
    outputs = other.deploy("destination", ROOT / "examples" / "destination-account.yaml", {
        "FunctionRoleArn": app.outputs["ExecutionRoleArn"], "ExternalId": EXTERNAL_ID}, bucket)
    return Destination(other, outputs["SetupRoleArn"], outputs["ReplicaKeyArn"])


def replication_status(app: Application, destination: Destination, source: str, copy: str) -> str | None:
    """Puts an object and returns its replication status; if it is COMPLETED, checks the replica too."""
    app.s3.put_object(Bucket=source, Key="1.json", Body=b"{}")
    status = app.s3.head_object(Bucket=source, Key="1.json").get("ReplicationStatus")
    if status == "COMPLETED":
        assert destination.s3.head_object(Bucket=copy, Key="1.json")["ReplicationStatus"] == "REPLICA"
    return status


def test_stack_with_destination_role_manages_its_statements_in_the_other_account(app: Application, destination: Destination) -> None:
    source, copy = app.aws.create_bucket("abroad", key=app.source_key), destination.bucket("abroad-replica")
    before = destination.key_statements()
    created = app.stack("create", "abroad", SourceBucket=source, DestinationBucket=copy, ReplicaOwner="Destination",
                        **destination.properties)

    assert created["status"] == "CREATE_COMPLETE", created["reasons"]
    rule, = app.rules(source)
    assert rule["Destination"]["Account"] == DESTINATION_ACCOUNT
    assert rule["Destination"]["AccessControlTranslation"] == {"Owner": "Destination"}
    foreign, own = destination.statements(copy)
    assert foreign == TLS_ONLY
    assert own["Principal"] == {"AWS": created["outputs"]["RoleArn"]}
    assert [statement["Sid"] for statement in destination.key_statements()] == [*(statement["Sid"] for statement in before), own["Sid"]]
    assert destination.s3.get_bucket_versioning(Bucket=copy)["Status"] == "Enabled"
    assert replication_status(app, destination, source, copy) == "COMPLETED"

    destination.s3.put_bucket_policy(Bucket=copy, Policy=json.dumps({"Version": "2012-10-17", "Statement": [TLS_ONLY]}))
    assert replication_status(app, destination, source, copy) == "FAILED"
    properties = {"SourceBucket": source, "DestinationBucket": copy, "ReplicaOwner": "Destination", **destination.properties}
    updated = app.stack("update", "abroad", **properties, StorageClass="STANDARD_IA")
    assert updated["status"] == "UPDATE_COMPLETE", updated["reasons"]
    assert replication_status(app, destination, source, copy) == "COMPLETED"

    deleted = app.stack("delete", "abroad")
    assert deleted["status"] == "DELETE_COMPLETE", deleted["reasons"]
    assert destination.statements(copy) == [TLS_ONLY]
    assert destination.key_statements() == before
    assert app.rules(source) == []
    assert app.role(f"s3-crr-{source}") is None


def test_apply_with_destination_role_creates_and_verifies_a_bucket_in_another_account(app: Application, destination: Destination) -> None:
    source, copy = app.aws.create_bucket("made-abroad", key=app.source_key), "made-abroad-replica"
    request = {"SourceBucket": source, "DestinationBucket": copy, "Name": "abroad", **destination.properties}
    done = app.invoke({"Action": "Apply", "CreateDestinationBucket": True, "Verify": True, **request})

    assert done["Status"] == "Verified"
    assert destination.s3.get_bucket_tagging(Bucket=copy)["TagSet"] == [{"Key": "s3-kms-replication", "Value": source}]
    assert app.invoke({"Action": "Plan", "CreateDestinationBucket": True, **request})["Stages"] == []
    calls = [call for call in destination.aws.recorded("calls") if f":{DESTINATION_ACCOUNT}:assumed-role/" in call["caller"]]
    assert {call["caller"].rpartition("/")[2] for call in calls} >= {source}

    arguments = {name: request[name] for name in ("SourceBucket", "Name", "DestinationRoleArn", "DestinationRoleExternalId")}
    assert app.invoke({"Action": "Verify", **arguments})["Status"] == "Verified"
    assert app.invoke({"Action": "Delete", **arguments})["Status"] == "Removed"
    assert destination.statements(copy) == []
    versions = destination.s3.list_object_versions(Bucket=copy)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


def test_apply_changes_nothing_when_the_destination_role_cannot_be_assumed(app: Application, destination: Destination) -> None:
    source, copy = app.aws.create_bucket("unassumed", key=app.source_key), destination.bucket("unassumed-replica")
    request = {"Action": "Apply", "SourceBucket": source, "DestinationBucket": copy, **destination.properties}
    for change in ({"DestinationRoleExternalId": "of-somebody-else"},
                   {"DestinationRoleArn": f"arn:aws:iam::{DESTINATION_ACCOUNT}:role/of-nobody"}):
        with pytest.raises(ClientError, match="AssumeRole on role .* AccessDenied.* trust policy must allow the caller to assume it; .*`DestinationRoleArns`"):
            app.invoke({**request, **change})
    assert app.rules(source) == []
    assert app.versioning(source) is None
    assert destination.statements(copy) == [TLS_ONLY]


def test_apply_without_destination_role_is_refused_until_the_other_account_adds_the_statements(app: Application, destination: Destination) -> None:
    source, copy = app.aws.create_bucket("by-hand", key=app.source_key), destination.bucket("by-hand-replica")
    request = {"Action": "Apply", "SourceBucket": source, "DestinationBucket": copy, "ReplicaKmsKeyArn": destination.key,
               "DestinationAccount": DESTINATION_ACCOUNT, "Name": "by-hand"}
    with pytest.raises(ClientError, match="cannot be read from this account") as refused:
        app.invoke(request)
    assert app.rules(source) == []

    # Adds the statements that the message contains.
    message = str(refused.value)
    targets = re.finditer("in the policy of (bucket|key)", message)
    statements = [(target[1], json.JSONDecoder().raw_decode(message, message.index("{", target.end()))[0]) for target in targets]
    for_bucket, bucket_read_access = (statement for target, statement in statements if target == "bucket")
    for_key, key_read_access = (statement for target, statement in statements if target == "key")
    kms, before = destination.aws.client("kms"), destination.key_statements()
    destination.s3.put_bucket_policy(Bucket=copy, Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [TLS_ONLY, for_bucket, bucket_read_access]}))
    kms.put_key_policy(KeyId=destination.key, PolicyName="default", Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [*before, for_key, key_read_access]}))
    try:
        with pytest.raises(ClientError, match=f"versioning .* is Off, which only account {DESTINATION_ACCOUNT} can change"):
            app.invoke(request)
        destination.s3.put_bucket_versioning(Bucket=copy, VersioningConfiguration={"Status": "Enabled"})
        done = app.invoke(request)
        assert done["Status"] == "Configured"
        assert "need these statements" in done["Warnings"][0]
        assert replication_status(app, destination, source, copy) == "COMPLETED"
        assert app.invoke({"Action": "Delete", "SourceBucket": source, "Name": "by-hand"})["Status"] == "Removed"
        assert destination.statements(copy) == [TLS_ONLY, for_bucket, bucket_read_access]
    finally:
        kms.put_key_policy(KeyId=destination.key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": before}))


def test_invalid_cross_account_properties_are_refused_before_any_change(app: Application, destination: Destination) -> None:
    source = app.aws.create_bucket("refused-abroad", key=app.source_key)
    request = {"Action": "Apply", "SourceBucket": source, "DestinationBucket": "refused-replica", **destination.properties}
    for change, expected in (
            ({"DestinationAccount": ACCOUNT}, "is a role of account"),
            ({"ReplicaOwner": "Somebody"}, "allowed are Source, Destination"),
            ({}, "`DestinationBucket` `refused-replica` does not exist")):
        with pytest.raises(ClientError, match=expected):
            app.invoke({**request, **change})
    assert not [role for role in app.iam.list_roles()["Roles"] if role["RoleName"].endswith("refused-abroad")]
    assert RULE_PREFIX not in json.dumps(app.rules(source))
