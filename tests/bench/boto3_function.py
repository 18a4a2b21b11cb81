"""The same task as a conventional function: boto3, one client for each service, sequential calls.

It checks its inputs before it writes, keeps foreign rules, and leaves a bucket unchanged only after it has compared everything. It takes no
lease, so concurrent invocations can lose a rule, and it has none of the function's other features.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import os
from typing import Any

import boto3
import urllib3
from botocore.exceptions import ClientError

ROLE_PATH = "/replication/"
POLICY = json.loads(os.environ["REPLICATION_POLICY"])
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}

s3 = boto3.client("s3")
iam = boto3.client("iam")


@functools.cache
def client_in(region: str, service: str) -> Any:
    return boto3.client(service, region_name=region)


def handler(event: dict[str, Any], _context: Any) -> Any:
    if "RequestType" in event:
        return answer(event)
    bucket = event["detail"]["requestParameters"]["bucketName"]
    rules = [rule for rule in POLICY["Rules"] if any(fnmatch.fnmatch(bucket, name) for name in rule["Match"]["BucketNames"])]
    return {rule["Name"]: apply(rule["Name"], bucket, rule["DestinationBucket"].format(bucket=bucket), rule["ReplicaKmsKeyArn"])
            for rule in rules}


def answer(event: dict[str, Any]) -> None:
    """Handles a request of CloudFormation and sends the response."""
    properties, rule_id = event["ResourceProperties"], event["LogicalResourceId"]
    source = properties["SourceBucket"]
    body = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body |= {"PhysicalResourceId": f"{source}/{rule_id}", "Status": "SUCCESS"}
    try:
        if event["RequestType"] == "Delete":
            remove(rule_id, source)
        else:
            apply(rule_id, source, properties["DestinationBucket"], properties["ReplicaKmsKeyArn"], properties.get("Prefix", ""))
    except Exception as error:
        body |= {"Status": "FAILED", "Reason": str(error)}
    urllib3.PoolManager().request("PUT", event["ResponseURL"], body=json.dumps(body), headers={"Content-Type": ""})


def apply(rule_id: str, source: str, destination: str, replica_key: str, prefix: str = "") -> str:
    region = replica_key.split(":")[3]
    replica_s3 = client_in(region, "s3")
    replica_s3.head_bucket(Bucket=destination)
    key = client_in(region, "kms").describe_key(KeyId=replica_key)["KeyMetadata"]
    if key["KeyState"] != "Enabled":
        raise ValueError(f"{replica_key} is {key['KeyState']}")
    encryption = s3.get_bucket_encryption(Bucket=source)["ServerSideEncryptionConfiguration"]["Rules"][0]
    source_key = encryption["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    current = replication(source)

    role_name = f"replication-{source}"[:64]
    role_arn = f"arn:aws:iam::{key['Arn'].split(':')[4]}:role{ROLE_PATH}{role_name}"
    document = permissions(source, destination, source_key, key["Arn"], prefix)
    others = [rule for rule in current.get("Rules", []) if rule["ID"] != rule_id]
    old = next((rule for rule in current.get("Rules", []) if rule["ID"] == rule_id), None)
    rule = {
        "ID": rule_id, "Status": "Enabled", "Filter": {"Prefix": prefix},
        "Priority": old["Priority"] if old else max((rule["Priority"] for rule in others), default=0) + 1,
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{destination}", "EncryptionConfiguration": {"ReplicaKmsKeyID": key["Arn"]}},
    }
    buckets = [(s3, source), (replica_s3, destination)]
    if current.get("Role") == role_arn and old == rule and is_up_to_date(buckets, role_name, rule_id, document):
        return "unchanged"

    for client, bucket in buckets:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        iam.create_role(RoleName=role_name, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(TRUST))
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=role_name, PolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName=role_name, PolicyName=rule_id, PolicyDocument=json.dumps(document))
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role_arn, "Rules": [*others, rule]})
    return "configured"


def is_up_to_date(buckets: list[tuple[Any, str]], role: str, rule_id: str, document: dict[str, Any]) -> bool:
    if any(client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled" for client, bucket in buckets):
        return False
    try:
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        return trust == TRUST and iam.get_role_policy(RoleName=role, PolicyName=rule_id)["PolicyDocument"] == document
    except iam.exceptions.NoSuchEntityException:
        return False


def remove(rule_id: str, source: str) -> None:
    current = replication(source)
    others = [rule for rule in current.get("Rules", []) if rule["ID"] != rule_id]
    if others:
        s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": current["Role"], "Rules": others})
    elif current:
        s3.delete_bucket_replication(Bucket=source)
    role_name = f"replication-{source}"[:64]
    try:
        iam.delete_role_policy(RoleName=role_name, PolicyName=rule_id)
        iam.delete_role(RoleName=role_name)
    except (iam.exceptions.NoSuchEntityException, iam.exceptions.DeleteConflictException):
        pass  # deleted already, or used by other rules


def replication(bucket: str) -> dict[str, Any]:
    try:
        return s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ReplicationConfigurationNotFoundError":
            return {}
        raise


def permissions(source: str, destination: str, source_key: str, replica_key: str, prefix: str) -> dict[str, Any]:
    objects, replicas = (f"arn:aws:s3:::{bucket}/{prefix}*" for bucket in (source, destination))

    def allow(actions: list[str], resource: str, **condition: Any) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": resource, **condition}

    def through_s3(key: str, bucket: str, objects: str) -> dict[str, Any]:
        return {"Condition": {"StringLike": {"kms:ViaService": f"s3.{key.split(':')[3]}.amazonaws.com",
                                             "kms:EncryptionContext:aws:s3:arn": [f"arn:aws:s3:::{bucket}", objects]}}}

    return {"Version": "2012-10-17", "Statement": [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], f"arn:aws:s3:::{source}"),
        allow(["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"], objects),
        allow(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], replicas),
        allow(["kms:Decrypt"], source_key, **through_s3(source_key, source, objects)),
        allow(["kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"], replica_key, **through_s3(replica_key, destination, replicas)),
    ]}
