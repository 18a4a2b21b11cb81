"""What is added to MiniStack does what the other tests rely on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulator import callback_faults
from local_aws import REGION, REPLICA_REGION, LocalAws

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


def test_a_role_of_another_path_is_refused(aws: LocalAws) -> None:
    """MiniStack alone would decide about `role/<name>`, whatever its path."""
    iam = aws.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_user(UserName="tester")
    iam.put_user_policy(UserName="tester", PolicyName="roles", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:role/own/*"}]}))
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    own = aws.client("iam", REGION, key["AccessKeyId"], key["SecretAccessKey"])
    own.create_role(RoleName="inside", Path="/own/", AssumeRolePolicyDocument=trust)
    own.delete_role(RoleName="inside")
    iam.create_role(RoleName="outside", AssumeRolePolicyDocument=trust)
    for act in (lambda: own.delete_role(RoleName="outside"),
                lambda: own.create_role(RoleName="new", AssumeRolePolicyDocument=trust)):
        with pytest.raises(own.exceptions.ClientError, match="AccessDenied"):
            act()
