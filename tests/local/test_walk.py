"""Walks over existing buckets: the first configures all, the second writes nothing, and a stopped walk is completed by the next.

`make test` walks 40 buckets, `make scale` 2,000. The buckets are created before the application is deployed, so no event configures
them. The figures are printed at the end.
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
from samples import writes
from walk_figures import WalkFigures, record, transitions

POLICY = {"Rules": [
    POLICY_RULE,
    {"Name": "lost", "Match": {"BucketNames": ["lost-*"]}, "DestinationBucket": "nowhere", "DestinationRegion": REPLICA_REGION,
     "ReplicaKmsKeyArn": POLICY_RULE["ReplicaKmsKeyArn"]},
]}
UNREADABLE = "prod-closed"
PAGE = 250
PAGES = 8
BATCH = 25
ATTEMPTS = 5


@dataclass
class Walk:
    """One execution of the state machine, with the function's invocations and calls."""

    execution: str
    status: str
    output: dict[str, Any] | None
    seconds: float
    invocations: int
    calls: list[dict[str, Any]]
    misconfigured: list[str]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.output.items() if name != "Failures" and not name.startswith("Roles")}

    @property
    def writes(self) -> list[str]:
        return writes(self.calls)


@dataclass
class Account:
    """An account with buckets, and the walks over them."""

    app: Application
    matching: list[str]
    failing: list[str]
    others: list[str]
    walks: dict[str, Walk] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.matching) + len(self.failing) + len(self.others) + 1

    @property
    def page(self) -> int:
        """The page size: a small account has eight pages too, as 2,000 buckets have."""
        return max(1, self.size // PAGES)

    @property
    def batches(self) -> list[int]:
        """The number of batches of each page."""
        pages = [min(self.page, self.size - start) for start in range(0, self.size, self.page)]
        return [-(-page // BATCH) for page in pages]

    @property
    def timeout(self) -> float:
        return 120 + 2 * self.size

    def walk(self, name: str, during: Callable[[str], None] = lambda execution: None, request: str = "{}") -> None:
        """Runs one walk with `request` as its input, and records it under its name."""
        seen, invoked, started = len(self.app.calls()), len(self.app.aws.recorded("invocations")), time.monotonic()
        execution = self.start(request)
        during(execution)
        status, output = self.await_end(execution)
        seconds = time.monotonic() - started
        self.app.await_idle()
        invocations = self.app.aws.recorded("invocations")[invoked:]
        self.walks[name] = Walk(execution, status, output, seconds, invocations.count(["Action", "SourceBuckets"]),
                                self.app.calls()[seen:], self.misconfigured())

    def start(self, request: str = "{}") -> str:
        machine = self.app.outputs["WalkStateMachineArn"]
        return self.app.aws.aws("stepfunctions", "start-execution", "--state-machine-arn", machine, "--input", request)["executionArn"]

    def await_end(self, execution: str) -> tuple[str, dict[str, Any] | None]:
        """Waits for the end of an execution and of all that it started; returns its status and output."""
        states = self.app.aws.client("stepfunctions")

        def end() -> dict[str, Any] | None:
            found = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" or self.count_children(execution, "running") else found

        found = wait_until(f"the end of execution `{execution}`", end, self.timeout)
        return found["status"], json.loads(found["output"]) if found.get("output") else None

    def count_children(self, execution: str, count: str) -> int:
        """The number of an execution's batches in this state, over all pages."""
        states = self.app.aws.client("stepfunctions")
        found = states.list_map_runs(executionArn=execution)["mapRuns"]
        return sum(states.describe_map_run(mapRunArn=run["mapRunArn"])["executionCounts"][count] for run in found)

    def walk_and_stop(self, name: str) -> None:
        """Runs a walk that is stopped half-way, where it waits for another holder's lease on a bucket."""
        stack = self.app.cloudformation.describe_stack_resource(StackName="app", LogicalResourceId="LockTable")
        table, half = stack["StackResourceDetail"]["PhysicalResourceId"], len(self.matching) // 2
        leases, held = self.app.aws.client("dynamodb"), {"BucketName": {"S": self.matching[half]}}
        leases.put_item(TableName=table, Item={**held, "Holder": {"S": "test"}, "ExpiresAt": {"N": str(2**33)}})

        def stop(execution: str) -> None:
            before = (len(self.failing) + len(self.others) + half) // min(self.page, BATCH)
            wait_until("half of the walk", lambda: self.count_children(execution, "succeeded") >= before, self.timeout)
            self.app.aws.aws("stepfunctions", "stop-execution", "--execution-arn", execution)
            leases.delete_item(TableName=table, Key=held)

        self.walk(name, stop)

    def misconfigured(self) -> list[str]:
        """The matching buckets whose rule, role, grants or destination differ from the policy."""
        configured = in_parallel(self.is_configured, self.matching)
        return [bucket for bucket, is_configured in zip(self.matching, configured, strict=True) if not is_configured]

    def is_configured(self, bucket: str) -> bool:
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

    def delete_grants(self) -> None:
        """Deletes the inline policy of every role, which raises no event."""
        in_parallel(lambda bucket: self.app.iam.delete_role_policy(
            RoleName=f"s3-crr-{bucket}", PolicyName=f"{RULE_PREFIX}dr"), self.matching)

    def counted(self, name: str) -> WalkFigures:
        """The figures of a walk that has made or found the roles of all matching buckets, for each of these buckets."""
        walk = self.walks[name]
        return WalkFigures(name, len(self.matching), len(self.app.replication_roles()), len(walk.calls), walk.invocations,
                           transitions(self.app, walk.execution), walk.seconds)

    def figures(self) -> Iterator[str]:
        yield f"{self.size} buckets: {len(self.matching)} match, {len(self.others)} do not, {len(self.failing) + 1} must fail"
        for name, walk in self.walks.items():
            yield f"\n{name}: {walk.status} after {walk.seconds:.0f} s, {walk.counts if walk.output else 'without a result'}"
            yield (f"  {walk.invocations} invocations, {len(walk.calls)} calls, {len(walk.writes)} of them writes; "
                   f"for each bucket that matches {len(walk.calls) / len(self.matching):.1f}")
            calls = Counter(call["action"] for call in walk.calls)
            yield f"  {', '.join(f'{action} {count}' for action, count in sorted(calls.items()))}"


def in_parallel(work: Callable[[str], Any], buckets: Iterable[str]) -> list[Any]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, buckets))


@pytest.fixture(scope="module")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """An account with buckets, after all walks."""
    size = request.config.getoption("--buckets")
    failing = [f"lost-{number:05}" for number in range(max(1, size // 100))]
    others = ["artifacts", *(f"other-{number:05}" for number in range(size // 5 - len(failing) - 2))]
    matching = [f"prod-{number:05}" for number in range(size - len(failing) - len(others) - 1)]
    with local_aws() as aws:
        source_key, replica_key = aws.create_key(), aws.create_key(REPLICA_REGION)
        aws.client("kms", REPLICA_REGION).create_alias(AliasName="alias/dr", TargetKeyId=replica_key)
        s3 = aws.client("s3")
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": source_key}}]}
        in_parallel(lambda bucket: s3.create_bucket(Bucket=bucket), [*failing, *others, *matching, UNREADABLE])
        in_parallel(lambda bucket: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption), matching)
        s3.put_bucket_policy(Bucket=UNREADABLE, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetBucketTagging", "Resource": f"arn:aws:s3:::{UNREADABLE}"}]}))
        outputs = aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", AllowDiagnose="true")
        account = Account(Application(aws, outputs, source_key, replica_key, ""), matching, failing, others)
        set_page_size(account)

        account.walk("first")
        account.walk("second")
        record("Bucket", [account.counted("first"), account.counted("second")])
        account.delete_grants()
        account.walk_and_stop("stopped")
        account.walk("completing")
        suspend_versioning(account, account.matching[0])
        account.walk("diagnosing", request='{"Diagnose": true}')
        account.app.functions.update_function_configuration(FunctionName=account.app.function_name, Timeout=12)
        account.walk("without time")
        break_function(account)
        account.walk("broken")
        yield account
        with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
            print("", *account.figures(), sep="\n")


def suspend_versioning(account: Account, bucket: str) -> None:
    """Suspends versioning of the bucket's destination, so that its replication fails."""
    account.app.s3_replica.put_bucket_versioning(Bucket=f"{bucket}-replica", VersioningConfiguration={"Status": "Suspended"})


def break_function(account: Account) -> None:
    """Lets each invocation end as if a bucket had killed it."""
    name = account.app.function_name
    variables = account.app.functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    account.app.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**variables, "ROLE_SCOPE": "Nonsense"}})


def set_page_size(account: Account) -> None:
    states, machine = account.app.aws.client("stepfunctions"), account.app.outputs["WalkStateMachineArn"]
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    page_argument = f"'MaxBuckets': {PAGE}"
    assert page_argument in definition
    states.update_state_machine(stateMachineArn=machine, definition=definition.replace(page_argument, f"'MaxBuckets': {account.page}"))


def test_walk_configures_every_matching_bucket(account: Account) -> None:
    walk = account.walks["first"]

    assert walk.status == "SUCCEEDED"
    assert walk.misconfigured == []
    assert walk.counts == {"Buckets": account.size, "Changed": len(account.matching), "Unchanged": 0,
                           "Skipped": len(account.others), "Failed": len(account.failing) + 1}


def test_walk_counts_and_lists_failures_and_continues(account: Account) -> None:
    failures = {failure["Bucket"]: failure["Error"] for failure in account.walks["first"].output["Failures"]}

    assert set(failures) == {*account.failing, UNREADABLE}
    assert "GetBucketTagging" in failures.pop(UNREADABLE)
    assert all("nowhere" in error for error in failures.values())


def test_walk_invokes_the_function_once_for_each_batch_also_when_buckets_fail(account: Account) -> None:
    assert account.walks["first"].invocations == sum(account.batches)


def test_walk_enters_a_state_for_each_batch_three_for_each_page_and_four_more(account: Account) -> None:
    """`tests/bench/walk_cost.py` computes with it what a walk costs."""
    expected = sum(account.batches) + 3 * len(account.batches) + 4

    assert [account.counted(walk).transitions for walk in ("first", "second")] == [expected, expected]


def test_walk_tries_again_what_is_not_done_and_loses_no_bucket(account: Account) -> None:
    walk = account.walks["without time"]

    assert walk.invocations == sum(account.batches) + (ATTEMPTS - 1) * account.size
    assert walk.counts == {"Buckets": account.size, "Changed": 0, "Unchanged": 0, "Skipped": 0, "Failed": account.size}
    assert {failure["Error"] for failure in walk.output["Failures"]} == {"too little time was left to begin"}
    assert len(walk.output["Failures"]) == min(account.size, 100)


def test_buckets_of_an_invocation_that_ended_are_tried_again_one_by_one(account: Account) -> None:
    walk = account.walks["broken"]

    assert walk.invocations == sum(account.batches) + account.size
    assert walk.counts == {"Buckets": account.size, "Changed": 0, "Unchanged": 0, "Skipped": 0, "Failed": account.size}
    assert len({failure["Bucket"] for failure in walk.output["Failures"]}) == min(account.size, 100)


@pytest.mark.parametrize("request_", [
    '{"DryRun": true}', '{"diagnose": true}', '{"Diagnose": "true"}', '{"Diagnose": true, "Other": 1}', '[]'])
def test_walk_of_an_input_that_it_does_not_know_changes_nothing_and_fails(account: Account, request_: str) -> None:
    states, invoked = account.app.aws.client("stepfunctions"), len(account.app.aws.recorded("invocations"))
    execution = account.start(request_)

    assert account.await_end(execution)[0] == "FAILED"
    assert "The input may be {}" in states.describe_execution(executionArn=execution)["cause"]
    assert len(account.app.aws.recorded("invocations")) == invoked


def test_walk_says_how_many_roles_are_in_use_and_may_be(account: Account) -> None:
    output = account.walks["first"].output

    assert output["RolesInUse"] >= len(account.matching)
    # The local AWS has the quota, and does not enforce it.
    assert (output["RolesQuota"], output["RolesNeeded"]) == (1_000, 0)


def test_second_walk_performs_no_writes(account: Account) -> None:
    walk = account.walks["second"]

    assert (walk.counts["Changed"], walk.counts["Unchanged"]) == (0, len(account.matching))
    assert walk.calls
    assert walk.writes == []


def test_walk_excludes_buckets_of_other_regions(account: Account) -> None:
    buckets = len(account.app.s3.list_buckets()["Buckets"])

    assert buckets == account.size + len(account.matching)
    assert account.walks["second"].counts["Buckets"] == account.size


def test_walk_processes_pages_with_bounded_concurrency(account: Account) -> None:
    states = account.app.aws.client("stepfunctions")
    runs = states.list_map_runs(executionArn=account.walks["second"].execution)["mapRuns"]
    runs = [states.describe_map_run(mapRunArn=run["mapRunArn"]) for run in runs]

    assert len(runs) == len(account.batches)
    assert {run["maxConcurrency"] for run in runs} == {1}, "five buckets of a batch at once"


def test_next_walk_completes_what_a_stopped_walk_left(account: Account) -> None:
    stopped, completing = account.walks["stopped"], account.walks["completing"]

    assert stopped.status == "ABORTED"
    assert 0 < len(stopped.misconfigured) < len(account.matching)
    assert completing.status == "SUCCEEDED"
    assert completing.misconfigured == []
    assert completing.counts["Changed"] == len(stopped.misconfigured)


def test_invariant_10_diagnosing_walk_counts_verdicts_and_performs_no_writes(account: Account) -> None:
    walk, failing = account.walks["diagnosing"], account.matching[0]

    assert walk.status == "SUCCEEDED"
    assert walk.counts == {"Buckets": account.size, "Works": len(account.matching) - 1, "Fails": 1, "Unknown": 0,
                           "Skipped": len(account.others) + len(account.failing) + 1, "Failed": 0}
    failure, = walk.output["Failures"]
    assert failure["Bucket"] == failing
    assert "ersioning" in failure["Error"]
    assert walk.writes == []


@pytest.mark.parametrize(("policy", "action"), [
    ("walk", "s3:ListAllMyBuckets"), ("walk", "lambda:InvokeFunction"), ("map", "states:StartExecution")])
def test_walk_fails_without_each_action_of_its_role(account: Account, policy: str, action: str) -> None:
    """Except `states:DescribeExecution` and `states:StopExecution` on child executions, which the emulator does not check."""
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
        status, output = account.await_end(account.start())
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    assert len(account.app.aws.recorded("invocations")) == invoked
    assert status == "FAILED" or (action, output["Failed"]) == ("lambda:InvokeFunction", account.size)


def test_schedule_starts_a_walk(account: Account) -> None:
    states, machine = account.app.aws.client("stepfunctions"), account.app.outputs["WalkStateMachineArn"]
    before = len(states.list_executions(stateMachineArn=machine)["executions"])
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 20))
    account.app.aws.deploy_function(POLICY, AllowCreateDestinationBuckets="true", WalkSchedule=f"at({soon})")
    executions = wait_until("a walk that the schedule starts", lambda: states.list_executions(
        stateMachineArn=machine)["executions"][:-before], 90)
    # The walk may have ended already.
    with contextlib.suppress(ClientError):
        account.app.aws.aws("stepfunctions", "stop-execution", "--execution-arn", executions[0]["executionArn"])

    assert len(executions) == 1
