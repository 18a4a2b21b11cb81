"""Removes what the record of a run has, whether or not it was made in the end. What is gone already counts as removed.

The stacks with rules go first, while the application can still answer them; then the application, which could otherwise set up again
what is removed after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from account import Account, Failed, none_if
from botocore.exceptions import BotoCoreError, ClientError
from made import APPLICATION, BUCKET, JOB, KEY, ROLE, RULE, RULE_STACK, TAG, TRAIL, prefix
from record import Entry, Record

ORDER = (RULE_STACK, APPLICATION, TRAIL, JOB, ROLE, BUCKET, KEY)
# The tag of the application's roles and of the destination buckets that it creates.
OWNER_TAG = "s3-kms-replication"
DAYS_TO_DELETION = 7
NO_BUCKET = {"NoSuchBucket", "404"}
GONE, DELETE_FAILED = "DELETE_COMPLETE", "DELETE_FAILED"


class Removal:
    """The removal of one run."""

    def __init__(self, account: Account, record: Record) -> None:
        self.account = account
        self.record = record
        if record.facts()["account"] != account.id:
            raise Failed(f"run {record.run} was in another account than these credentials are of")

    def run(self, say: Callable[[str], None]) -> list[str]:
        """Removes everything that remains; the failures. A failure does not keep the rest from being removed."""
        failures = []
        for entry in sorted(self.record.remaining(), key=lambda entry: ORDER.index(entry.kind)):
            say(f"removing {entry.kind} {entry.name} in {entry.region}")
            try:
                self._remove(entry)
            except (Failed, ClientError, BotoCoreError) as failure:
                failures.append(f"{entry.kind} `{entry.name}` in {entry.region}: {failure}")
            else:
                self.record.remove(entry)
        return failures

    def _remove(self, entry: Entry) -> None:
        {RULE_STACK: self._stack, APPLICATION: self._stack, TRAIL: self._trail, JOB: self._job, ROLE: self._role, BUCKET: self._bucket,
         KEY: self._key}[entry.kind](entry)

    def _stack(self, entry: Entry) -> None:
        """A stack with a rule whose deletion has failed keeps its resource at the next try: the application may be gone and answer no more,
        and what it made for the rule is in the record, too."""
        cloudformation = self.account.client("cloudformation", entry.region)

        def status() -> str:
            described = none_if({"ValidationError"}, lambda: cloudformation.describe_stacks(StackName=entry.name))
            return described["Stacks"][0]["StackStatus"] if described else GONE

        before = status()
        if before == GONE:
            return
        keeps = {"RetainResources": [RULE]} if (before, entry.kind) == (DELETE_FAILED, RULE_STACK) else {}
        cloudformation.delete_stack(StackName=entry.name, **keeps)
        ended = self.account.wait("the deletion of the stack", lambda: found if (found := status()) in (GONE, DELETE_FAILED) else None, 1800)
        if ended != GONE:
            raise Failed("the stack could not be deleted; its events say why")

    def _trail(self, entry: Entry) -> None:
        none_if({"TrailNotFoundException"}, lambda: self.account.client("cloudtrail", entry.region).delete_trail(Name=entry.name))

    def _job(self, entry: Entry) -> None:
        """A job that has ended stays in S3's list for 90 days."""
        control = self.account.client("s3control", entry.region)
        job = control.describe_job(AccountId=self.account.id, JobId=entry.name)["Job"]
        if job["Status"] not in ("Cancelled", "Cancelling", "Complete", "Completing", "Failed", "Failing"):
            control.update_job_status(AccountId=self.account.id, JobId=entry.name, RequestedJobStatus="Cancelled")

    def _role(self, entry: Entry) -> None:
        """The application deletes its roles with their rules; this one is of a rule that has no stack, or of a run that was interrupted."""
        iam, gone = self.account.client("iam"), {"NoSuchEntity"}
        role = none_if(gone, lambda: iam.get_role(RoleName=entry.name)["Role"])
        if role is None:
            return
        if role["Path"] != f"/{prefix(self.record.run)}/" or {"Key": OWNER_TAG, "Value": entry.detail["source"]} not in role.get("Tags", []):
            raise Failed("the role is not one of this run: it has another path, or lacks the application's tag")
        for policy in iam.list_role_policies(RoleName=entry.name)["PolicyNames"]:
            none_if(gone, lambda policy=policy: iam.delete_role_policy(RoleName=entry.name, PolicyName=policy))
        none_if(gone, lambda: iam.delete_role(RoleName=entry.name))

    def _bucket(self, entry: Entry) -> None:
        """Replicas may still arrive, so a bucket that was emptied may have objects again."""
        s3 = self.account.client("s3", entry.region)
        owned = {"Bucket": entry.name, "ExpectedBucketOwner": self.account.id}
        if none_if(NO_BUCKET, lambda: s3.head_bucket(**owned)) is None:
            return
        s3.delete_bucket_replication(**owned)
        deadline = time.monotonic() + self.account.seconds(600, 20)
        while True:
            self._empty(s3, owned)
            try:
                none_if(NO_BUCKET, lambda: s3.delete_bucket(**owned))
                return
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketNotEmpty" or time.monotonic() > deadline:
                    raise

    def _empty(self, s3: Any, owned: dict[str, str]) -> None:
        for page in s3.get_paginator("list_object_versions").paginate(**owned):
            found = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in page.get("Versions", []) + page.get("DeleteMarkers", [])]
            if found and (failed := s3.delete_objects(Delete={"Objects": found, "Quiet": True}, **owned).get("Errors")):
                raise Failed(f"{len(failed)} objects could not be deleted, such as {failed[0]}")

    def _key(self, entry: Entry) -> None:
        kms = self.account.client("kms", entry.region)
        ids = [entry.detail["id"]] if "id" in entry.detail else self._tagged_keys(kms, entry)
        for key in ids:
            if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
                kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=DAYS_TO_DELETION)

    def _tagged_keys(self, kms: Any, entry: Entry) -> list[str]:
        """The keys with this entry's tags: the run ended between making the key and noting its id."""
        wanted = [{"TagKey": TAG, "TagValue": self.record.run}, {"TagKey": "Name", "TagValue": f"{prefix(self.record.run)}-{entry.name}"}]
        keys = [key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]]

        def tags(key: str) -> list[dict[str, str]]:
            # The tags of some keys, such as AWS's own, may not be readable; those are not ours.
            return none_if({"AccessDeniedException", "NotFoundException"}, lambda: kms.list_resource_tags(KeyId=key)["Tags"]) or []

        return [key for key in keys if all(tag in tags(key) for tag in wanted)]
