"""A stand-in for S3 Batch Replication: runs a job that replicates objects whose list S3 generates.

The job copies the current version of each object that its filters select by the bucket's replication rules, as S3 does for a new object. Its
role must trust S3 Batch Operations and have the rights that AWS's page demands; whether S3 could use the keys is not tested. Noncurrent
versions and throttling are missing.

Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-policies.html>.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import eventbridge, iam, s3

NAMESPACE = "http://awss3control.amazonaws.com/doc/2018-08-20/"
SERVICE = "batchoperations.s3.amazonaws.com"
FINAL = {"Cancelled", "Complete", "Failed"}
GENERATOR = "ManifestGenerator/S3JobManifestGenerator"
# Seconds in each of the states `New`, `Preparing` and `Active`: so long that a test can cancel a job.
STATE_SECONDS = 1


@dataclass
class Job:
    """A job and its results."""

    id: str
    account: str
    region: str
    request: ET.Element
    status: str = "New"
    created: float = field(default_factory=time.time)
    succeeded: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:{self.region}:{self.account}:job/{self.id}"

    def element(self, path: str) -> ET.Element | None:
        return self.request.find("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))

    def text(self, path: str) -> str:
        """The text of an element of the request; empty if there is none."""
        found = self.element(path)
        return "" if found is None else found.text or ""

    def texts(self, path: str) -> list[str]:
        """The members of a list of the request."""
        found = self.element(path)
        return [] if found is None else [member.text or "" for member in found]

    def enter(self, status: str) -> None:
        """Changes the state and publishes CloudTrail's event about it, unless the job has ended."""
        if self.status in FINAL:
            return
        self.status = status
        with responses.request_scope(self.account, self.region):
            eventbridge._put_events({"Entries": [{
                "Source": "aws.s3", "DetailType": "AWS Service Event via CloudTrail", "Detail": json.dumps(event_detail(self)),
            }]}, allow_aws_source=True)

    def fail(self, code: str, reason: str) -> None:
        self.failures.append((code, reason))
        self.enter("Failed")


async def run(job: Job) -> None:
    """Takes the job through its states. Another request may cancel it in between."""
    await asyncio.sleep(STATE_SECONDS)
    job.enter("Preparing")
    await asyncio.sleep(STATE_SECONDS)
    with responses.request_scope(job.account, job.region):
        if job.status not in FINAL and (missing := missing_right(job)):
            job.fail("ManifestGenerationFailed", missing)
        job.enter("Active")
        await asyncio.sleep(STATE_SECONDS)
        if job.status not in FINAL:
            failed = [row for key in selected_keys(job) if (row := replicate(job, key))]
            write_report(job, failed)
            job.enter("Complete")


def missing_right(job: Job) -> str | None:
    """The first right that the job lacks before its first object."""
    role = iam._roles.get(job.text("RoleArn").rpartition("/")[2])
    if not role or not trusts_batch_operations(json.loads(role["AssumeRolePolicyDocument"])):
        return f"S3 Batch Operations cannot assume `{job.text('RoleArn')}`"
    source = f"arn:aws:s3:::{source_bucket(job)}"
    needed = [("s3:GetReplicationConfiguration", source), ("s3:PutInventoryConfiguration", source),
              ("s3:PutObject", f"{job.text('Report/Bucket')}/{report_folder(job)}/manifest.json")]
    return next((f"the role may not {action} on {resource}" for action, resource in needed if not is_allowed(job, action, resource)), None)


def trusts_batch_operations(trust: dict[str, Any]) -> bool:
    return any(iam_evaluator._service_principal_matches(statement["Principal"], SERVICE) for statement in trust["Statement"])


def is_allowed(job: Job, action: str, resource: str) -> bool:
    """Whether the policies of the job's role allow a call."""
    role = job.text("RoleArn").rpartition("/")[2]
    call = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{job.account}:assumed-role/{role}/batch", principal_type="AssumedRole",
        principal_account=job.account, action=action, resource_arn=resource, region=job.region)
    return iam_evaluator.evaluate(call, iam_evaluator._gather_role_policies(role, job.account)).decision == "Allow"


def source_bucket(job: Job) -> str:
    return job.text(f"{GENERATOR}/SourceBucket").rpartition(":")[2]


def selected_keys(job: Job) -> list[str]:
    """The keys of the objects that all filters of the job select, in the order of a listing."""
    bucket = source_bucket(job)
    statuses = job.texts(f"{GENERATOR}/Filter/ObjectReplicationStatuses")
    prefixes = tuple(job.texts(f"{GENERATOR}/Filter/KeyNameConstraint/MatchAnyPrefix")) or ("",)
    before = job.text(f"{GENERATOR}/Filter/CreatedBefore") or datetime.now(UTC).isoformat()
    after = job.text(f"{GENERATOR}/Filter/CreatedAfter")

    def is_selected(key: str, obj: dict[str, Any]) -> bool:
        written = moment(obj["last_modified"])
        return (key.startswith(prefixes) and written <= moment(before) and (not after or written >= moment(after))
                and (not statuses or (obj.get("replication_status") or "NONE") in statuses)
                and s3._replication_rule_for(bucket, key, tags_of(bucket, key, obj))[0] is not None)

    return [key for key, obj in sorted(s3._buckets[bucket]["objects"].items()) if is_selected(key, obj)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def tags_of(bucket: str, key: str, obj: dict[str, Any]) -> dict[str, str]:
    return s3._object_tags.get((bucket, key, obj.get("version_id")), {})


def replicate(job: Job, key: str) -> list[str] | None:
    """Replicates one object; the row of the report if that fails."""
    bucket = source_bucket(job)
    obj = s3._buckets[bucket]["objects"][key]
    if is_allowed(job, "s3:InitiateReplication", f"arn:aws:s3:::{bucket}/{key}"):
        copy_by_rules(bucket, key, obj)
        failure = "" if obj["replication_status"] == "COMPLETED" else "DstBucketNotFound"
    else:
        failure = "InitiateReplicationNotPermitted"
    if not failure:
        job.succeeded += 1
        return None
    job.failed += 1
    return [bucket, key, obj.get("version_id") or "", "failed", "403", failure]


def copy_by_rules(bucket: str, key: str, obj: dict[str, Any]) -> None:
    """Replicates the object as if it was written now; the replica has its version id."""
    obj.pop("_replica", None)
    s3._maybe_replicate(bucket, key, obj, s3._read_body(bucket, key, obj), tags_of(bucket, key, obj))
    for version in s3._object_versions.get((bucket, key), []):
        if version["version_id"] == obj.get("version_id"):
            version["replication_status"] = obj["replication_status"]
    if replica := obj.get("_replica"):
        destination, replica_version, account = replica
        with s3._in_account(account):
            for version in s3._object_versions[destination, key]:
                if version["version_id"] == replica_version:
                    version["version_id"] = obj.get("version_id") or replica_version
            s3._buckets[destination]["objects"][key]["version_id"] = obj.get("version_id") or replica_version


def report_folder(job: Job) -> str:
    prefix = job.text("Report/Prefix")
    return f"{prefix}/job-{job.id}" if prefix else f"job-{job.id}"


def write_report(job: Job, failed: list[list[str]]) -> None:
    """Writes the report, which lists the failed objects only."""
    bucket, folder = job.text("Report/Bucket").rpartition(":")[2], report_folder(job)
    results = f"{folder}/results/{uuid.uuid4().hex}.csv"
    rows = io.StringIO()
    csv.writer(rows).writerows(failed)
    manifest = {"Format": "Report_CSV_20180820", "ReportCreationDate": datetime.now(UTC).isoformat(),
                "Results": [{"TaskExecutionStatus": "failed", "Bucket": bucket, "Key": results}] if failed else []}
    s3._put_object(bucket, f"{folder}/manifest.json", json.dumps(manifest).encode(), {})
    if failed:
        s3._put_object(bucket, results, rows.getvalue().encode(), {})


def event_detail(job: Job) -> dict[str, Any]:
    return {
        "eventVersion": "1.05", "userIdentity": {"accountId": job.account, "invokedBy": "s3.amazonaws.com"},
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "eventSource": "s3.amazonaws.com",
        "eventName": "JobStatusChanged", "awsRegion": job.region, "sourceIPAddress": "s3.amazonaws.com", "userAgent": "s3.amazonaws.com",
        "requestParameters": None, "responseElements": None, "eventID": str(uuid.uuid4()), "readOnly": False,
        "eventType": "AwsServiceEvent", "recipientAccountId": job.account,
        "serviceEventDetails": {"jobId": job.id, "jobArn": job.arn, "status": job.status, "jobEventId": uuid.uuid4().hex,
                                "failureCodes": [code for code, _ in job.failures], "statusChangeReason": []},
    }
