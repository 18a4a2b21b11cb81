"""A walk over the buckets that were there before: all are covered, a second walk changes nothing, a stopped one is completed.

`make test` walks 40 buckets, `make scale` 2,000. They are made before the application is deployed, so that no event covers them.
The figures are printed at the end.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import ROLE_PATH, RULE_PREFIX, Application
from local_aws import POLICY_RULE, REPLICA_REGION, ClientError, local_aws, wait_until

POLICY = {"Rules": [
    POLICY_RULE,
    {"Name": "lost", "Match": {"BucketNames": ["lost-*"]}, "DestinationBucket": "nowhere", "DestinationRegion": REPLICA_REGION,
     "ReplicaKmsKeyArn": POLICY_RULE["ReplicaKmsKeyArn"]},
]}
CLOSED = "prod-closed"
PAGE = 250
PAGES = 8
READS = ("Get", "List", "Describe", "Head")


@dataclass
class Walk:
    """One execution of the state machine, and what it made the function do."""

    execution: str
    status: str
    output: dict[str, Any] | None
    seconds: float
    invocations: int
    calls: list[dict[str, Any]]
    uncovered: list[str]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.output.items() if name != "Failures"}

    @property
    def writes(self) -> list[str]:
        return [call["action"] for call in self.calls if not call["action"].split(":")[1].startswith(READS)]


@dataclass
class Account:
    """An account full of buckets, and its walks."""

    app: Application
    matching: list[str]
    lost: list[str]
    others: list[str]
    walks: dict[str, Walk] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.matching) + len(self.lost) + len(self.others) + 1

    @property
    def patience(self) -> float:
        return 120 + 2 * self.size

    def walk(self, name: str, meanwhile: Callable[[str], None] = lambda execution: None) -> None:
        """Walks once, and keeps the walk under its name."""
        seen, invoked, started = len(self.app.calls()), len(self.app.aws.recorded("invocations")), time.monotonic()
        execution = self.start()
        meanwhile(execution)
        status, output = self.ended(execution)
        seconds = time.monotonic() - started
        self.app.settled()
        invocations = self.app.aws.recorded("invocations")[invoked:]
        self.walks[name] = Walk(execution, status, output, seconds, invocations.count(["Action", "SourceBucket"]),
                                self.app.calls()[seen:], self.uncovered())

    def start(self) -> str:
        machine = self.app.outputs["WalkStateMachineArn"]
        return self.app.aws.aws("stepfunctions", "start-execution", "--state-machine-arn", machine)["executionArn"]

    def ended(self, execution: str) -> tuple[str, dict[str, Any] | None]:
        """How an execution ended, and its output when it has one; nothing that it started runs any more."""
        states = self.app.aws.client("stepfunctions")

        def end() -> dict[str, Any] | None:
            found = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" or self.runs(execution, "running") else found

        found = wait_until(f"the end of execution `{execution}`", end, self.patience)
        return found["status"], json.loads(found["output"]) if found.get("output") else None

    def runs(self, execution: str, count: str) -> int:
        """How many buckets of an execution are in this state, over all its pages."""
        states = self.app.aws.client("stepfunctions")
        found = states.list_map_runs(executionArn=execution)["mapRuns"]
        return sum(states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"][count] for run in found)

    def walk_and_stop(self, name: str) -> None:
        """A walk that is stopped half-way: it waits there, since another writer holds the lease on a bucket."""
        stack = self.app.cloudformation.describe_stack_resource(StackName="app", LogicalResourceId="LockTable")
        table, half = stack["StackResourceDetail"]["PhysicalResourceId"], len(self.matching) // 2
        leases, held = self.app.aws.client("dynamodb"), {"BucketName": {"S": self.matching[half]}}
        leases.put_item(TableName=table, Item={**held, "Holder": {"S": "test"}, "ExpiresAt": {"N": str(2**33)}})

        def stop(execution: str) -> None:
            before = len(self.lost) + len(self.others) + half
            wait_until("half of the walk", lambda: self.runs(execution, "succeeded") >= before, self.patience)
            self.app.aws.aws("stepfunctions", "stop-execution", "--execution-arn", execution)
            leases.delete_item(TableName=table, Key=held)

        self.walk(name, stop)

    def uncovered(self) -> list[str]:
        """The matching buckets whose rule, role, grants or destination are not as the policy asks."""
        covered = at_once(self.is_covered, self.matching)
        return [bucket for bucket, is_covered in zip(self.matching, covered, strict=True) if not is_covered]

    def is_covered(self, bucket: str) -> bool:
        configuration, name = self.app.replication(bucket), f"s3-crr-{bucket}"
        role = self.app.role(name)
        if not configuration or not role:
            return False
        rule, = configuration["Rules"]
        return (
            (rule["ID"], rule["Status"]) == (f"{RULE_PREFIX}dr", "Enabled")
            and rule["Destination"]["Bucket"] == f"arn:aws:s3:::{bucket}-replica"
            and rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": self.app.replica_key}
            and (configuration["Role"], role["Path"]) == (role["Arn"], ROLE_PATH)
            and self.app.granted_keys(name) == {self.app.source_key, self.app.replica_key}
            and self.app.versioning(bucket) == self.app.versioning(f"{bucket}-replica") == "Enabled"
        )

    def drift(self) -> None:
        """Takes every role's grants away, of which no event tells."""
        at_once(lambda bucket: self.app.iam.delete_role_policy(
            RoleName=f"s3-crr-{bucket}", PolicyName=f"{RULE_PREFIX}dr"), self.matching)

    def figures(self) -> Iterator[str]:
        yield f"{self.size} buckets: {len(self.matching)} match, {len(self.others)} do not, {len(self.lost) + 1} must fail"
        for name, walk in self.walks.items():
            yield f"\n{name}: {walk.status} after {walk.seconds:.0f} s, {walk.counts if walk.output else 'without a result'}"
            yield (f"  {walk.invocations} invocations, {len(walk.calls)} calls, {len(walk.writes)} of them writes; "
                   f"for each bucket that matches {len(walk.calls) / len(self.matching):.1f}")
            calls = Counter(call["action"] for call in walk.calls)
            yield f"  {', '.join(f'{action} {count}' for action, count in sorted(calls.items()))}"


def at_once(work: Callable[[str], Any], buckets: Iterable[str]) -> list[Any]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, buckets))


@pytest.fixture(scope="module")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """An account with buckets, on which all walks have been made."""
    size = request.config.getoption("--buckets")
    lost = [f"lost-{number:05}" for number in range(max(1, size // 100))]
    others = ["artifacts", *(f"other-{number:05}" for number in range(size // 5 - len(lost) - 2))]
    matching = [f"prod-{number:05}" for number in range(size - len(lost) - len(others) - 1)]
    with local_aws() as aws:
        aws.build()
        source_key, replica_key = aws.create_key(), aws.create_key(REPLICA_REGION)
        aws.client("kms", REPLICA_REGION).create_alias(AliasName="alias/dr", TargetKeyId=replica_key)
        s3 = aws.client("s3")
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": source_key}}]}
        at_once(lambda bucket: s3.create_bucket(Bucket=bucket), [*lost, *others, *matching, CLOSED])
        at_once(lambda bucket: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption), matching)
        s3.put_bucket_policy(Bucket=CLOSED, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetBucketTagging", "Resource": f"arn:aws:s3:::{CLOSED}"}]}))
        outputs = aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true")
        account = Account(Application(aws, outputs, source_key, replica_key, ""), matching, lost, others)
        in_pages_of(account, max(1, size // PAGES))

        account.walk("first")
        account.walk("second")
        account.drift()
        account.walk_and_stop("stopped")
        account.walk("completing")
        yield account
        with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
            print("", *account.figures(), sep="\n")


def in_pages_of(account: Account, page: int) -> None:
    """Makes pages as small as a small account needs to have several: eight, as 2,000 buckets have by themselves."""
    states, machine = account.app.aws.client("stepfunctions"), account.app.outputs["WalkStateMachineArn"]
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    asked = f"'MaxBuckets': {PAGE}"
    assert asked in definition
    states.update_state_machine(stateMachineArn=machine, definition=definition.replace(asked, f"'MaxBuckets': {page}"))


def test_one_walk_covers_every_bucket_that_matches(account: Account) -> None:
    walk = account.walks["first"]

    assert walk.status == "SUCCEEDED"
    assert walk.uncovered == []
    assert walk.counts == {"Buckets": account.size, "Changed": len(account.matching), "Unchanged": 0,
                           "Skipped": len(account.others), "Failed": len(account.lost) + 1}


def test_what_fails_is_counted_and_listed_and_stops_nothing(account: Account) -> None:
    failures = {failure["Bucket"]: failure["Error"] for failure in account.walks["first"].output["Failures"]}

    assert set(failures) == {*account.lost, CLOSED}
    assert "GetBucketTagging" in failures.pop(CLOSED)
    assert all("nowhere" in error for error in failures.values())


def test_only_a_call_that_failed_is_tried_again(account: Account) -> None:
    assert account.walks["first"].invocations == account.size + 4


def test_a_second_walk_changes_nothing(account: Account) -> None:
    walk = account.walks["second"]

    assert (walk.counts["Changed"], walk.counts["Unchanged"]) == (0, len(account.matching))
    assert walk.calls
    assert walk.writes == []


def test_a_walk_leaves_the_buckets_of_other_regions_to_them(account: Account) -> None:
    buckets = len(account.app.s3.list_buckets()["Buckets"])

    assert buckets == account.size + len(account.matching)
    assert account.walks["second"].counts["Buckets"] == account.size


def test_a_walk_goes_by_pages_of_bounded_concurrency(account: Account) -> None:
    states = account.app.aws.client("stepfunctions")
    runs = states.list_map_runs(executionArn=account.walks["second"].execution)["mapRuns"]
    runs = [states.describe_map_run(mapRunArn=run["mapRunArn"]) for run in runs]

    assert len(runs) == PAGES
    assert {run["maxConcurrency"] for run in runs} == {5}


def test_a_walk_that_was_stopped_half_way_is_completed_by_the_next(account: Account) -> None:
    stopped, completing = account.walks["stopped"], account.walks["completing"]

    assert stopped.status == "ABORTED"
    assert 0 < len(stopped.uncovered) < len(account.matching)
    assert completing.status == "SUCCEEDED"
    assert completing.uncovered == []
    assert completing.counts["Changed"] == len(stopped.uncovered)


@pytest.mark.parametrize(("policy", "action"), [
    ("walk", "s3:ListAllMyBuckets"), ("walk", "lambda:InvokeFunction"), ("map", "states:StartExecution")])
def test_a_walk_needs_every_action_of_its_role(account: Account, policy: str, action: str) -> None:
    """But for `states:DescribeExecution` and `states:StopExecution` on children, which AWS asks for and the emulator does not."""
    iam, states = account.app.iam, account.app.aws.client("stepfunctions")
    machine = states.describe_state_machine(stateMachineArn=account.app.outputs["WalkStateMachineArn"])
    role = machine["roleArn"].rpartition("/")[2]
    document = account.app.policies(role)[policy]
    kept = [statement for statement in document["Statement"] if action != statement["Action"]]
    assert len(kept) == len(document["Statement"]) - 1
    without = {**document, "Statement": [*kept, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(without))
    invoked = len(account.app.aws.recorded("invocations"))
    try:
        status, output = account.ended(account.start())
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    assert len(account.app.aws.recorded("invocations")) == invoked
    assert status == "FAILED" or (action, output["Failed"]) == ("lambda:InvokeFunction", account.size)


def test_a_schedule_starts_walks(account: Account) -> None:
    states, machine = account.app.aws.client("stepfunctions"), account.app.outputs["WalkStateMachineArn"]
    before = len(states.list_executions(stateMachineArn=machine)["executions"])
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 20))
    account.app.aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", WalkSchedule=f"at({soon})")
    executions = wait_until("a walk that the schedule starts", lambda: states.list_executions(
        stateMachineArn=machine)["executions"][:-before], 90)
    # Unless it has ended by then.
    with contextlib.suppress(ClientError):
        account.app.aws.aws("stepfunctions", "stop-execution", "--execution-arn", executions[0]["executionArn"])

    assert len(executions) == 1
