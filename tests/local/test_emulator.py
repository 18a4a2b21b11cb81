"""The additions to MiniStack behave as the other tests require."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError as AwsError
from local_aws import ACCOUNT, DESTINATION_ACCOUNT, REGION, REPLICA_REGION, LocalAws
from ministack_additions.records import callback_faults

REQUEST = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Replication"}
REPLY = {**REQUEST, "Status": "SUCCESS", "PhysicalResourceId": "bucket/rule"}


def test_bucket_change_raises_an_event_in_the_buckets_region(aws: LocalAws) -> None:
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
def test_callback_accepts_only_what_cloudformation_accepts(headers: dict[str, str], change: dict[str, Any], fault: str | None) -> None:
    faults = "; ".join(callback_faults(REQUEST, headers, json.dumps({**REPLY, **change}).encode()))

    assert fault in faults if fault else faults == ""


def test_callback_rejects_a_body_that_is_not_json() -> None:
    assert callback_faults(REQUEST, {}, b"hello") == ["body is not JSON"]


TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
TAGS = [{"Key": "ours", "Value": "yes"}]
HAS_OUR_TAG = {"Null": {"aws:ResourceTag/ours": "false"}}
TAGGED_AS_OURS = {"Null": {"aws:RequestTag/ours": "false"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["ours"]}}
ROLES = "arn:aws:iam::111122223333:role/own/*"


def user(aws: LocalAws, *statements: dict[str, Any]) -> Callable[[str], Any]:
    """Creates a user with a policy of these statements and returns a factory of the user's clients."""
    iam, name = aws.client("iam"), f"tester-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    iam.put_user_policy(UserName=name, PolicyName="tested", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: aws.client(service, REGION, key["AccessKeyId"], key["SecretAccessKey"])


def assert_denied(action: str, call: Callable[..., Any], **arguments: Any) -> None:
    """Checks that a call is denied because the right to `action` is missing."""
    with pytest.raises(AwsError, match=f"not authorized to perform: {action}") as refusal:
        call(**arguments)
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


def test_role_outside_the_allowed_path_is_denied(aws: LocalAws) -> None:
    """MiniStack alone evaluates `role/<name>`, without the path."""
    client = user(aws, {"Action": "iam:*", "Resource": ROLES})("iam")
    client.create_role(RoleName="inside", Path="/own/", AssumeRolePolicyDocument=TRUST)
    client.delete_role(RoleName="inside")
    aws.client("iam").create_role(RoleName="outside", AssumeRolePolicyDocument=TRUST)
    assert_denied("iam:DeleteRole", client.delete_role, RoleName="outside")
    assert_denied("iam:CreateRole", client.create_role, RoleName="new", AssumeRolePolicyDocument=TRUST)


def test_role_is_created_and_deleted_only_with_the_tag_a_condition_requires(aws: LocalAws) -> None:
    client = user(aws, {"Action": ["iam:CreateRole", "iam:TagRole"], "Resource": ROLES, "Condition": TAGGED_AS_OURS},
                  {"Action": "iam:DeleteRole", "Resource": ROLES, "Condition": HAS_OUR_TAG})("iam")
    role = {"Path": "/own/", "AssumeRolePolicyDocument": TRUST}
    aws.client("iam").create_role(RoleName="untagged", **role)
    assert_denied("iam:DeleteRole", client.delete_role, RoleName="untagged")
    assert_denied("iam:CreateRole", client.create_role, RoleName="new", **role)
    assert_denied("iam:", client.create_role, RoleName="new", Tags=[*TAGS, {"Key": "admin", "Value": "yes"}], **role)
    client.create_role(RoleName="tagged", Tags=TAGS, **role)
    client.delete_role(RoleName="tagged")


def test_creating_a_tagged_role_or_bucket_requires_the_tagging_right(aws: LocalAws) -> None:
    client = user(aws, {"Action": ["iam:CreateRole", "s3:CreateBucket"], "Resource": "*"})
    client("iam").create_role(RoleName="made-without-tags", AssumeRolePolicyDocument=TRUST)
    assert_denied("iam:TagRole", client("iam").create_role, RoleName="new", AssumeRolePolicyDocument=TRUST, Tags=TAGS)
    client("s3").create_bucket(Bucket="made-without-tags")
    assert_denied("s3:TagResource", client("s3").create_bucket, Bucket="new", CreateBucketConfiguration={"Tags": TAGS})


def test_bucket_is_created_only_with_the_tag_a_condition_requires(aws: LocalAws) -> None:
    client = user(aws, {"Action": ["s3:CreateBucket", "s3:TagResource"], "Resource": "*", "Condition": TAGGED_AS_OURS})("s3")
    assert_denied("s3:CreateBucket", client.create_bucket, Bucket="new")
    client.create_bucket(Bucket="made-with-tags", CreateBucketConfiguration={"Tags": TAGS})


def test_role_is_created_and_granted_only_with_the_boundary_a_condition_requires(aws: LocalAws) -> None:
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    grant = {"PolicyName": "new", "PolicyDocument": json.dumps(document)}
    boundary = aws.client("iam").create_policy(PolicyName="tested", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    client = user(aws, {"Action": ["iam:CreateRole", "iam:PutRolePolicy"], "Resource": ROLES, "Condition": condition})("iam")
    role = {"Path": "/own/", "AssumeRolePolicyDocument": TRUST}
    assert_denied("iam:CreateRole", client.create_role, RoleName="new", **role)
    aws.client("iam").create_role(RoleName="unbounded", **role)
    assert_denied("iam:PutRolePolicy", client.put_role_policy, RoleName="unbounded", **grant)
    client.create_role(RoleName="bounded", PermissionsBoundary=boundary, **role)
    client.put_role_policy(RoleName="bounded", **grant)


def test_replication_configuration_accepts_only_a_role_that_may_be_passed_to_s3(aws: LocalAws) -> None:
    to_s3 = {"StringEquals": {"iam:PassedToService": "s3.amazonaws.com"}}
    client = user(aws, {"Action": "s3:PutReplicationConfiguration", "Resource": "*"},
                  {"Action": "iam:PassRole", "Resource": ROLES, "Condition": to_s3})("s3")
    for name in ("passing", "passing-copy"):
        aws.create_bucket(name)
        aws.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::passing-copy"}}

    def put(role: str) -> None:
        client.put_bucket_replication(Bucket="passing", ReplicationConfiguration={
            "Role": f"arn:aws:iam::111122223333:role{role}", "Rules": [rule]})

    assert_denied("iam:PassRole", put, role="/admin")
    put(role="/own/replication")


def test_key_of_another_account_is_described_only_when_its_policy_allows_it(aws: LocalAws) -> None:
    theirs = LocalAws(aws.endpoint, aws.folder, DESTINATION_ACCOUNT).client("kms")
    key = theirs.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(AwsError, match="AccessDenied"):
        aws.client("kms").describe_key(KeyId=key)
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:DescribeKey", "Resource": "*"}
    theirs.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    assert aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
