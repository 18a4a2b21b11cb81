"""Fixtures: one local AWS and one deployed application for all tests. Each test uses buckets of its own."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError as AwsError
from judged_requests import judge, summary
from local_aws import ACCOUNT, DESTINATION_ACCOUNT, POLICY_RULE, REGION, REPLICA_REGION, ClientError, LocalAws, local_aws, wait_until

OWNER_TAG = "s3-kms-replication"
ROLE_PATH = "/s3-kms-replication/"
RULE_PREFIX = "s3-kms-replication."
FOREIGN_TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
POLICY = {"Rules": [
    POLICY_RULE,
    {"Name": "tagged", "Match": {"BucketTags": {"archive": "yes"}}, "DestinationBucket": "{bucket}-archive",
     "CreateDestinationBucket": True, "ReplicaKmsKeyArn": f"arn:aws:kms:{REPLICA_REGION}:{ACCOUNT}:alias/dr"},
]}


@dataclass
class Application:
    """The deployed application, with clients and readers for the resources that it configures."""

    aws: LocalAws
    outputs: dict[str, str]
    source_key: str
    replica_key: str
    extendable_role: str

    def __post_init__(self) -> None:
        self.s3 = self.aws.client("s3")
        self.s3_replica = self.aws.client("s3", REPLICA_REGION)
        self.iam = self.aws.client("iam")
        self.cloudformation = self.aws.client("cloudformation")
        self.functions = self.aws.client("lambda")
        self.function_name = self.outputs["FunctionName"]

    # Buckets

    def versioning(self, bucket: str) -> str | None:
        client = self.s3 if self.region(bucket) == REGION else self.s3_replica
        return client.get_bucket_versioning(Bucket=bucket).get("Status")

    def region(self, bucket: str) -> str:
        return self.s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or REGION

    # Replication, as S3 and IAM return it

    def replication(self, bucket: str) -> dict[str, Any] | None:
        """A bucket's replication configuration, or `None`."""
        try:
            return self.s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
        except AwsError as error:
            if error.response["Error"]["Code"] == "ReplicationConfigurationNotFoundError":
                return None
            raise

    def rules(self, bucket: str) -> list[dict[str, Any]]:
        return (self.replication(bucket) or {"Rules": []})["Rules"]

    def role(self, name: str) -> dict[str, Any] | None:
        """A role, or `None`."""
        try:
            return self.iam.get_role(RoleName=name)["Role"]
        except self.iam.exceptions.NoSuchEntityException:
            return None

    def replication_roles(self) -> list[str]:
        """The names of the roles that the function has made."""
        pages = self.iam.get_paginator("list_roles").paginate()
        return [role["RoleName"] for page in pages for role in page["Roles"] if role["RoleName"].startswith("s3-crr-")]

    def policies(self, role: str) -> dict[str, dict[str, Any]]:
        """The inline policies of a role, by name."""
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}

    def granted_keys(self, role: str) -> set[str]:
        """The KMS keys that a role's inline policies name."""
        return set(re.findall(r"arn:aws:kms:[^\"]+:key/[0-9a-f-]+", json.dumps(self.policies(role))))

    # The function

    def invoke(self, payload: dict[str, Any]) -> Any:
        """Invokes the function and returns its answer; a function's error is raised with its `errorMessage`."""
        result = self.functions.invoke(FunctionName=self.function_name, Payload=json.dumps(payload))
        return answer_or_error(result, result["Payload"].read())

    def invoke_with_cli(self, payload: dict[str, Any]) -> Any:
        """Like `invoke`, with `aws lambda invoke`: the start of the CLI takes half a second of CPU."""
        answer = self.aws.folder / f"{uuid.uuid4()}.json"
        sent = self.aws.folder / f"{uuid.uuid4()}.json"
        sent.write_text(json.dumps(payload))
        result = self.aws.aws("lambda", "invoke", "--function-name", self.function_name,
                              "--payload", f"fileb://{sent}", str(answer))
        return answer_or_error(result, answer.read_bytes())

    def calls(self) -> list[dict[str, Any]]:
        """The calls to S3, IAM and KMS that the function has made so far."""
        caller = self.outputs["ExecutionRoleArn"].rpartition("/")[2]
        return [call for call in self.aws.recorded("calls")
                if f"assumed-role/{caller}/" in call["caller"] and not call["action"].startswith("sts:")]

    def await_idle(self) -> None:
        """Waits until no bucket event is queued or in process."""
        sqs = self.aws.client("sqs")
        counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        wait_until("an empty queue of events", lambda: all(count == "0" for count in sqs.get_queue_attributes(
            QueueUrl=self.outputs["QueueUrl"], AttributeNames=counts)["Attributes"].values()), 60)

    # Stacks with one Custom::S3KmsReplication

    def template(self, **properties: Any) -> str:
        """A template with one custom resource, whose attributes are the outputs."""
        token = {"Fn::ImportValue": "app-ServiceToken"}
        attributes = ("RoleArn", "RoleName", "RuleId", "ReplicaKmsKeyArn", "DestinationBucketArn", "DestinationRegion")
        outputs = {name: {"Value": {"Fn::GetAtt": ["Replication", name]}} for name in attributes}
        resource = {"Type": "Custom::S3KmsReplication",
                    "Properties": {"ServiceToken": token, "ServiceTimeout": 60, **properties}}
        return json.dumps({"Resources": {"Replication": resource},
                           "Outputs": {**outputs, "Ref": {"Value": {"Ref": "Replication"}}}})

    def stack(self, action: str, name: str, **properties: Any) -> dict[str, Any]:
        """Creates, updates or deletes a stack; how it ended, with its outputs and the reasons of failures."""
        arguments = {"TemplateBody": self.template(**properties)} if properties else {}
        stack_id = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"] if action != "create" else None
        call = {"create": self.cloudformation.create_stack, "update": self.cloudformation.update_stack,
                "delete": self.cloudformation.delete_stack}[action]
        answer = call(StackName=name, **arguments)
        stack_id = stack_id or answer["StackId"]

        def ended() -> dict[str, Any] | None:
            stack = self.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        stack = wait_until(f"the end of `{action}` of stack `{name}`", ended, 90)
        events = self.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        reasons = [event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"].endswith("FAILED")]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        return {"status": stack["StackStatus"], "outputs": outputs, "reasons": reasons}


def answer_or_error(result: dict[str, Any], body: bytes) -> Any:
    """The answer of a function; `result` is what Lambda's `Invoke` returned with it."""
    answer = json.loads(body)
    if "FunctionError" in result:
        raise ClientError(answer["errorMessage"])
    return answer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--buckets", type=int, default=40, help="number of buckets of the walk")
    parser.addoption("--slow", action="store_true", help="also run the documents' commands that take minutes")


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """The local AWS, with a bucket for deployments."""
    with local_aws() as running:
        running.create_bucket("artifacts")
        yield running
        judgement = judge("end-to-end tests", running.folder / "requests.jsonl")
        assert judgement["Faults"] == []


@pytest.fixture(scope="session")
def app(aws: LocalAws) -> Application:
    """The application, deployed with the SAM CLI."""
    replica_key = aws.create_key(REPLICA_REGION)
    aws.client("kms", REPLICA_REGION).create_alias(AliasName="alias/dr", TargetKeyId=replica_key)
    role = aws.client("iam").create_role(
        RoleName="their-replication", AssumeRolePolicyDocument=json.dumps(FOREIGN_TRUST))["Role"]["Arn"]
    outputs = aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", AllowVerify="true", AllowReplicateExistingObjects="true",
                                  AllowDiagnose="true", AllowCatchUp="true", AllowReadReplicationStatus="true", ExtendableRoleArns=role,
                                  DestinationRoleArns=f"arn:aws:iam::{DESTINATION_ACCOUNT}:role/*", DestinationAccounts=DESTINATION_ACCOUNT)
    return Application(aws, outputs, aws.create_key(), replica_key, role)


@pytest.fixture(autouse=True)
def every_callback_is_valid(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test in which the function sent CloudFormation an invalid response."""
    yield
    if "app" in request.fixturenames:
        application: Application = request.getfixturevalue("app")
        assert [reply for reply in application.aws.recorded("replies") if reply["Faults"]] == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many requests the oracle has judged."""
    for line in summary():
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Adds the function's log to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed and "app" in getattr(item, "fixturenames", ()):
        report.sections.append(("log of the function", item.funcargs["app"].aws.function_log(call.start)))
    return report
