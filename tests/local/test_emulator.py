"""What is added to MiniStack does what the other tests rely on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError as CallFailed
from emulator import callback_faults
from local_aws import ACCOUNT, DESTINATION_ACCOUNT, REGION, REPLICA_REGION, LocalAws

REQUEST = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Replication"}
REPLY = {**REQUEST, "Status": "SUCCESS", "PhysicalResourceId": "bucket/rule"}


def test_a_change_of_a_bucket_raises_an_event_in_the_buckets_region(aws: LocalAws) -> None:
    sqs, events = aws.client("sqs", REPLICA_REGION), aws.client("events", REPLICA_REGION)
    queue = sqs.create_queue(QueueName="observed")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="observed", EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule="observed", Targets=[{"Id": "queue", "Arn": arn}])
    s3 = aws.client("s3", REPLICA_REGION)
    s3.create_bucket(Bucket="observed", CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
    with pytest.raises(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="observed", CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
    s3.put_bucket_tagging(Bucket="observed", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.get_bucket_tagging(Bucket="observed")
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(message["Body"])["detail"] for message in messages]

    assert [(detail["eventName"], detail.get("errorCode")) for detail in details] == [
        ("CreateBucket", None), ("CreateBucket", "BucketAlreadyOwnedByYou"), ("PutBucketTagging", None)]
    assert {(detail["awsRegion"], detail["requestParameters"]["bucketName"]) for detail in details} == {(REPLICA_REGION, "observed")}


@pytest.mark.parametrize(("headers", "change", "fault"), [
    ({}, {}, None),
    ({"content-type": ""}, {"Data": {"RoleArn": "x"}}, None),
    ({"content-type": "application/json"}, {}, "content type"),
    ({}, {"Data": "x" * 4096}, "4096"),
    ({}, {"RequestId": "another"}, "RequestId"),
    ({}, {"Status": "DONE"}, "Status"),
    ({}, {"Status": "FAILED"}, "Reason"),
    ({}, {"Status": "FAILED", "Reason": None}, "null"),
    ({}, {"PhysicalResourceId": ""}, "PhysicalResourceId"),
    ({}, {"PhysicalResourceId": "x" * 1025}, "PhysicalResourceId"),
])
def test_the_callback_takes_only_what_cloudformation_would(headers: dict[str, str], change: dict[str, Any], fault: str | None) -> None:
    faults = "; ".join(callback_faults(REQUEST, headers, json.dumps({**REPLY, **change}).encode()))

    assert fault in faults if fault else faults == ""


def test_the_callback_takes_no_body_that_is_not_json() -> None:
    assert callback_faults(REQUEST, {}, b"hello") == ["body is not JSON"]


TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
TAGS = [{"Key": "ours", "Value": "yes"}]
OURS = {"Null": {"aws:ResourceTag/ours": "false"}}
MADE_OURS = {"Null": {"aws:RequestTag/ours": "false"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["ours"]}}
ROLES = "arn:aws:iam::111122223333:role/own/*"


def user(aws: LocalAws, *statements: dict[str, Any]) -> Callable[[str], Any]:
    """Clients of a new user who may do what the statements say."""
    iam, name = aws.client("iam"), f"tester-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    iam.put_user_policy(UserName=name, PolicyName="tested", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: aws.client(service, REGION, key["AccessKeyId"], key["SecretAccessKey"])


def refused(action: str, call: Callable[..., Any], **arguments: Any) -> None:
    """Checks that a call is refused for the lack of a right to `action`."""
    with pytest.raises(CallFailed, match=f"not authorized to perform: {action}") as refusal:
        call(**arguments)
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


def test_a_role_of_another_path_is_refused(aws: LocalAws) -> None:
    """MiniStack alone would decide about `role/<name>`, whatever its path."""
    own = user(aws, {"Action": "iam:*", "Resource": ROLES})("iam")
    own.create_role(RoleName="inside", Path="/own/", AssumeRolePolicyDocument=TRUST)
    own.delete_role(RoleName="inside")
    aws.client("iam").create_role(RoleName="outside", AssumeRolePolicyDocument=TRUST)
    refused("iam:DeleteRole", own.delete_role, RoleName="outside")
    refused("iam:CreateRole", own.create_role, RoleName="new", AssumeRolePolicyDocument=TRUST)


def test_a_role_is_made_and_changed_only_with_the_tag_that_a_condition_asks_for(aws: LocalAws) -> None:
    own = user(aws, {"Action": ["iam:CreateRole", "iam:TagRole"], "Resource": ROLES, "Condition": MADE_OURS},
               {"Action": "iam:DeleteRole", "Resource": ROLES, "Condition": OURS})("iam")
    role = {"Path": "/own/", "AssumeRolePolicyDocument": TRUST}
    aws.client("iam").create_role(RoleName="untagged", **role)
    refused("iam:DeleteRole", own.delete_role, RoleName="untagged")
    refused("iam:CreateRole", own.create_role, RoleName="new", **role)
    refused("iam:", own.create_role, RoleName="new", Tags=[*TAGS, {"Key": "admin", "Value": "yes"}], **role)
    own.create_role(RoleName="tagged", Tags=TAGS, **role)
    own.delete_role(RoleName="tagged")


def test_tags_of_a_new_role_or_bucket_need_their_own_right(aws: LocalAws) -> None:
    own = user(aws, {"Action": ["iam:CreateRole", "s3:CreateBucket"], "Resource": "*"})
    own("iam").create_role(RoleName="made-without-tags", AssumeRolePolicyDocument=TRUST)
    refused("iam:TagRole", own("iam").create_role, RoleName="new", AssumeRolePolicyDocument=TRUST, Tags=TAGS)
    own("s3").create_bucket(Bucket="made-without-tags")
    refused("s3:TagResource", own("s3").create_bucket, Bucket="new", CreateBucketConfiguration={"Tags": TAGS})


def test_a_bucket_is_made_only_with_the_tag_that_a_condition_asks_for(aws: LocalAws) -> None:
    own = user(aws, {"Action": ["s3:CreateBucket", "s3:TagResource"], "Resource": "*", "Condition": MADE_OURS})("s3")
    refused("s3:CreateBucket", own.create_bucket, Bucket="new")
    own.create_bucket(Bucket="made-with-tags", CreateBucketConfiguration={"Tags": TAGS})


def test_a_role_is_made_and_granted_to_only_within_the_boundary_that_a_condition_asks_for(aws: LocalAws) -> None:
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    grant = {"PolicyName": "new", "PolicyDocument": json.dumps(document)}
    boundary = aws.client("iam").create_policy(PolicyName="tested", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    own = user(aws, {"Action": ["iam:CreateRole", "iam:PutRolePolicy"], "Resource": ROLES, "Condition": condition})("iam")
    role = {"Path": "/own/", "AssumeRolePolicyDocument": TRUST}
    refused("iam:CreateRole", own.create_role, RoleName="new", **role)
    aws.client("iam").create_role(RoleName="unbounded", **role)
    refused("iam:PutRolePolicy", own.put_role_policy, RoleName="unbounded", **grant)
    own.create_role(RoleName="bounded", PermissionsBoundary=boundary, **role)
    own.put_role_policy(RoleName="bounded", **grant)


def test_only_a_role_that_may_be_passed_to_s3_is_put_into_a_replication_configuration(aws: LocalAws) -> None:
    to_s3 = {"StringEquals": {"iam:PassedToService": "s3.amazonaws.com"}}
    own = user(aws, {"Action": "s3:PutReplicationConfiguration", "Resource": "*"},
               {"Action": "iam:PassRole", "Resource": ROLES, "Condition": to_s3})("s3")
    for name in ("passing", "passing-copy"):
        aws.create_bucket(name)
        aws.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::passing-copy"}}

    def put(role: str) -> None:
        own.put_bucket_replication(Bucket="passing", ReplicationConfiguration={
            "Role": f"arn:aws:iam::111122223333:role{role}", "Rules": [rule]})

    refused("iam:PassRole", put, role="/admin")
    put(role="/own/replication")


def test_a_key_of_another_account_is_described_where_its_policy_lets_the_callers_account(aws: LocalAws) -> None:
    theirs = LocalAws(aws.endpoint, aws.folder, DESTINATION_ACCOUNT).client("kms")
    key = theirs.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(CallFailed, match="AccessDenied"):
        aws.client("kms").describe_key(KeyId=key)
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:DescribeKey", "Resource": "*"}
    theirs.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    assert aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
