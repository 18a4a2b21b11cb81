"""CloudTrail events about changes of buckets."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

from ministack.core import iam_evaluator, responses, router
from ministack.services import eventbridge, iam, s3

# CloudTrail's name of a bucket operation, by method and sub-resource.
EVENT_NAMES = {
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
    ("PUT", "encryption"): "PutBucketEncryption",
    ("DELETE", "encryption"): "DeleteBucketEncryption",
    ("PUT", "tagging"): "PutBucketTagging",
    ("DELETE", "tagging"): "DeleteBucketTagging",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("PUT", "replication"): "PutBucketReplication",
    ("DELETE", "replication"): "DeleteBucketReplication",
}


def user_identity(headers: dict[str, str], query: dict[str, Any]) -> dict[str, Any]:
    """The caller, in the form of an event's `userIdentity`."""
    access_key = router.extract_access_key_id(headers, query)
    caller = iam_evaluator.resolve_caller_identity(access_key) or {"userArn": "", "userId": ""}
    account = responses.get_account_id()
    identity = {"principalId": caller["userId"], "arn": caller["userArn"], "accountId": account}
    if ":assumed-role/" not in caller["userArn"]:
        return {"type": "Root" if caller["userArn"].endswith(":root") else "IAMUser", **identity}
    name = caller["userArn"].split("/")[-2]
    role = iam._roles.get(name) or {"Arn": f"arn:aws:iam::{account}:role/{name}"}
    issuer = {"type": "Role", "arn": role["Arn"], "accountId": account, "userName": name}
    return {"type": "AssumedRole", **identity, "sessionContext": {"sessionIssuer": issuer, "attributes": {}}}


def publish_bucket_event(method: str, path: str, body: bytes, query: dict[str, Any], before: dict[str, Any] | None,
                         response: tuple, identity: dict[str, Any], request_id: str) -> None:
    """Publishes the event of a bucket operation, if CloudTrail has one, in the bucket's Region. `before` is the bucket before it."""
    bucket, _, key = path.strip("/").partition("/")
    subresource = next((name for name in query if name != "x-id"), "")
    event_name = EVENT_NAMES.get((method, subresource))
    if not bucket or key or not event_name:
        return
    region = (before or s3._buckets.get(bucket) or {}).get("region") or responses.get_region()
    parameters: dict[str, Any] = {subresource: ""} if subresource else {}
    if constraint := re.search(rb"<LocationConstraint>([^<]+)</LocationConstraint>", body):
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": constraint.group(1).decode()}
    parameters |= {"bucketName": bucket, "Host": f"{bucket}.s3.{region}.amazonaws.com"}
    account = responses.get_account_id()
    detail = event_detail(event_name, region, account, parameters, identity, request_id)
    status, _, content = response
    if status >= 300:
        code = re.search(rb"<Code>([^<]+)</Code>", content)
        detail["errorCode"] = code.group(1).decode() if code else str(status)
    entry = {"Source": "aws.s3", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(detail)}
    with responses.request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def event_detail(event_name: str, region: str, account: str, parameters: dict[str, Any], identity: dict[str, Any],
                 request_id: str) -> dict[str, Any]:
    return {
        "eventVersion": "1.11", "userIdentity": identity,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "eventSource": "s3.amazonaws.com", "eventName": event_name, "awsRegion": region,
        "sourceIPAddress": "203.0.113.44", "userAgent": "[local]", "requestParameters": parameters,
        "responseElements": None, "requestID": request_id, "eventID": str(uuid.uuid4()), "readOnly": False,
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": account,
        "eventCategory": "Management",
    }
