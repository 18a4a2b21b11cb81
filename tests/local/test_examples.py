"""Deploys and deletes the stacks of `examples/`."""

from __future__ import annotations

from conftest import Application
from local_aws import REGION, ROOT, wait_until

EXAMPLES = ROOT / "examples"


def delete_stack(app: Application, name: str) -> None:
    app.aws.aws("cloudformation", "delete-stack", "--stack-name", name)
    wait_until("the end of the stack", lambda: name not in {
        stack["StackName"] for stack in app.cloudformation.describe_stacks()["Stacks"]}, 90)


def test_replicated_bucket_example_replicates_until_its_stack_is_deleted(app: Application) -> None:
    """The stack retains its buckets and keys. Their versioning and encryption are set by the emulator's CloudFormation."""
    outputs = app.aws.deploy("example", EXAMPLES / "replicated-bucket.yaml", {"ServiceToken": app.outputs["ServiceToken"]})
    source, replica = outputs["SourceBucket"], outputs["ReplicaBucket"]
    resources = {resource["LogicalResourceId"]: resource["PhysicalResourceId"]
                 for resource in app.cloudformation.describe_stack_resources(StackName="example")["StackResources"]}
    keys = {name: app.aws.client("kms").describe_key(KeyId=resources[name])["KeyMetadata"]["Arn"] for name in ("SourceKey", "ReplicaKey")}
    rule, = app.rules(source)

    assert rule["Status"] == "Enabled"
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert rule["Destination"]["Bucket"] == f"arn:aws:s3:::{replica}"
    assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": keys["ReplicaKey"]}
    assert app.replication(source)["Role"] == outputs["ReplicationRoleArn"]
    assert app.granted_keys(f"s3-crr-{source}") == set(keys.values())
    assert app.versioning(source) == app.versioning(replica) == "Enabled"
    app.s3.put_object(Bucket=source, Key="1.json", Body=b"{}")
    assert app.s3.head_object(Bucket=replica, Key="1.json")["ReplicationStatus"] == "REPLICA"

    delete_stack(app, "example")
    assert app.rules(source) == []
    assert app.role(f"s3-crr-{source}") is None
    assert app.region(source) == app.region(replica) == REGION


def test_two_way_example_replicates_in_both_directions(app: Application) -> None:
    """The emulator does not replicate metadata changes, so only the rules are checked for that."""
    outputs = app.aws.deploy("two-way", EXAMPLES / "two-way.yaml", {"ServiceToken": app.outputs["ServiceToken"]})
    first, second = outputs["FirstBucket"], outputs["SecondBucket"]
    for source, destination in ((first, second), (second, first)):
        rule, = app.rules(source)
        assert rule["Destination"]["Bucket"] == f"arn:aws:s3:::{destination}"
        assert rule["SourceSelectionCriteria"] == {
            "SseKmsEncryptedObjects": {"Status": "Enabled"}, "ReplicaModifications": {"Status": "Enabled"}}
        assert len(app.granted_keys(f"s3-crr-{source}")) == 2
        app.s3.put_object(Bucket=source, Key=f"from-{source}", Body=b"{}")
        assert app.s3.head_object(Bucket=destination, Key=f"from-{source}")["ReplicationStatus"] == "REPLICA"

    delete_stack(app, "two-way")
    assert app.rules(first) == app.rules(second) == []
