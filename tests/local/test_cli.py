"""The command-line program: what a person sees and gets, each test in an account of its own."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError as CallFailed
from conftest import Application
from local_aws import ACCOUNT, REGION, REPLICA_REGION, ROOT, LocalAws

PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"
SCREENS = Path(__file__).with_name("screens")
READS = ("Get", "List", "Describe", "Head")


class Person:
    """Somebody at a terminal, with an account that has two keys, a source bucket and a destination."""

    def __init__(self, aws: LocalAws, account: str) -> None:
        self.aws = LocalAws(aws.endpoint, aws.folder, account)
        self.source_key, self.replica_key = self.aws.create_key(), self.aws.create_key(REPLICA_REGION)
        self.source = self.aws.create_bucket(f"orders-{account}", key=self.source_key)
        self.destination = self.aws.create_bucket(f"copy-{account}", region=REPLICA_REGION)
        self.rule = ["--source-bucket", self.source, "--destination-bucket", self.destination]
        self.asked = [*self.rule, "--replica-kms-key-arn", self.replica_key]
        self.held = Application(self.aws, {"FunctionName": ""}, self.source_key, self.replica_key, "")

    def environment(self, **changes: str | None) -> dict[str, str]:
        # What decides about colours where the tests run is nothing to this person.
        changed = {**self.aws.environment, "TERM": "xterm-256color", "CI": None, "NO_COLOR": None, **changes}
        return {name: value for name, value in changed.items() if value is not None}

    def start(self, *arguments: str, **changes: str | None) -> subprocess.Popen:
        return subprocess.Popen([PROGRAM, *arguments], env=self.environment(**changes), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, code: int = 0, **changes: str | None) -> str:
        """What the program prints; its errors, when it is to end with them."""
        process = self.start(*arguments, **changes)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        return out or err

    def screen(self, *arguments: str, typed: str = "", code: int = 0, **changes: str) -> str:
        """What a terminal gets while the program is run in it, and `typed` when it asks."""
        child, terminal = pty.fork()
        if child == 0:
            os.execve(PROGRAM, [str(PROGRAM), *arguments], self.environment(**changes))
        shown, asked = b"", False
        while select.select([terminal], [], [], 60)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
            if not asked and b"[y/N]" in shown:
                asked = True
                os.write(terminal, typed.encode())
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, shown.decode()
        return shown.decode().replace("\r\n", "\n")

    def writes(self) -> list[str]:
        """The calls that have changed something in this account, so far."""
        calls = [call["action"].split(":")[1] for call in self.aws.recorded("calls") if f":{self.aws.account}:" in call["caller"]]
        return [call for call in calls if not call.startswith(READS)]

    def named(self, text: str) -> str:
        """The text with fixed ids, as long as they are, in place of those that differ from run to run."""
        for digit, key in (("0", self.source_key), ("1", self.replica_key)):
            key_id = key.rpartition("/")[2]
            text = text.replace(key_id, re.sub("[0-9a-f]", digit, key_id))
        return text.replace(self.aws.account, ACCOUNT)


def is_shown_as(name: str, shown: str) -> None:
    """Holds what was shown against the file of that name; `UPDATE_SCREENS=1` writes it anew."""
    file = SCREENS / name
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown)
    assert shown == file.read_text()


@pytest.fixture
def person(aws: LocalAws, request: pytest.FixtureRequest) -> Person:
    """A person with an account of the test's own."""
    if not PROGRAM.exists():
        pytest.fail(f"`{PROGRAM}` is missing: `make test` builds it")
    return Person(aws, str(990000000000 + request.session.items.index(request.node)))


class Gate(ThreadingHTTPServer):
    """What stands between the program and AWS, and holds back one kind of request: before it takes effect, or after."""

    def __init__(self, endpoint: str, held: str, after: bool) -> None:
        super().__init__(("127.0.0.1", 0), Passage)
        self.upstream = endpoint.removeprefix("http://")
        self.held, self.after = held, after
        self.reached, self.opened = threading.Event(), threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was interrupted waits for no answer."""

    def hold(self) -> None:
        self.reached.set()
        self.opened.wait(30)


class Passage(BaseHTTPRequestHandler):
    """Passes a request on."""

    def handle_request(self) -> None:
        gate: Gate = self.server  # type: ignore[assignment]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_held = re.search(gate.held, f"{self.command} {self.path} {body.decode(errors='replace')}") is not None
        if is_held and not gate.after:
            return gate.hold()
        connection = http.client.HTTPConnection(gate.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        if is_held:
            return gate.hold()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_request

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def interrupt(person: Person) -> Iterator[Any]:
    """Runs the program, and presses Ctrl-C while a certain request is on its way."""
    gates = []

    def interrupted(held: str, after: bool, *arguments: str) -> str:
        gate = Gate(person.aws.endpoint, held, after)
        gates.append(gate)
        threading.Thread(target=gate.serve_forever, daemon=True).start()
        process = person.start(*arguments, AWS_ENDPOINT_URL=f"http://127.0.0.1:{gate.server_port}")
        assert gate.reached.wait(30), process.communicate(timeout=5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 130, out + err
        return err

    yield interrupted
    for gate in gates:
        gate.opened.set()
        gate.shutdown()
        gate.server_close()


def test_one_line_replicates_a_bucket_and_one_shows_that_nothing_is_left(person: Person) -> None:
    person.run("apply", *person.asked, "--yes")
    rule, = person.held.rules(person.source)
    assert rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] == person.replica_key
    assert person.held.granted_keys(f"s3-crr-{person.source}") == {person.source_key, person.replica_key}
    before = person.writes()

    assert "nothing to do" in person.run("plan", *person.asked, "--detailed-exitcode")
    assert "Unchanged" in person.run("apply", *person.asked, "--yes")
    assert person.writes() == before


def test_plan_changes_nothing_and_can_tell_that_changes_are_pending(person: Person) -> None:
    before = person.writes()
    plan = person.run("plan", *person.asked, "--detailed-exitcode", code=3)
    assert "Versioning: (none) => Enabled" in plan
    assert "kms:Decrypt" not in plan
    assert "kms:Decrypt" in person.run("plan", *person.asked, "--documents")
    answer = json.loads(person.run("plan", *person.asked, "--output", "json"))
    assert (answer["Status"], answer["SourceKmsKeyArns"]) == ("Planned", [person.source_key])
    assert person.writes() == before


def test_a_terminal_shows_the_plan_in_colour(person: Person) -> None:
    process = person.run("plan", *person.asked)
    shown = person.screen("plan", *person.asked)
    after_spinner = shown[shown.index("\x1b[1mrule"):]
    is_shown_as("plan.ansi", person.named(after_spinner))
    assert re.sub(r"\x1b\[[0-9;]*m", "", after_spinner) == process
    assert "\x1b[3" not in person.screen("plan", *person.asked, NO_COLOR="1")


def test_apply_asks_and_only_a_yes_is_one(person: Person) -> None:
    before = person.writes()
    refused = person.screen("apply", *person.asked, typed="n\n", code=1)
    assert "Do this?" in refused
    assert "nothing was changed" in refused
    assert person.writes() == before
    done = person.screen("apply", *person.asked, typed="y\n")
    assert f"PutBucketReplication\x1b[0m on bucket `{person.source}`" in done
    assert f"done: PutBucketReplication on bucket `{person.source}`" in re.sub(r"\x1b\[[0-9;]*m", "", done)
    assert "Configured" in done
    assert "nothing to do" in person.screen("apply", *person.asked)


def test_delete_gives_back_what_apply_made(person: Person) -> None:
    person.run("apply", *person.asked, "--yes")
    assert "DeleteBucketReplication" in person.run("delete", *person.rule, "--dry-run")
    assert len(person.held.rules(person.source)) == 1
    assert json.loads(person.run("delete", *person.rule, "--yes", "--output", "json"))["Status"] == "Removed"
    assert person.held.replication(person.source) is None
    assert person.held.role(f"s3-crr-{person.source}") is None
    assert "nothing to do" in person.run("delete", *person.rule, "--yes")


def test_verify_shows_that_a_rule_replicates_or_what_is_wrong(person: Person) -> None:
    made = ["--source-bucket", person.source, "--destination-bucket", f"made-{person.aws.account}"]
    applied = person.run("apply", *made, "--replica-kms-key-arn", person.replica_key, "--create-destination-bucket", "--verify", "--yes")
    assert "Verified" in applied
    assert "Verified" in person.run("verify", *made)
    person.run("delete", *made, "--yes")
    person.run("apply", *person.asked, "--yes")
    assert f"the source object's key `{person.source_key}`" in person.run("verify", *person.rule, code=1)


def test_refusals_name_the_option_that_helps(person: Person) -> None:
    missing = ["--source-bucket", person.source, "--destination-bucket", "nowhere-to-go", "--replica-kms-key-arn", person.replica_key]
    refused = person.run("plan", *missing, code=1)
    assert refused == "error: --destination-bucket `nowhere-to-go` does not exist; create it, or set --create-destination-bucket to true\n"
    refused = json.loads(person.run("plan", *missing, "--output", "json", code=1))
    assert refused["Error"] == "Refused"


def test_who_closes_the_pipe_has_read_enough(person: Person) -> None:
    for command in (["plan"], ["apply", "--yes"]):
        process = person.start(*command, *person.asked)
        process.stdout.close()
        assert "panicked" not in process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert len(person.held.rules(person.source)) == 1


def test_a_profile_gives_credentials_by_a_process_and_the_region(person: Person, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"Version": 1, "AccessKeyId": person.aws.account, "SecretAccessKey": "test"}))
    config = tmp_path / "config"
    config.write_text(f"[profile ops]\nregion = {REGION}\ncredential_process = cat {credentials}\n")
    changes = {"AWS_CONFIG_FILE": str(config), "AWS_REGION": None, "AWS_DEFAULT_REGION": None}
    asked = ["plan", *person.asked, "--profile", "ops", "--output", "json"]
    answer = json.loads(person.run(*asked, **changes, AWS_ACCESS_KEY_ID="444455556666"))
    assert answer["RoleArn"].split(":")[4] == person.aws.account
    answer = json.loads(person.run(*asked, **changes, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None))
    assert answer["RoleArn"].split(":")[4] == person.aws.account


def test_a_second_profile_prepares_the_destinations_account(person: Person, tmp_path: Path) -> None:
    other = LocalAws(person.aws.endpoint, person.aws.folder, str(int(person.aws.account) + 1000))
    key, destination = other.create_key(REPLICA_REGION), other.create_bucket(f"abroad-{other.account}", region=REPLICA_REGION)
    config = tmp_path / "config"
    config.write_text(f"[profile other]\naws_access_key_id = {other.account}\naws_secret_access_key = test\n")
    name = ["--source-bucket", person.source, "--destination-bucket", destination, "--destination-profile", "other"]
    asked = [*name, "--replica-kms-key-arn", key, "--replica-owner", "Destination"]
    s3 = other.client("s3", REPLICA_REGION)

    person.run("apply", *asked, "--yes", AWS_CONFIG_FILE=str(config))
    rule, = person.held.rules(person.source)
    assert (rule["Destination"]["Account"], rule["Destination"]["AccessControlTranslation"]) == (other.account, {"Owner": "Destination"})
    assert f":{person.aws.account}:role/" in s3.get_bucket_policy(Bucket=destination)["Policy"]
    assert s3.get_bucket_versioning(Bucket=destination)["Status"] == "Enabled"
    assert "nothing to do" in person.run("plan", *asked, "--detailed-exitcode", AWS_CONFIG_FILE=str(config))
    wrong = person.run("plan", *asked, "--destination-account", person.aws.account, AWS_CONFIG_FILE=str(config), code=2)
    assert f"--destination-account is {person.aws.account}, but --destination-profile is of account {other.account}" in wrong

    person.run("delete", *name, "--yes", AWS_CONFIG_FILE=str(config))
    assert person.held.replication(person.source) is None
    with pytest.raises(CallFailed, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=destination)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("held", ["PUT .*[?]versioning", "Action=CreateRole", "Action=PutRolePolicy", "PUT .*[?]replication"])
def test_what_ctrl_c_interrupts_a_second_run_completes(person: Person, interrupt: Any, held: str, after: bool) -> None:
    assert "the same command does the rest" in interrupt(held, after, "apply", *person.asked, "--yes")
    person.run("apply", *person.asked, "--yes")
    assert "nothing to do" in person.run("plan", *person.asked, "--detailed-exitcode")
    assert [rule["Status"] for rule in person.held.rules(person.source)] == ["Enabled"]
    interrupt("DELETE .*[?]replication", after, "delete", *person.rule, "--yes")
    person.run("delete", *person.rule, "--yes")
    assert person.held.replication(person.source) is None
    assert person.held.role(f"s3-crr-{person.source}") is None


def test_ctrl_c_at_the_question_changes_nothing(person: Person) -> None:
    before = person.writes()
    assert "nothing" not in person.screen("apply", *person.asked, typed="\x03", code=130).split("[y/N]")[0]
    assert person.writes() == before


def policy(person: Person, tmp_path: Path) -> list[str]:
    """A policy for the buckets named `prod-…`, of which the account has three, and one that loses its way."""
    for index in range(3):
        person.aws.create_bucket(f"prod-{index}-{person.aws.account}", key=person.source_key)
    person.aws.create_bucket(f"lost-{person.aws.account}", key=person.source_key)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Rules": [
        {"Name": "dr", "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["*-replica"]}, "DestinationBucket": "{bucket}-replica",
         "CreateDestinationBucket": True, "ReplicaKmsKeyArn": person.replica_key},
        {"Name": "lost", "Match": {"BucketNames": ["lost-*"]}, "DestinationBucket": "nowhere-{account}",
         "ReplicaKmsKeyArn": person.replica_key},
    ]}))
    return ["--policy", str(file), "--all"]


def test_a_policy_is_held_against_all_buckets_and_only_what_is_left_is_done(person: Person, tmp_path: Path) -> None:
    walk = policy(person, tmp_path)
    planned = person.run("plan", *walk, code=1)
    is_shown_as("plan_all.txt", person.named(planned))
    applied = person.run("apply", *walk, "--yes", code=1)
    assert applied.endswith("\n3 created, 2 skipped, 1 failed\n")

    role = f"s3-crr-prod-1-{person.aws.account}"
    person.held.iam.delete_role_policy(RoleName=role, PolicyName="s3-kms-replication.dr")
    lines = person.run("plan", *walk, code=1).splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("prod-1") and "replica" not in line.split()[0]] == [
        ["drifted", "s3-kms-replication.dr", "PutRolePolicy"]]
    before = person.writes()
    assert "1 repaired" in person.run("apply", *walk, "--yes", code=1)
    assert person.writes()[len(before):] == ["PutRolePolicy"]

    person.aws.client("s3").delete_bucket(Bucket=f"lost-{person.aws.account}")
    before = person.writes()
    again = json.loads(person.run("apply", *walk, "--yes", "--output", "json"))
    assert again["Summary"] == {"Configured": 3, "Skipped": 5}
    assert person.run("plan", *walk, "--detailed-exitcode").count(" configured ") == 3
    assert person.writes() == before


def test_what_one_should_know_of_a_bucket_is_in_its_row(person: Person, tmp_path: Path) -> None:
    walk = policy(person, tmp_path)
    person.aws.create_bucket(f"prod-plain-{person.aws.account}")
    for command in (["plan"], ["apply", "--yes"], ["plan"]):
        rows = [line for line in person.run(*command, *walk, code=1).splitlines() if "warning:" in line]
        assert [(row.split()[0], "encrypts with SSE-S3" in row) for row in rows] == [(f"prod-plain-{person.aws.account}", True)]


def test_a_walk_that_was_interrupted_goes_on_where_it_was(person: Person, interrupt: Any, tmp_path: Path) -> None:
    walk = policy(person, tmp_path)
    held = f"PUT /prod-2-{person.aws.account}/?[?]replication"
    interrupt(held, False, "apply", *walk, "--yes", "--concurrency", "1")
    made = [len(person.held.rules(f"prod-{index}-{person.aws.account}")) for index in range(3)]
    assert made == [1, 1, 0]
    before = person.writes()
    assert json.loads(person.run("apply", *walk, "--yes", "--output", "json", code=1))["Summary"]["Created"] == 1
    assert person.writes()[len(before):] == ["PutReplicationConfiguration"]


def test_a_walk_asks_too(person: Person, tmp_path: Path) -> None:
    walk = policy(person, tmp_path)
    refused = person.screen("apply", *walk, typed="n\n", code=1)
    assert "Change 3 of 6 buckets?" in refused
    assert person.held.rules(f"prod-0-{person.aws.account}") == []
    assert "3 created" in person.screen("apply", *walk, typed="y\n")
