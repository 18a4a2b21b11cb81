"""Objects of each kind, and their real replicas."""

from __future__ import annotations

import time
from typing import Any

from account import Failed, none_if
from botocore.exceptions import ClientError
from run import Rule, Run

ANNOTATION = "note"
# AWS says that versioning may take so long to be known everywhere. An object that S3 receives before may be FAILED for ever.
SETTLING = 900
NOT_THERE = {"404", "NoSuchKey"}
# What PutObject is given for each kind of object.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {}, "bucket-key": {"BucketKeyEnabled": True}, "no-bucket-key": {"BucketKeyEnabled": False}, "tagged": {"Tagging": "project=x"}}


def step(run: Run) -> str:
    """Puts objects under every rule, and waits for their replicas."""
    if not run.rules:
        raise Failed("there is no rule")
    time.sleep(run.account.seconds(SETTLING, 0))
    written = [(rule, put(run, rule, kind, **arguments)) for rule in run.rules for kind, arguments in KINDS.items()]
    outside = [(rule, put_outside(run, rule)) for rule in run.rules if rule.prefix]
    annotated = annotate(run, written[0][0], written[0][1])
    for rule, key in written:
        expect_replica(run, rule, key)
    for rule, key in outside:
        expect_not_selected(run, rule, key)
    for rule in run.rules:
        expect_delete_marker(run, rule, f"{rule.prefix}tagged")
    if annotated:
        expect_annotation(run, *written[0])
    return f"{len(written)} objects under {len(run.rules)} rules have replicas with the replica key, and {len(run.rules)} deletions arrived"


def put(run: Run, rule: Rule, kind: str, **arguments: Any) -> str:
    """Writes an object with the rule's source key; its key."""
    key = f"{rule.prefix}{kind}"
    run.account.client("s3", rule.home).put_object(
        Bucket=rule.source, Key=key, Body=kind.encode(), ServerSideEncryption="aws:kms", SSEKMSKeyId=rule.source_key, **arguments)
    return key


def put_outside(run: Run, rule: Rule) -> str:
    """Writes an object that the rule's prefix does not select; its key."""
    run.account.client("s3", rule.home).put_object(Bucket=rule.source, Key="outside", Body=b"outside")
    return "outside"


def annotate(run: Run, rule: Rule, key: str) -> bool:
    """Annotates an object, if the installed SDK knows annotations and this is AWS; whether it did."""
    s3 = run.account.client("s3", rule.home)
    if not hasattr(s3, "put_object_annotation"):
        run.left_out.append("annotations: the installed SDK does not know them")
        return False
    if not run.needs_aws("annotations: the emulator has none"):
        return False
    s3.put_object_annotation(Bucket=rule.source, Key=key, AnnotationName=ANNOTATION, AnnotationPayload=b"{}")
    return True


def status(run: Run, rule: Rule, key: str) -> str | None:
    """S3's status of an object that it has decided about; `None` while it is pending."""
    found = run.account.client("s3", rule.home).head_object(Bucket=rule.source, Key=key).get("ReplicationStatus")
    return None if found == "PENDING" else found or ""


def expect_replica(run: Run, rule: Rule, key: str) -> None:
    """Waits until S3 has decided about an object, and looks at the replica: its key, and its tags."""
    decided = run.account.wait(f"the replication of `{key}` of bucket `{rule.source}`", lambda: status(run, rule, key) or None,
                               run.account.seconds(1800, 30))
    if decided != "COMPLETED":
        raise Failed(f"the replication of `{key}` of bucket `{rule.source}` is {decided}")
    here, there = run.account.client("s3", rule.home), run.account.client("s3", rule.abroad)
    replica = there.head_object(Bucket=rule.destination, Key=key)
    if replica.get("ReplicationStatus") != "REPLICA" or replica.get("SSEKMSKeyId") != rule.replica_key:
        found = f"{replica.get('ReplicationStatus')} with key `{replica.get('SSEKMSKeyId')}`"
        raise Failed(f"the replica of `{key}` of bucket `{rule.source}` is {found}")
    tags = [client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] for client, bucket in ((here, rule.source), (there, rule.destination))]
    if tags[0] != tags[1]:
        raise Failed(f"`{key}` of bucket `{rule.source}` has the tags {tags[0]}, and its replica {tags[1]}")


def expect_not_selected(run: Run, rule: Rule, key: str) -> None:
    """An object that no rule selects has no status, and no replica."""
    there = run.account.client("s3", rule.abroad)
    replica = none_if(NOT_THERE, lambda: there.head_object(Bucket=rule.destination, Key=key))
    if status(run, rule, key) or replica:
        raise Failed(f"`{key}` of bucket `{rule.source}` is outside of the rule's prefix, and was replicated")


def expect_delete_marker(run: Run, rule: Rule, key: str) -> None:
    """Deletes an object, and waits until the replica is deleted, too."""
    run.account.client("s3", rule.home).delete_object(Bucket=rule.source, Key=key)
    run.account.wait(f"the delete marker of `{key}` in bucket `{rule.destination}`", lambda: is_deleted(run, rule, key) or None,
                     run.account.seconds(1800, 30))


def is_deleted(run: Run, rule: Rule, key: str) -> bool:
    """Whether a delete marker is on top in the destination."""
    there = run.account.client("s3", rule.abroad)
    return none_if(NOT_THERE, lambda: there.head_object(Bucket=rule.destination, Key=key)) is None


def expect_annotation(run: Run, rule: Rule, key: str) -> None:
    """Waits until the replica has the annotation."""
    there = run.account.client("s3", rule.abroad)

    def found() -> bool | None:
        try:
            return there.get_object_annotation(Bucket=rule.destination, Key=key, AnnotationName=ANNOTATION) is not None
        except ClientError:
            return None

    run.account.wait(f"the annotation of the replica of `{key}`", found, 1800)
