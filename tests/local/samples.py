"""Builders of events, and what the tests count as a write."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from local_aws import ACCOUNT, REGION


def bucket_event(name: str, bucket: str, **detail: object) -> dict[str, Any]:
    """An event in EventBridge's form, for direct invocation."""
    return {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
        "account": ACCOUNT, "time": "2026-11-20T12:19:03Z", "region": REGION, "resources": [],
        "detail": {"eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": REGION,
                   "requestParameters": {"bucketName": bucket}, "recipientAccountId": ACCOUNT, **detail},
    }


def writes(calls: Iterable[dict[str, Any]]) -> list[str]:
    """The actions of the recorded calls that are not reads, in order."""
    actions = (call["action"].split(":")[1] for call in calls)
    return [action for action in actions if not action.startswith(("Get", "List", "Describe", "Head"))]
