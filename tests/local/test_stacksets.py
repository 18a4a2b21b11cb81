"""`make artifact`: the template for StackSets, deployed to several accounts and Regions that share code buckets, as StackSets do.

The deployed function is the one that is built for release. The emulator has no StackSets and does not check cross-account access to the code, but it separates accounts and Regions.
"""

from __future__ import annotations

import contextlib
import json

import pytest
from local_aws import REGION, REPLICA_REGION, ROOT, LocalAws, wait_until

ACCOUNTS = ("222233334444", "333344445555")
REGIONS = (REGION, REPLICA_REGION)

pytestmark = pytest.mark.artifact


@pytest.fixture(scope="module")
def template(aws: LocalAws) -> str:
    """The template that `make package` writes."""
    for region in REGIONS:
        aws.create_bucket(f"code-{region}", region)
    aws.run("make", "package", "BUCKET=code", f"REGIONS={' '.join(REGIONS)}", seconds=1500)
    return (ROOT / ".aws-sam" / "stackset.json").read_text()


def test_stack_set_template_meets_the_limits_of_service_managed_stack_sets(template: str) -> None:
    """They reject macros, and templates over 51,200 bytes in a request."""
    document = json.loads(template)

    assert "Transform" not in template
    assert [resource["Type"] for resource in document["Resources"].values() if "Serverless" in resource["Type"]] == []
    assert len(template.encode()) <= 51_200


def test_stack_set_template_refers_to_every_parameter(template: str) -> None:
    """The SAM transform resolves some references. No parameter may be replaced by its default."""
    document = json.loads(template)
    body = json.dumps([document["Resources"], document["Conditions"]])

    assert [name for name in document["Parameters"] if json.dumps({"Ref": name}) not in body and f"${{{name}}}" not in body] == []


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("region", REGIONS)
def test_stack_set_template_replicates_in_every_account_and_region(aws: LocalAws, template: str, account: str, region: str) -> None:
    cloudformation, cloudwatch, s3 = (aws.client(service, region, account) for service in ("cloudformation", "cloudwatch", "s3"))
    topic, bucket = f"arn:aws:sns:{region}:{account}:operations", f"prod-{account}-{region}"
    key = aws.client("kms", region, account).create_key()["KeyMetadata"]["Arn"]
    policy = {"Rules": [{"Name": "dr", "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["*-replica"]},
                         "DestinationBucket": "{bucket}-replica", "CreateDestinationBucket": True, "ReplicaKmsKeyArn": key}]}
    parameters = {"OperationsTopicArn": topic, "ReplicationPolicy": json.dumps(policy), "AllowCreateDestinationBuckets": "true"}
    cloudformation.create_stack(StackName="replication", TemplateBody=template, Capabilities=["CAPABILITY_IAM"], Parameters=[
        {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()])
    stack, = wait_until("the end of the deployment", lambda: [
        stack for stack in cloudformation.describe_stacks(StackName="replication")["Stacks"]
        if not stack["StackStatus"].endswith("IN_PROGRESS")], 120)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs["ServiceToken"].startswith(f"arn:aws:lambda:{region}:{account}:function:")
    assert {tuple(alarm["AlarmActions"]) for alarm in cloudwatch.describe_alarms()["MetricAlarms"]} == {(topic,)}
    assert cloudwatch.get_dashboard(DashboardName=f"replication-{region}")["DashboardBody"]
    place = {} if region == REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **place)

    def role_of_replication() -> str | None:
        with contextlib.suppress(s3.exceptions.ClientError):
            return s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Role"]
        return None

    role = wait_until(f"replication of bucket `{bucket}`", role_of_replication, 60)
    assert role == f"arn:aws:iam::{account}:role/s3-kms-replication/s3-crr-{bucket}"
