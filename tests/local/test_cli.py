"""The command-line program: its output, exit codes and effects, each test in an account of its own."""

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
from botocore.exceptions import ClientError as AwsError
from conftest import Application
from local_aws import ACCOUNT, REGION, REPLICA_REGION, ROOT, LocalAws
from samples import writes

PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"
SCREENS = Path(__file__).with_name("screens")


class CliUser:
    """Runs the program in an account with two keys, a source bucket and a destination."""

    def __init__(self, aws: LocalAws, account: str) -> None:
        self.aws = LocalAws(aws.endpoint, aws.folder, account)
        self.source_key, self.replica_key = self.aws.create_key(), self.aws.create_key(REPLICA_REGION)
        self.source = self.aws.create_bucket(f"orders-{account}", key=self.source_key)
        self.destination = self.aws.create_bucket(f"copy-{account}", region=REPLICA_REGION)
        self.rule_arguments = ["--source-bucket", self.source, "--destination-bucket", self.destination]
        self.apply_arguments = [*self.rule_arguments, "--replica-kms-key-arn", self.replica_key]
        self.state = Application(self.aws, {"FunctionName": ""}, self.source_key, self.replica_key, "")

    def environment(self, **changes: str | None) -> dict[str, str]:
        # Variables of the test environment must not decide about colours.
        changed = {**self.aws.environment, "TERM": "xterm-256color", "CI": None, "NO_COLOR": None, **changes}
        return {name: value for name, value in changed.items() if value is not None}

    def start(self, *arguments: str, **changes: str | None) -> subprocess.Popen:
        return subprocess.Popen([PROGRAM, *arguments], env=self.environment(**changes), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, code: int = 0, **changes: str | None) -> str:
        """Runs the program and returns its standard output, or its standard error if that is empty."""
        process = self.start(*arguments, **changes)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        return out or err

    def run_in_terminal(self, *arguments: str, answer_to_prompt: str = "", code: int = 0, **changes: str) -> str:
        """Runs the program in a terminal, sends `answer_to_prompt` at the prompt, and returns what the terminal received."""
        child, terminal = pty.fork()
        if child == 0:
            os.execve(PROGRAM, [str(PROGRAM), *arguments], self.environment(**changes))
        shown, answered = b"", False
        while select.select([terminal], [], [], 60)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
            if not answered and b"[y/N]" in shown:
                answered = True
                os.write(terminal, answer_to_prompt.encode())
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, shown.decode()
        return shown.decode().replace("\r\n", "\n")

    def writes(self) -> list[str]:
        """The write calls in this account so far."""
        return writes(call for call in self.aws.recorded("calls") if f":{self.aws.account}:" in call["caller"])

    def with_fixed_ids(self, text: str) -> str:
        """The text with ids that vary between runs replaced by fixed ids of the same length."""
        for digit, key in (("0", self.source_key), ("1", self.replica_key)):
            key_id = key.rpartition("/")[2]
            text = text.replace(key_id, re.sub("[0-9a-f]", digit, key_id))
        return text.replace(self.aws.account, ACCOUNT)


def assert_screen(name: str, shown: str) -> None:
    """Compares the output with the file of that name; `UPDATE_SCREENS=1` updates the file."""
    file = SCREENS / name
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown)
    assert shown == file.read_text()


@pytest.fixture
def user(aws: LocalAws, request: pytest.FixtureRequest) -> CliUser:
    """A user with an account of the test's own."""
    if not PROGRAM.exists():
        pytest.fail(f"`{PROGRAM}` is missing: `make test` builds it")
    return CliUser(aws, str(990000000000 + request.session.items.index(request.node)))


class BlockingProxy(ThreadingHTTPServer):
    """A proxy that blocks requests that match a pattern, before or after they are sent to AWS."""

    def __init__(self, endpoint: str, held: str, after: bool) -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.upstream = endpoint.removeprefix("http://")
        self.held, self.after = held, after
        self.reached, self.opened = threading.Event(), threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores the broken connection of an interrupted client."""

    def hold(self) -> None:
        self.reached.set()
        self.opened.wait(30)


class ProxyHandler(BaseHTTPRequestHandler):
    """Forwards a request, or blocks it."""

    def handle_request(self) -> None:
        proxy: BlockingProxy = self.server  # type: ignore[assignment]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_held = re.search(proxy.held, f"{self.command} {self.path} {body.decode(errors='replace')}") is not None
        if is_held and not proxy.after:
            return proxy.hold()
        connection = http.client.HTTPConnection(proxy.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        if is_held:
            return proxy.hold()
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
        """Logs nothing."""


@pytest.fixture
def interrupt(user: CliUser) -> Iterator[Any]:
    """Runs the program and sends SIGINT while a request that matches a pattern is in flight."""
    proxies = []

    def run_and_interrupt(held: str, after: bool, *arguments: str) -> str:
        proxy = BlockingProxy(user.aws.endpoint, held, after)
        proxies.append(proxy)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        process = user.start(*arguments, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.server_port}")
        assert proxy.reached.wait(30), process.communicate(timeout=5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 130, out + err
        return err

    yield run_and_interrupt
    for proxy in proxies:
        proxy.opened.set()
        proxy.shutdown()
        proxy.server_close()


def test_apply_then_plan_is_empty_and_reapply_performs_no_writes(user: CliUser) -> None:
    user.run("apply", *user.apply_arguments, "--yes")
    rule, = user.state.rules(user.source)
    assert rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] == user.replica_key
    assert user.state.granted_keys(f"s3-crr-{user.source}") == {user.source_key, user.replica_key}
    before = user.writes()

    assert "nothing to do" in user.run("plan", *user.apply_arguments, "--detailed-exitcode")
    assert "Unchanged" in user.run("apply", *user.apply_arguments, "--yes")
    assert user.writes() == before


def test_plan_performs_no_writes_and_its_exit_code_reports_pending_changes(user: CliUser) -> None:
    before = user.writes()
    plan = user.run("plan", *user.apply_arguments, "--detailed-exitcode", code=3)
    assert "+ Versioning: Enabled" in plan
    assert plan.endswith("\n5 to add, 0 to change, 0 to remove\n")
    assert '"Statement"' not in plan
    assert '"Statement"' in user.run("plan", *user.apply_arguments, "--documents")
    answer = json.loads(user.run("plan", *user.apply_arguments, "--output", "json"))
    assert (answer["Status"], answer["SourceKmsKeyArns"], "Text" in answer) == ("Planned", [user.source_key], False)
    assert user.writes() == before


def test_plan_is_coloured_in_a_terminal_unless_no_color_is_set(user: CliUser) -> None:
    process = user.run("plan", *user.apply_arguments)
    shown = user.run_in_terminal("plan", *user.apply_arguments)
    after_spinner = shown[shown.index("\x1b[1mrule"):]
    assert_screen("plan.ansi", user.with_fixed_ids(after_spinner))
    assert re.sub(r"\x1b\[[0-9;]*m", "", after_spinner) == process
    assert "\x1b[3" not in user.run_in_terminal("plan", *user.apply_arguments, NO_COLOR="1")


def test_apply_writes_only_after_the_user_confirms(user: CliUser) -> None:
    before = user.writes()
    refused = user.run_in_terminal("apply", *user.apply_arguments, answer_to_prompt="n\n", code=1)
    assert "Apply this plan?" in refused
    assert "nothing was changed" in refused
    assert user.writes() == before
    done = user.run_in_terminal("apply", *user.apply_arguments, answer_to_prompt="y\n")
    assert f"\x1b[32m+\x1b[0m PutBucketReplication on bucket `{user.source}`" in done
    assert f"done: PutBucketReplication on bucket `{user.source}`" in re.sub(r"\x1b\[[0-9;]*m", "", done)
    assert "Configured, 5 added, 0 changed, 0 removed" in done
    assert "nothing to do" in user.run_in_terminal("apply", *user.apply_arguments)


def test_delete_removes_what_apply_created(user: CliUser) -> None:
    user.run("apply", *user.apply_arguments, "--yes")
    assert "DeleteBucketReplication" in user.run("delete", *user.rule_arguments, "--dry-run")
    assert len(user.state.rules(user.source)) == 1
    assert json.loads(user.run("delete", *user.rule_arguments, "--yes", "--output", "json"))["Status"] == "Removed"
    assert user.state.replication(user.source) is None
    assert user.state.role(f"s3-crr-{user.source}") is None
    assert "has no replication rules" in user.run("delete", *user.rule_arguments, "--yes", code=1)


def test_verify_succeeds_or_names_the_wrong_replica_key(user: CliUser) -> None:
    made = ["--source-bucket", user.source, "--destination-bucket", f"made-{user.aws.account}"]
    applied = user.run("apply", *made, "--replica-kms-key-arn", user.replica_key, "--create-destination-bucket", "--verify", "--yes")
    assert "Verified" in applied
    assert "Verified" in user.run("verify", *made, "--replica-kms-key-arn", user.replica_key, "--create-destination-bucket", "true", "--yes")
    user.run("delete", *made, "--replica-kms-key-arn", user.replica_key, "--create-destination-bucket", "--verify", "--yes")
    user.run("apply", *user.apply_arguments, "--yes")
    assert f"the source object's key `{user.source_key}`" in user.run("verify", *user.rule_arguments, code=1)


def test_refusal_names_the_command_line_option_to_set(user: CliUser) -> None:
    missing = ["--source-bucket", user.source, "--destination-bucket", "nowhere-to-go", "--replica-kms-key-arn", user.replica_key]
    refused = user.run("plan", *missing, code=1)
    assert refused == "error: --destination-bucket `nowhere-to-go` does not exist; create it, or set --create-destination-bucket to true\n"
    refused = json.loads(user.run("plan", *missing, "--output", "json", code=1))
    assert refused["Error"] == "Refused"


def test_command_completes_when_its_standard_output_is_closed(user: CliUser) -> None:
    for command in (["plan"], ["apply", "--yes"]):
        process = user.start(*command, *user.apply_arguments)
        process.stdout.close()
        assert "panicked" not in process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert len(user.state.rules(user.source)) == 1


def test_profile_supplies_the_region_and_credentials_from_a_process(user: CliUser, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"Version": 1, "AccessKeyId": user.aws.account, "SecretAccessKey": "test"}))
    config = tmp_path / "config"
    config.write_text(f"[profile ops]\nregion = {REGION}\ncredential_process = cat {credentials}\n")
    changes = {"AWS_CONFIG_FILE": str(config), "AWS_REGION": None, "AWS_DEFAULT_REGION": None}
    arguments = ["plan", *user.apply_arguments, "--profile", "ops", "--output", "json"]
    answer = json.loads(user.run(*arguments, **changes, AWS_ACCESS_KEY_ID="444455556666"))
    assert answer["RoleArn"].split(":")[4] == user.aws.account
    answer = json.loads(user.run(*arguments, **changes, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None))
    assert answer["RoleArn"].split(":")[4] == user.aws.account


def test_destination_profile_configures_and_cleans_up_the_destination_account(user: CliUser, tmp_path: Path) -> None:
    other = LocalAws(user.aws.endpoint, user.aws.folder, str(int(user.aws.account) + 1000))
    key, destination = other.create_key(REPLICA_REGION), other.create_bucket(f"abroad-{other.account}", region=REPLICA_REGION)
    config = tmp_path / "config"
    config.write_text(f"[profile other]\naws_access_key_id = {other.account}\naws_secret_access_key = test\n")
    name = ["--source-bucket", user.source, "--destination-bucket", destination, "--destination-profile", "other"]
    arguments = [*name, "--replica-kms-key-arn", key, "--replica-owner", "Destination"]
    s3 = other.client("s3", REPLICA_REGION)

    user.run("apply", *arguments, "--yes", AWS_CONFIG_FILE=str(config))
    rule, = user.state.rules(user.source)
    assert (rule["Destination"]["Account"], rule["Destination"]["AccessControlTranslation"]) == (other.account, {"Owner": "Destination"})
    assert f":{user.aws.account}:role/" in s3.get_bucket_policy(Bucket=destination)["Policy"]
    assert s3.get_bucket_versioning(Bucket=destination)["Status"] == "Enabled"
    assert "nothing to do" in user.run("plan", *arguments, "--detailed-exitcode", AWS_CONFIG_FILE=str(config))
    wrong = user.run("plan", *arguments, "--destination-account", user.aws.account, AWS_CONFIG_FILE=str(config), code=2)
    assert f"--destination-account is {user.aws.account}, but --destination-profile is of account {other.account}" in wrong

    user.run("delete", *name, "--yes", AWS_CONFIG_FILE=str(config))
    assert user.state.replication(user.source) is None
    with pytest.raises(AwsError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=destination)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("held", ["PUT .*[?]versioning", "Action=CreateRole", "Action=PutRolePolicy", "PUT .*[?]replication"])
def test_second_run_completes_what_ctrl_c_interrupted(user: CliUser, interrupt: Any, held: str, after: bool) -> None:
    assert "the same command does the rest" in interrupt(held, after, "apply", *user.apply_arguments, "--yes")
    user.run("apply", *user.apply_arguments, "--yes")
    assert "nothing to do" in user.run("plan", *user.apply_arguments, "--detailed-exitcode")
    assert [rule["Status"] for rule in user.state.rules(user.source)] == ["Enabled"]
    interrupt("DELETE .*[?]replication", after, "delete", *user.rule_arguments, "--yes")
    user.run("delete", *user.rule_arguments, "--yes")
    assert user.state.replication(user.source) is None
    assert user.state.role(f"s3-crr-{user.source}") is None


def test_ctrl_c_at_the_confirmation_prompt_performs_no_writes(user: CliUser) -> None:
    before = user.writes()
    assert "nothing" not in user.run_in_terminal("apply", *user.apply_arguments, answer_to_prompt="\x03", code=130).split("[y/N]")[0]
    assert user.writes() == before


def policy(user: CliUser, tmp_path: Path) -> list[str]:
    """Creates three buckets that a policy replicates and one whose destination does not exist; returns the arguments of the walk."""
    for index in range(3):
        user.aws.create_bucket(f"prod-{index}-{user.aws.account}", key=user.source_key)
    user.aws.create_bucket(f"lost-{user.aws.account}", key=user.source_key)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Rules": [
        {"Name": "dr", "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["*-replica"]}, "DestinationBucket": "{bucket}-replica",
         "CreateDestinationBucket": True, "ReplicaKmsKeyArn": user.replica_key},
        {"Name": "lost", "Match": {"BucketNames": ["lost-*"]}, "DestinationBucket": "nowhere-{account}",
         "ReplicaKmsKeyArn": user.replica_key},
    ]}))
    return ["--policy", str(file), "--all"]


def test_walk_creates_then_repairs_then_performs_no_writes(user: CliUser, tmp_path: Path) -> None:
    walk = policy(user, tmp_path)
    planned = user.run("plan", *walk, code=1)
    assert_screen("plan_all.txt", re.sub(r"IAM roles: \d+ of \d+", "IAM roles: 7 of 1000", user.with_fixed_ids(planned)))
    applied = user.run("apply", *walk, "--yes", code=1)
    assert applied.endswith("\n3 created, 2 skipped, 1 failed\n")

    role = f"s3-crr-prod-1-{user.aws.account}"
    user.state.iam.delete_role_policy(RoleName=role, PolicyName="s3-kms-replication.dr")
    lines = user.run("plan", *walk, code=1).splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("prod-1") and "replica" not in line.split()[0]] == [
        ["drifted", "s3-kms-replication.dr", "PutRolePolicy"]]
    before = user.writes()
    assert "1 repaired" in user.run("apply", *walk, "--yes", code=1)
    assert user.writes()[len(before):] == ["PutRolePolicy"]

    user.aws.client("s3").delete_bucket(Bucket=f"lost-{user.aws.account}")
    before = user.writes()
    again = json.loads(user.run("apply", *walk, "--yes", "--output", "json"))
    assert again["Summary"] == {"Configured": 3, "Skipped": 5}
    assert user.run("plan", *walk, "--detailed-exitcode").count(" configured ") == 3
    assert user.writes() == before


def test_walk_shows_warnings_in_the_row_of_their_bucket(user: CliUser, tmp_path: Path) -> None:
    walk = policy(user, tmp_path)
    user.aws.create_bucket(f"prod-plain-{user.aws.account}")
    for command in (["plan"], ["apply", "--yes"], ["plan"]):
        rows = [line for line in user.run(*command, *walk, code=1).splitlines() if "warning:" in line]
        assert [(row.split()[0], "encrypts with SSE-S3" in row) for row in rows] == [(f"prod-plain-{user.aws.account}", True)]


def test_interrupted_walk_resumes_with_the_remaining_buckets(user: CliUser, interrupt: Any, tmp_path: Path) -> None:
    walk = policy(user, tmp_path)
    held = f"PUT /prod-2-{user.aws.account}/?[?]replication"
    interrupt(held, False, "apply", *walk, "--yes", "--concurrency", "1")
    rule_counts = [len(user.state.rules(f"prod-{index}-{user.aws.account}")) for index in range(3)]
    assert rule_counts == [1, 1, 0]
    before = user.writes()
    assert json.loads(user.run("apply", *walk, "--yes", "--output", "json", code=1))["Summary"]["Created"] == 1
    assert user.writes()[len(before):] == ["PutReplicationConfiguration"]


def test_walk_writes_only_after_the_user_confirms(user: CliUser, tmp_path: Path) -> None:
    walk = policy(user, tmp_path)
    refused = user.run_in_terminal("apply", *walk, answer_to_prompt="n\n", code=1)
    assert "Change 3 of 6 buckets?" in refused
    assert user.state.rules(f"prod-0-{user.aws.account}") == []
    applied = user.run_in_terminal("apply", *walk, answer_to_prompt="y\n", code=1)
    result = applied.rpartition("BUCKET")[2]
    assert result.endswith("\n3 created, 2 skipped, 1 failed\n")
    assert [line.split()[1] for line in result.splitlines() if line.startswith("lost-")] == ["\x1b[31mfailed\x1b[0m"]
