"""`Custom::S3KmsReplication` in stacks: create, update, replacement, delete, failure and rollback."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from conftest import FOREIGN_TRUST, RULE_PREFIX, Application
from local_aws import REGION, REPLICA_REGION, ClientError, wait_until
from samples import writes


def buckets(app: Application, name: str) -> dict[str, str]:
    """Creates two buckets and returns the properties that replicate one to the other."""
    source = app.aws.create_bucket(name, key=app.source_key)
    destination = app.aws.create_bucket(f"{name}-copy", region=REPLICA_REGION)
    return {"SourceBucket": source, "DestinationBucket": destination, "ReplicaKmsKeyArn": app.replica_key}


def put(app: Application, bucket: str, name: str) -> None:
    app.s3.put_object(Bucket=bucket, Key=name, Body=b"paid", ServerSideEncryption="aws:kms", SSEKMSKeyId=app.source_key)


def objects(app: Application, bucket: str) -> list[str]:
    return [entry["Key"] for entry in app.s3_replica.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_aws_walkthrough_stack_replicates_only_objects_under_its_prefix(app: Application) -> None:
    properties = {**buckets(app, "source-of-walk-through"), "Prefix": "Tax"}
    source, destination = properties["SourceBucket"], properties["DestinationBucket"]
    template = app.aws.folder / "walk-through.yaml"
    template.write_text(app.template(**properties))
    outputs = app.aws.deploy("walk-through", template)

    rule, = app.rules(source)
    assert rule["Filter"] == {"Prefix": "Tax"}
    assert rule["Status"] == "Enabled"
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert rule["Destination"]["Bucket"] == outputs["DestinationBucketArn"] == f"arn:aws:s3:::{destination}"
    assert rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] == outputs["ReplicaKmsKeyArn"] == app.replica_key
    assert rule["ID"] == outputs["RuleId"]
    assert rule["ID"].startswith(f"{RULE_PREFIX}walk-through-Replication-")
    assert outputs["Ref"] == f"{source}/{rule['ID']}"
    assert outputs["DestinationRegion"] == REPLICA_REGION
    assert app.replication(source)["Role"] == outputs["RoleArn"]
    assert list(app.policies(outputs["RoleName"])) == [rule["ID"]]
    put(app, source, "Tax/2026.txt")
    put(app, source, "notes.txt")
    assert objects(app, destination) == ["Tax/2026.txt"]


def test_stack_with_verify_succeeds_when_the_replica_has_the_replica_key(app: Application) -> None:
    source = app.aws.create_bucket("verified-stack", key=app.source_key)
    created = app.stack("create", "verified", SourceBucket=source, DestinationBucket=f"{source}-copy", CreateDestinationBucket="true",
                        ReplicaKmsKeyArn=app.replica_key, Verify="true")

    assert created["status"] == "CREATE_COMPLETE"
    assert "Versions" not in app.s3.list_object_versions(Bucket=source)


def test_stack_with_verify_fails_and_removes_the_canary_when_the_replica_has_another_key(app: Application) -> None:
    """The emulator sends no Delete after a failed Create, so the rule is not checked here."""
    properties = buckets(app, "refused-stack")
    created = app.stack("create", "refused", Verify="true", **properties)

    assert created["status"] == "ROLLBACK_COMPLETE"
    assert any(f"the source object's key `{app.source_key}`" in reason for reason in created["reasons"])
    assert "Versions" not in app.s3.list_object_versions(Bucket=properties["SourceBucket"])
    assert "Versions" not in app.s3_replica.list_object_versions(Bucket=properties["DestinationBucket"])


def test_second_walkthrough_stack_replicates_the_whole_bucket_with_the_given_keys(app: Application) -> None:
    source = app.aws.create_bucket("src-bkt-101", key=app.source_key)
    destination = app.aws.create_bucket("dest-bkt-101", region=REPLICA_REGION)
    created = app.stack("create", "second-walk-through", SourceBucket=source, DestinationBucket=destination,
                        SourceKmsKeyArns=[app.source_key], ReplicaKmsKeyArn=app.replica_key)

    assert created["status"] == "CREATE_COMPLETE"
    rule, = app.rules(source)
    assert rule["Filter"] == {"Prefix": ""}
    assert app.versioning(source) == app.versioning(destination) == "Enabled"
    assert app.granted_keys(created["outputs"]["RoleName"]) == {app.source_key, app.replica_key}
    put(app, source, "any/thing.txt")
    assert objects(app, destination) == ["any/thing.txt"]


def test_resource_is_created_updated_replaced_and_deleted_with_its_stack(app: Application) -> None:
    properties = buckets(app, "followed")
    created = app.stack("create", "followed", **properties)
    assert created["status"] == "CREATE_COMPLETE"

    elsewhere = app.aws.create_bucket("followed-elsewhere", region=REPLICA_REGION)
    updated = app.stack("update", "followed", **{**properties, "DestinationBucket": elsewhere})
    assert updated["status"] == "UPDATE_COMPLETE"
    assert updated["outputs"]["Ref"] == created["outputs"]["Ref"]
    assert [rule["Destination"]["Bucket"] for rule in app.rules("followed")] == [f"arn:aws:s3:::{elsewhere}"]
    assert app.rules("followed")[0]["Priority"] == 1

    other = app.aws.create_bucket("followed-other-source", key=app.source_key)
    replaced = app.stack("update", "followed", **{**properties, "SourceBucket": other})
    assert replaced["status"] == "UPDATE_COMPLETE"
    assert replaced["outputs"]["Ref"].startswith("followed-other-source/")
    assert len(app.rules(other)) == 1
    assert app.replication("followed") is None
    assert app.role(created["outputs"]["RoleName"]) is None

    deleted = app.stack("delete", "followed")
    assert deleted["status"] == "DELETE_COMPLETE"
    assert app.replication(other) is None
    assert app.role(replaced["outputs"]["RoleName"]) is None
    assert app.versioning(other) == "Enabled"


@pytest.mark.parametrize(("name", "change", "reason"), [
    ("misspelt", {"DestinationBukket": "x"}, "DestinationBukket"),
    ("wrong-region", {"ReplicaKmsKeyArn": "<source key>"}, "ReplicaKmsKeyArn"),
    ("same-bucket", {"DestinationBucket": "failed-same-bucket"}, "DestinationBucket"),
    ("missing", {"DestinationBucket": "nobody-has-this"}, "nobody-has-this"),
])
def test_invariant_5_failed_create_is_answered_with_the_reason_and_rolls_back(
        app: Application, name: str, change: dict[str, str], reason: str) -> None:
    properties = buckets(app, f"failed-{name}")
    changed = {key: value.replace("<source key>", app.source_key) for key, value in change.items()}
    ended = app.stack("create", f"failed-{name}", **{**properties, **changed})

    assert ended["status"] == "ROLLBACK_COMPLETE"
    assert any(reason in text for text in ended["reasons"])
    assert app.replication(properties["SourceBucket"]) is None
    assert app.versioning(properties["SourceBucket"]) is None
    assert app.role(f"s3-crr-failed-{name}") is None


def test_failed_update_rolls_back_to_the_previous_configuration(app: Application) -> None:
    properties = buckets(app, "kept")
    app.stack("create", "kept", **properties)
    before = app.replication("kept")
    ended = app.stack("update", "kept", **{**properties, "ReplicaKmsKeyArn": app.source_key})

    assert ended["status"] == "UPDATE_ROLLBACK_COMPLETE"
    assert any("ReplicaKmsKeyArn" in text for text in ended["reasons"])
    assert app.replication("kept") == before


def delete_event(app: Application, physical_id: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The Delete that CloudFormation sends after a failed Create. The emulator does not send it."""
    return {
        "RequestType": "Delete", "RequestId": physical_id[:8], "LogicalResourceId": "Replication",
        "ResponseURL": f"{app.aws.endpoint}/_ministack/cfn-response/{uuid.uuid4()}",
        "StackId": f"arn:aws:cloudformation:{REGION}:111122223333:stack/gone/0", "PhysicalResourceId": physical_id,
        "ResourceType": "Custom::S3KmsReplication", "ResourceProperties": properties}


@pytest.mark.parametrize("physical_id", [
    "nothing-was-created", "gone-Replication-1ABCDEF", "2026/11/22/[$LATEST]0123", "no-such-bucket/s3-kms-replication.gone"])
def test_invariant_4_delete_of_an_unknown_id_succeeds_and_performs_no_writes(app: Application, physical_id: str) -> None:
    before = len(app.calls())
    app.invoke(delete_event(app, physical_id, {"SourceBucket": "artifacts", "Nonsense": "x"}))
    reply = json.loads(app.aws.recorded("replies")[-1]["Body"])

    assert (reply["Status"], reply["PhysicalResourceId"]) == ("SUCCESS", physical_id)
    assert writes(app.calls()[before:]) == []


def test_invariant_2_foreign_rules_survive_create_and_delete(app: Application) -> None:
    properties = buckets(app, "shared")
    for bucket, client in (("shared", app.s3), ("shared-copy", app.s3_replica)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    foreign = [{
        "ID": name, "Priority": priority, "Status": status, "Filter": rule_filter,
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::shared-copy", "StorageClass": "STANDARD_IA"},
    } for name, priority, status, rule_filter in (
        ("logs", 7, "Enabled", {"Prefix": "logs/"}), ("tagged", 3, "Disabled", {"Tag": {"Key": "keep", "Value": "yes"}}))]
    app.s3.put_bucket_replication(Bucket="shared", ReplicationConfiguration={"Role": app.extendable_role, "Rules": foreign})
    before = app.replication("shared")

    refused = app.stack("create", "shared-refused", **properties)
    assert refused["status"] == "ROLLBACK_COMPLETE"
    assert any(app.extendable_role in text for text in refused["reasons"])
    assert app.replication("shared") == before

    extended = app.stack("create", "shared-extended", ExistingRole="Extend", **properties)
    assert extended["status"] == "CREATE_COMPLETE"
    now = app.replication("shared")
    assert now["Role"] == before["Role"] == extended["outputs"]["RoleArn"]
    assert [rule for rule in now["Rules"] if not rule["ID"].startswith(RULE_PREFIX)] == before["Rules"]
    assert [rule["Priority"] for rule in now["Rules"] if rule["ID"].startswith(RULE_PREFIX)] == [8]
    assert [name.rpartition(".")[0] for name in app.policies("their-replication")] == [extended["outputs"]["RuleId"]]

    assert app.stack("delete", "shared-extended")["status"] == "DELETE_COMPLETE"
    assert app.replication("shared") == before
    assert app.policies("their-replication") == {}
    assert app.role("their-replication")["AssumeRolePolicyDocument"] == FOREIGN_TRUST


def test_invariant_4_role_is_kept_while_a_foreign_rule_uses_it(app: Application) -> None:
    properties = buckets(app, "adopted")
    created = app.stack("create", "adopted", **properties)
    configuration = app.replication("adopted")
    foreign = {"ID": "theirs", "Priority": 9, "Status": "Enabled", "Filter": {"Prefix": "logs/"},
               "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": "arn:aws:s3:::adopted-copy"}}
    app.s3.put_bucket_replication(Bucket="adopted", ReplicationConfiguration={
        **configuration, "Rules": [foreign, *configuration["Rules"]]})

    assert app.stack("delete", "adopted")["status"] == "DELETE_COMPLETE"
    assert app.replication("adopted") == {"Role": created["outputs"]["RoleArn"], "Rules": [foreign]}
    assert app.policies(created["outputs"]["RoleName"]) == {}


def test_invariant_7_response_url_of_another_host_is_refused_and_not_revealed(app: Application) -> None:
    event = delete_event(app, "x", {}) | {"ResponseURL": "https://example.com/secret-signature"}
    with pytest.raises(ClientError, match="ResponseURL") as refused:
        app.invoke(event)

    assert "secret" not in str(refused.value)


def test_two_stacks_of_one_source_bucket_each_remove_only_their_rule(app: Application) -> None:
    first = buckets(app, "twofold")
    second = {**first, "DestinationBucket": app.aws.create_bucket("twofold-second", region=REPLICA_REGION), "Prefix": "second/"}
    one, two = app.stack("create", "twofold-1", **first), app.stack("create", "twofold-2", **second)

    assert one["outputs"]["RoleArn"] == two["outputs"]["RoleArn"]
    assert [rule["Priority"] for rule in app.rules("twofold")] == [1, 2]
    app.stack("delete", "twofold-1")
    assert [rule["ID"] for rule in app.rules("twofold")] == [two["outputs"]["RuleId"]]
    assert list(app.policies(two["outputs"]["RoleName"])) == [two["outputs"]["RuleId"]]
    app.stack("delete", "twofold-2")
    assert app.replication("twofold") is None
    assert app.role(two["outputs"]["RoleName"]) is None


def test_invariant_6_concurrent_stacks_and_events_lose_no_rule_of_one_bucket(app: Application) -> None:
    app.aws.create_bucket("threefold-copy", region=REPLICA_REGION)
    resource = json.loads(app.template(SourceBucket="prod-threefold", DestinationBucket="threefold-copy",
                                       ReplicaKmsKeyArn=app.replica_key))["Resources"]["Replication"]

    def template(*prefixes: str) -> str:
        return json.dumps({"Resources": {f"Replication{prefix}": {**resource, "Properties": {**resource["Properties"], "Prefix": prefix}}
                                         for prefix in prefixes}})

    app.aws.create_bucket("prod-threefold", key=app.source_key)
    app.cloudformation.create_stack(StackName="threefold-1", TemplateBody=template("A", "B"))
    app.cloudformation.create_stack(StackName="threefold-2", TemplateBody=template("C"))
    wait_until("four rules on the bucket", lambda: len(app.rules("prod-threefold")) == 4, 60)
    app.await_idle()

    rules = app.rules("prod-threefold")
    assert sorted(rule["Priority"] for rule in rules) == [1, 2, 3, 4]
    assert {rule["ID"] for rule in rules} == set(app.policies("s3-crr-prod-threefold"))
    for name in ("threefold-1", "threefold-2"):
        app.stack("delete", name)
    rule, = app.rules("prod-threefold")
    assert (rule["ID"], list(app.policies("s3-crr-prod-threefold"))) == ("s3-kms-replication.dr", ["s3-kms-replication.dr"])


def test_replication_alarm_is_created_and_deleted_with_its_rule(app: Application) -> None:
    cloudwatch = app.aws.client("cloudwatch")
    properties = buckets(app, "watched")
    topic = app.aws.client("sns").create_topic(Name="alarms")["TopicArn"]
    created = app.stack("create", "watched", **properties, AlarmTopicArn=topic)
    alarm, = cloudwatch.describe_alarms(AlarmNamePrefix="watched/")["MetricAlarms"]

    assert alarm["AlarmName"] == created["outputs"]["Ref"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/S3", "OperationsFailedReplication", "Sum")
    assert {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]} == {
        "SourceBucket": "watched", "DestinationBucket": "watched-copy", "RuleId": created["outputs"]["RuleId"]}
    assert (alarm["AlarmActions"], alarm["Threshold"], alarm["TreatMissingData"]) == ([topic], 0, "notBreaching")
    app.stack("update", "watched", **properties)
    assert cloudwatch.describe_alarms(AlarmNamePrefix="watched/")["MetricAlarms"] == []
    app.stack("update", "watched", **properties, AlarmTopicArn=topic)
    assert len(cloudwatch.describe_alarms(AlarmNamePrefix="watched/")["MetricAlarms"]) == 1
    app.stack("delete", "watched")
    assert cloudwatch.describe_alarms(AlarmNamePrefix="watched/")["MetricAlarms"] == []
