"""A stack of version 0.1.0 is updated with the parameters that it has, also where they were as long as 0.1.0 allowed.

Of the template of 0.1.0, the stack has the parameters only: CloudFormation checks these before it looks at any resource.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from local_aws import BUILT_TEMPLATE, LocalAws

PARAMETERS_OF_0_1_0 = yaml.safe_load(Path(__file__).with_name("parameters-0.1.0.yaml").read_text())
ACCOUNT = "555566667777"


def policy(length: int) -> str:
    """A replication policy of this length, with as many quotation marks as possible."""
    def with_names(names: list[str]) -> str:
        match = {"BucketNames": names, "ExcludeBucketNames": ["*-replica"]}
        return json.dumps({"Rules": [{"Name": "dr", "Match": match, "DestinationBucket": "{bucket}-replica",
                                      "ReplicaKmsKeyArn": f"arn:aws:kms:us-west-2:{ACCOUNT}:alias/dr"}]}, separators=(",", ":"))

    shortest = with_names([])
    names = ["a-1"] * ((length - len(shortest)) // len('"a-1",'))
    return with_names(names).ljust(length)


VALUES = {
    "as long as possible": {
        "ReplicationPolicy": policy(3_500), "RolePath": f"/{'p' * 300}/", "RolePermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/{'b' * 128}",
        "DestinationRoleArns": ", ".join(f"arn:aws:iam::444455556666:role/s3-kms-replication-{number}" for number in range(76)),
        "DestinationAccounts": "444455556666, 999988887777", "AllowCreateDestinationBuckets": "true", "AllowVerify": "true",
        "AllowReplicateExistingObjects": "true", "LogRetentionInDays": "30"},
    "with the policy in a parameter": {
        "ReplicationPolicyParameter": "/replication/policy", "ExtendableRoleArns": f"arn:aws:iam::{ACCOUNT}:role/theirs",
        "OperationsTopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:operations", "LogLevel": "s3_kms_replication=debug", "WalkSchedule": "rate(1 day)"},
    "with the defaults": {},
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_update_of_a_stack_of_0_1_0_keeps_its_parameters(aws: LocalAws, values: dict[str, str]) -> None:
    other = LocalAws(aws.endpoint, aws.folder, ACCOUNT)
    cloudformation, stack = other.client("cloudformation"), f"upgraded-{list(VALUES.values()).index(values)}"
    bucket = f"code-of-{stack}"
    other.create_bucket(bucket)
    nothing = {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    cloudformation.create_stack(
        StackName=stack, TemplateBody=json.dumps({"Parameters": PARAMETERS_OF_0_1_0, "Resources": nothing}),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    before = parameters(other, stack)

    outputs = other.deploy(stack, BUILT_TEMPLATE, bucket=bucket)

    after = parameters(other, stack)
    assert {name: after[name] for name in before} == before
    environment = other.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])["Environment"]["Variables"]
    assert environment["ROLE_PATH"] == values.get("RolePath", "/s3-kms-replication/")
    if "ReplicationPolicy" in values:
        stored = other.client("ssm").get_parameter(Name=environment["REPLICATION_POLICY_PARAMETER"])["Parameter"]["Value"]
        assert stored == values["ReplicationPolicy"]
    else:
        assert environment.get("REPLICATION_POLICY_PARAMETER", "") == values.get("ReplicationPolicyParameter", "")


def parameters(aws: LocalAws, stack: str) -> dict[str, str]:
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described["Parameters"]}
