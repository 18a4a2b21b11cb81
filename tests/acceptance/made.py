"""What a run makes: buckets, keys, a trail and stacks, each noted in the record before it is made.

Everything carries the run's tag, and a name that begins with the run's prefix. What the application makes carries the application's tag.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from account import Account, run_program
from interrupts import Interrupts
from record import Entry, Record

TAG = "s3-kms-replication-acceptance"
APPLICATION = "application"
RULE_STACK = "rule stack"
# The resource in such a stack.
RULE = "Replication"
TRAIL = "trail"
JOB = "job"
ROLE = "role"
BUCKET = "bucket"
KEY = "key"


def prefix(run: str) -> str:
    """What the names of a run begin with."""
    return f"s3kmsacc-{run}"


class Made:
    """Makes things for one run."""

    def __init__(self, account: Account, record: Record, interrupts: Interrupts) -> None:
        self.account = account
        self.record = record
        self.interrupts = interrupts
        self.prefix = prefix(record.run)
        self.tags = [{"Key": TAG, "Value": record.run}]
        # The application may manage only roles under this path, so it cannot touch those of another deployment.
        self.role_path = f"/{self.prefix}/"

    def name(self, part: str) -> str:
        """A name of this run."""
        return f"{self.prefix}-{part}"

    def key(self, region: str, purpose: str) -> str:
        """A KMS key; its ARN. Its id is not known before it is made: should the record lack it, the tags find the key."""
        self.record.add(Entry(KEY, region, purpose))
        kms = self.account.client("kms", region)
        with self.interrupts.held():
            made = kms.create_key(Description=self.name(purpose), Tags=[
                {"TagKey": TAG, "TagValue": self.record.run}, {"TagKey": "Name", "TagValue": self.name(purpose)}])["KeyMetadata"]
            self.record.add(Entry(KEY, region, purpose, {"id": made["KeyId"]}))
        return made["Arn"]

    def bucket(self, region: str, part: str, key: str | None = None) -> str:
        """A bucket, encrypted with the key if there is one; its name."""
        name = self.name(part)
        self.expect_bucket(region, part)
        s3 = self.account.client("s3", region)
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self.interrupts.held():
            s3.create_bucket(Bucket=name, **place)
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": self.tags})
        if key:
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]})
        return name

    def expect_bucket(self, region: str, part: str) -> str:
        """Notes a bucket that is made next, here or by the application; its name."""
        self.record.add(Entry(BUCKET, region, self.name(part)))
        return self.name(part)

    def expect_role(self, source: str) -> None:
        """Notes the role that the application makes for a source bucket."""
        self.record.add(Entry(ROLE, self.account.regions[0], f"s3-crr-{source}", {"source": source}))

    def note_job(self, job: str) -> None:
        """Notes a job of S3 Batch Operations that the application has started."""
        self.record.add(Entry(JOB, self.account.regions[0], job))

    def application_stack(self, region: str) -> str:
        """The name of the application's stack in a Region."""
        return self.name(f"app-{region}")

    def application(self, region: str, template: Path, code_bucket: str, parameters: dict[str, str]) -> dict[str, str]:
        """The application's stack, deployed with the SAM CLI; its outputs."""
        stack = self.application_stack(region)
        self.record.add(Entry(APPLICATION, region, stack))
        values = self.record.folder / f"parameters-{region}.yaml"
        values.write_text(json.dumps(parameters))
        run_program("sam", "deploy", "--stack-name", stack, "--template-file", str(template), "--s3-bucket", code_bucket, "--region", region,
                    "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar", "--tags", f"{TAG}={self.record.run}",
                    "--parameter-overrides", f"file://{values}")
        return self.account.outputs(region, stack)

    def rule_stack(self, region: str, part: str, properties: dict[str, Any]) -> dict[str, Any]:
        """A stack with one `Custom::S3KmsReplication`, once it has ended: `StackStatus`, and the reasons of failures."""
        stack, cloudformation = self.name(part), self.account.client("cloudformation", region)
        self.record.add(Entry(RULE_STACK, region, stack))
        resource = {"Type": "Custom::S3KmsReplication", "Properties": properties}
        with self.interrupts.held():
            cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": {RULE: resource}}), Tags=self.tags)

        def ended() -> dict[str, Any] | None:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            return None if found["StackStatus"].endswith("IN_PROGRESS") else found

        return self.account.wait(f"the end of stack `{stack}`", ended, 900)

    def trail(self, region: str) -> str:
        """A trail of all Regions that records management events, with its bucket; its name."""
        name, bucket = self.name("trail"), self.bucket(region, "trail-log")
        self.account.client("s3", region).put_bucket_policy(Bucket=bucket, Policy=json.dumps(trail_policy(self.account, bucket, region, name)))
        self.record.add(Entry(TRAIL, region, name))
        cloudtrail = self.account.client("cloudtrail", region)
        with self.interrupts.held():
            cloudtrail.create_trail(Name=name, S3BucketName=bucket, IsMultiRegionTrail=True, TagsList=self.tags)
        cloudtrail.start_logging(Name=name)
        return name


def trail_policy(account: Account, bucket: str, region: str, trail: str) -> dict[str, Any]:
    """The bucket policy that CloudTrail needs."""
    arn = f"arn:{account.partition}:s3:::{bucket}"
    service = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": f"arn:{account.partition}:cloudtrail:{region}:{account.id}:trail/{trail}"}
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": arn, "Condition": {"StringEquals": source}},
        {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject", "Resource": f"{arn}/AWSLogs/{account.id}/*",
         "Condition": {"StringEquals": {**source, "s3:x-amz-acl": "bucket-owner-full-control"}}}]}
