"""What the emulator records, and which responses CloudFormation accepts. Does not need MiniStack."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

CALLBACK = "/_ministack/cfn-response/"


@dataclass
class Records:
    """Everything recorded since the start."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    invocations: list[list[str]] = field(default_factory=list)
    # Custom resource requests, by the token in their `ResponseURL`.
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def published(self) -> dict[str, list[Any]]:
        """The records that `GET /_standin/<name>` returns."""
        return {"calls": self.calls, "decisions": self.decisions, "invocations": self.invocations, "replies": self.replies}


RECORDS = Records()


def callback_faults(request: dict[str, Any] | None, headers: dict[str, str], body: bytes) -> list[str]:
    """Every reason for which CloudFormation would reject `body` as the response to `request` (`None`: to any request)."""
    faults = []
    if headers.get("content-type"):
        faults.append(f"content type is `{headers['content-type']}`, not empty")
    if len(body) > 4096:
        faults.append(f"body has {len(body)} bytes, more than 4096")
    try:
        reply = json.loads(body)
    except ValueError:
        return [*faults, "body is not JSON"]
    if not isinstance(reply, dict):
        return [*faults, "body is not an object"]
    return [*faults, *element_faults(request or {}, reply)]


def element_faults(request: dict[str, Any], reply: dict[str, Any]) -> list[str]:
    """The reasons in the elements of a response."""
    faults = [f"`{name}` is null" for name, value in reply.items() if value is None]
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if not reply.get(name) or (request and reply[name] != request[name]):
            faults.append(f"`{name}` is `{reply.get(name)}`, not `{request.get(name, 'that of the request')}`")
    if reply.get("Status") not in ("SUCCESS", "FAILED"):
        faults.append(f"`Status` is `{reply.get('Status')}`")
    if reply.get("Status") == "FAILED" and not reply.get("Reason"):
        faults.append("`Reason` is missing from a failure")
    physical_id = reply.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 1 <= len(physical_id.encode()) <= 1024:
        faults.append(f"`PhysicalResourceId` is `{physical_id}`, not a string of 1 to 1024 bytes")
    return faults
