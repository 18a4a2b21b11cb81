"""`tests/acceptance` on the emulator: a whole run, runs that are interrupted, and that nothing of any of them remains."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from local_aws import ACCOUNT, FUNCTION, REGION, REPLICA_REGION, ROOT, LocalAws, local_aws

sys.path.append(str(ROOT / "tests" / "acceptance"))
import measures  # noqa: E402
import report  # noqa: E402
import steps  # noqa: E402
from record import Entry, Record  # noqa: E402
from removal import Removal  # noqa: E402

SCRIPT = ROOT / "tests" / "acceptance" / "acceptance.py"
RUNS = ROOT / "acceptance-runs"
# What lists the resources of each kind that a run makes, in a Region: the service, the operation, the list, and the name.
LISTS = [
    ("s3", "list_buckets", "Buckets", "Name"), ("iam", "list_roles", "Roles", "RoleName"), ("iam", "list_policies", "Policies", "PolicyName"),
    ("cloudtrail", "describe_trails", "trailList", "Name"), ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"), ("sqs", "list_queues", "QueueUrls", None),
    ("dynamodb", "list_tables", "TableNames", None), ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"), ("events", "list_rules", "Rules", "Name"),
    ("ssm", "describe_parameters", "Parameters", "Name"), ("stepfunctions", "list_state_machines", "stateMachines", "name"),
]


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    """An account of its own, with things that are not a run's."""
    with local_aws() as running:
        running.create_bucket("theirs")
        running.create_key()
        yield running


def inventory(aws: LocalAws) -> set[str]:
    """Everything in both Regions that costs something or that another request can see. A key that is to be deleted counts as gone."""
    found = set()
    for region in (REGION, REPLICA_REGION):
        for service, operation, listed, name in LISTS:
            answer = getattr(aws.client(service, region), operation)(**({"Scope": "Local"} if operation == "list_policies" else {}))
            found |= {f"{service} {region} {each[name] if name else each}" for each in answer.get(listed, [])}
        kms, cloudformation = aws.client("kms", region), aws.client("cloudformation", region)
        states = {key["KeyId"]: kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]}
        found |= {f"kms {region} {key}" for key, state in states.items() if state != "PendingDeletion"}
        stacks = cloudformation.list_stacks()["StackSummaries"]
        found |= {f"stack {stack['StackName']}" for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"}
    return found


def without_logs(found: set[str]) -> set[str]:
    """The inventory without log groups. The emulator makes a group again for an invocation that ends after it was deleted; on AWS the function
    has no right to make one."""
    return {each for each in found if not each.startswith("logs ")}


@dataclass
class Script:
    """A running script, and what it has printed."""

    process: subprocess.Popen
    printed: list[str] = field(default_factory=list)

    def read_until(self, text: str) -> str:
        """The line with this text, once it is printed."""
        while line := self.process.stdout.readline():
            self.printed.append(line)
            if text in line:
                return line
        pytest.fail(f"`{text}` was never printed:\n{''.join(self.printed)}")

    def end(self) -> int:
        """Waits for the end; the exit code."""
        self.printed += self.process.stdout.readlines()
        return self.process.wait(timeout=60)

    @property
    def text(self) -> str:
        return "".join(self.printed)

    @property
    def run(self) -> str:
        return re.search(r"Run (\w{8}) makes", self.text)[1]


@contextlib.contextmanager
def started(aws: LocalAws, *arguments: str, answer: str | None = None) -> Iterator[Script]:
    """The script, with its standard error among what it prints; at the end its record is removed."""
    command = [sys.executable, str(SCRIPT), "--package", str(FUNCTION.parent), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=aws.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    script = Script(process)
    try:
        if answer is not None:
            process.stdin.write(answer)
        process.stdin.close()
        yield script
    finally:
        process.kill()
        process.wait()
        if run := re.search(r"Run (\w{8}) makes", script.text):
            shutil.rmtree(RUNS / run[1], ignore_errors=True)
        with contextlib.suppress(OSError):
            RUNS.rmdir()


def test_whole_run_passes_reports_what_needs_aws_and_leaves_nothing(account: LocalAws) -> None:
    before = inventory(account)
    with started(account, "--yes", "--trail") as script:
        code = script.end()
        text = (RUNS / script.run / "report.md").read_text()
        assert Record(script.run).remaining() == []

    assert code == 0, script.text
    assert inventory(account) == before
    results = dict(re.findall(r"^\| ([^|]+) \| (passed|failed|not run) \|", text, re.MULTILINE))
    assert [step for step, result in results.items() if result != "passed"] == ["calls"]
    assert len(results) == 13
    without = dict(re.findall(r"^\| \w+ \| `([\w:]+)` \| (\w+) \| not looked at \| not known \|$", text, re.MULTILINE))
    assert len(without) >= 11
    assert [action for action, verdict in without.items() if verdict != "Fails"] == ["s3:GetObjectVersionAnnotationForReplication"]
    left_out = text.partition("### Not looked at")[2]
    for part in ("annotations", "grants", "cold starts", "calls"):
        assert f"\n- {part}: " in left_out
    assert "| KMS | only AWS can tell; steps: objects, verify, grants |" in text
    assert ACCOUNT not in text


@pytest.mark.parametrize(("line", "delay"), [
    ("step deploy", 0.1), ("step deploy", 4), ("step event", 0.5), ("step custom resource", 0.5), ("step existing objects", 1),
    ("without s3:GetReplicationConfiguration", 0)])
def test_interrupted_run_leaves_nothing(account: LocalAws, line: str, delay: float) -> None:
    before = inventory(account)
    with started(account, "--yes") as script:
        script.read_until(line)
        time.sleep(delay)
        script.process.send_signal(signal.SIGINT)
        assert script.end() == 130, script.text
        assert Record(script.run).remaining() == []

    assert "interrupted" in script.text
    assert without_logs(inventory(account)) == without_logs(before), script.text


def test_interrupted_removal_is_finished_from_the_record_and_leaves_what_the_run_did_not_make(account: LocalAws) -> None:
    before = inventory(account)
    with started(account, "--yes") as script:
        script.read_until("step event in")
        foreign = account.create_bucket(f"s3kmsacc-{script.run}-foreign")
        script.process.send_signal(signal.SIGTERM)
        for expected in ("removing", "still removing", "not everything was removed"):
            script.read_until(expected)
            if expected != "not everything was removed":
                script.process.send_signal(signal.SIGINT)
        assert script.end() == 130
        assert f"make acceptance-clean RUN={script.run}" in script.text
        assert Record(script.run).remaining() != []

        with started(account, "--clean", script.run) as cleaning:
            assert cleaning.end() == 0, cleaning.text
        with started(account, "--clean", script.run) as cleaning:
            assert cleaning.end() == 0
            assert "removing" not in cleaning.text
    assert without_logs(inventory(account)) == without_logs(before) | {f"s3 {region} {foreign}" for region in (REGION, REPLICA_REGION)}
    account.client("s3").delete_bucket(Bucket=foreign)


def test_key_whose_id_was_not_noted_is_found_by_the_tags_of_its_run(account: LocalAws) -> None:
    before, run = inventory(account), "0123abcd"
    record = Record.start(run, {"account": ACCOUNT, "regions": [REGION, REPLICA_REGION]})
    record.add(Entry("key", REGION, "source"))
    kms = account.client("kms")
    for name in ("source", "other"):
        tags = {"s3-kms-replication-acceptance": run, "Name": f"s3kmsacc-{run}-{name}"}
        kms.create_key(Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()])
    try:
        with started(account, "--clean", run) as script:
            assert script.end() == 0, script.text
    finally:
        shutil.rmtree(record.folder)
    assert len(inventory(account) - before) == 1


@pytest.mark.parametrize(("arguments", "answer", "code", "shown"), [
    ([], "n\n", 2, "costs less than one US dollar"),
    ([], "", 2, "Go on? [y/N]"),
    (["--yes", "--regions", REGION, REGION], "", 1, "the two Regions must differ"),
    (["--yes", "--program", "nowhere"], "", 1, "`nowhere` does not exist"),
    (["--clean", "01234567"], "", 1, "there is no run `01234567`"),
    (["--clean", "../.."], "", 1, "eight hexadecimal digits"),
    (["--clean", ""], "", 1, "eight hexadecimal digits"),
])
def test_refused_run_makes_nothing(account: LocalAws, arguments: list[str], answer: str, code: int, shown: str) -> None:
    before = inventory(account)
    with started(account, *arguments, answer=answer) as script:
        assert script.end() == code, script.text
    assert shown in script.text
    assert inventory(account) == before


def test_run_beside_a_deployed_application_or_from_another_account_is_refused(account: LocalAws) -> None:
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="theirs", TemplateBody="""{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Token": {"Value": "x", "Export": {"Name": "theirs-ServiceToken"}}}}""")
    with started(account, "--yes") as script:
        assert script.end() == 1
    cloudformation.delete_stack(StackName="theirs")
    assert f"deployed in {REGION} already (export `theirs-ServiceToken`)" in script.text

    record = Record.start("0123abce", {"account": "999988887777", "regions": [REGION, REPLICA_REGION]})
    try:
        with started(account, "--clean", record.run) as script:
            assert script.end() == 1
    finally:
        shutil.rmtree(record.folder)
    assert "another account" in script.text


def test_claims_of_the_report_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    proven = page.partition("## What is not proven")[2].partition("\n## ")[0]
    areas = [area for area in re.findall(r"^\| ([^|]+) \|", proven, re.MULTILINE) if area not in ("area", "---")]
    assumed = re.findall(r"^- (.*)$", page.partition("## What is assumed of AWS")[2].partition("\n## ")[0], re.MULTILINE)
    claims = list(report.CLAIMS)

    assert claims[:len(areas)] == areas
    assert len(claims) == len(areas) + len(assumed)
    assert [line for line in assumed if not any(line.startswith(claim) for claim in claims[len(areas):])] == []
    assert {step for settling in report.CLAIMS.values() for step in settling} <= {"deploy", *(name for name, _ in steps.STEPS)}


class FailingStacks:
    """CloudFormation with one stack, whose first deletion fails, and the next, too, unless it keeps the rule's resource."""

    def __init__(self) -> None:
        self.status = "CREATE_COMPLETE"

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": self.status}]}

    def delete_stack(self, StackName: str, RetainResources: list[str] | None = None) -> None:
        self.status = "DELETE_COMPLETE" if RetainResources == ["Replication"] and self.status == "DELETE_FAILED" else "DELETE_FAILED"


def test_stack_whose_application_no_longer_answers_is_removed_at_the_second_try(tmp_path: Path) -> None:
    stacks = FailingStacks()
    account = SimpleNamespace(id=ACCOUNT, client=lambda *_: stacks, wait=lambda what, probe, seconds: probe())
    record = Record.start("0123abcd", {"account": ACCOUNT}, tmp_path)
    record.add(Entry("rule stack", REGION, "s3kmsacc-0123abcd-resource"))

    assert len(Removal(account, record).run(lambda _: None)) == 1
    assert len(record.remaining()) == 1
    assert Removal(account, record).run(lambda _: None) == []
    assert record.remaining() == []


def test_measures_are_read_from_reports_of_lambda() -> None:
    """The lines as AWS's page "Using CloudWatch Logs with Lambda" has them."""
    cold = "REPORT RequestId: 8f5\tDuration: 55.42 ms\tBilled Duration: 164 ms\tMemory Size: 256 MB\tMax Memory Used: 39 MB\tInit Duration: 108.05 ms\t\n"
    warm = "REPORT RequestId: 8f6\tDuration: 12.00 ms\tBilled Duration: 12 ms\tMemory Size: 256 MB\tMax Memory Used: 40 MB\t\n"

    assert measures.fields([cold, warm]) == {"Duration": [55.42, 12.0], "Max Memory Used": [39.0, 40.0], "Init Duration": [108.05]}


def test_record_knows_what_remains_and_the_latest_detail(tmp_path: Path) -> None:
    record = Record.start("0123abcd", {"account": ACCOUNT}, tmp_path)
    bucket, key = Entry("bucket", REGION, "a"), Entry("key", REGION, "source")
    for entry in (bucket, key, Entry("key", REGION, "source", {"id": "1"})):
        record.add(entry)
    record.remove(bucket)

    remaining: list[Any] = Record("0123abcd", tmp_path).remaining()
    assert remaining == [key]
    assert remaining[0].detail == {"id": "1"}
    assert record.facts() == {"account": ACCOUNT}
