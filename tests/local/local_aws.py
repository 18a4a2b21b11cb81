"""Starts a local AWS, and calls it with the AWS CLI, the SAM CLI and boto3."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
# The application as `make dev` builds it.
BUILT_TEMPLATE = ROOT / "target" / "local" / "template.yaml"
FUNCTION = BUILT_TEMPLATE.with_name("function") / "bootstrap"
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
ACCOUNT = "111122223333"
DESTINATION_ACCOUNT = "444455556666"
REGION = "us-east-1"
REPLICA_REGION = "us-west-2"

# The policy of the demonstration; examples/policy.json is like it.
POLICY_RULE = {
    "Name": "dr", "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["*-replica"]},
    "DestinationBucket": "{bucket}-replica", "DestinationRegion": REPLICA_REGION, "CreateDestinationBucket": True,
    "ReplicaKmsKeyArn": f"arn:aws:kms:{REPLICA_REGION}:{ACCOUNT}:alias/dr",
}

T = TypeVar("T")


class Failed(Exception):
    """A step failed; the message is shown to the user."""


class ClientError(Failed):
    """A client exited with an error; the message is its output."""


def wait_until(what: str, probe: Callable[[], T], seconds: float = 30) -> T:
    """Polls `probe` five times a second and returns its first true value; the error names `what`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := probe():
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.2)


# The shell kills its process group when its standard input closes, so also when this process is killed.
KILL_WITH_PARENT = '"$@" & exec >&- 2>&-; read -r line; kill -9 0'


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path, stdout: int | None = None) -> Iterator[subprocess.Popen]:
    """A server in its own process group, which is killed at the end of the block and with this process."""
    with log.open("w") as output:
        process = subprocess.Popen(["sh", "-c", KILL_WITH_PARENT, "sh", *command], cwd=ROOT, env=environment, stdin=subprocess.PIPE,
                                   stdout=stdout or output, stderr=output, start_new_session=True, text=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


@contextlib.contextmanager
def local_aws(port: int = 0) -> Iterator[LocalAws]:
    """A local AWS on a port of this machine (0: a free port), stopped at the end of the block."""
    if not EMULATOR_PYTHON.exists():
        raise Failed("`.venv-emulator` is missing: `make demo` and `make test` install it")
    # The user's profiles, proxies and credentials must not affect these calls.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, NO_PROXY="127.0.0.1,localhost")
    command = [str(EMULATOR_PYTHON), str(Path(__file__).with_name("emulator.py")), "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="s3-kms-replication-") as name:
        folder = Path(name)
        log = folder / "emulator.log"
        with running(command, {**os.environ, "TMPDIR": name}, log, subprocess.PIPE) as emulator:
            endpoint = emulator.stdout.readline().strip()
            if not endpoint:
                raise Failed(log.read_text().strip())
            local = LocalAws(endpoint, folder)
            wait_until("an answer of the emulator", local.healthy)
            yield local


class LocalAws:
    """A running local AWS, called with the credentials of one account."""

    def __init__(self, endpoint: str, folder: Path, account: str = ACCOUNT) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.account = account
        self.environment = {
            **os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "",
            "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "1",
        }

    def healthy(self) -> bool:
        """Whether it responds."""
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=5).status == 200
        return False

    def run(self, *command: str, seconds: float = 120) -> str:
        """Runs a program and returns its output; a failure raises its output."""
        if not shutil.which(command[0], path=self.environment["PATH"]):
            raise Failed(f"`{command[0]}` is missing: `make demo` and `make test` install it")
        try:
            done = subprocess.run(command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"`{' '.join(command[:3])}` has not ended within {seconds:.0f} seconds") from error
        if done.returncode != 0:
            raise ClientError(f"{done.stdout}{done.stderr}".strip())
        return done.stdout

    def aws(self, *arguments: str, region: str = REGION) -> Any:
        """Runs the AWS CLI and returns the JSON that it prints."""
        # The CLI's `sqs` commands ignore AWS_ENDPOINT_URL.
        printed = self.run("aws", "--endpoint-url", self.endpoint, "--region", region, "--output", "json", *arguments)
        return json.loads(printed) if printed.strip() else None

    def client(self, service: str, region: str = REGION, key_id: str | None = None, secret: str = "test") -> Any:
        """A boto3 client: much faster than starting the CLI for each call."""
        return boto3.client(service, region_name=region, endpoint_url=self.endpoint, aws_access_key_id=key_id or self.account,
                            aws_secret_access_key=secret)

    def create_key(self, region: str = REGION, **kind: str) -> str:
        """Creates a KMS key and returns its ARN."""
        return self.client("kms", region).create_key(**kind)["KeyMetadata"]["Arn"]

    def create_bucket(self, name: str, region: str = REGION, key: str | None = None) -> str:
        """Creates a bucket, with KMS default encryption if a key is given, and returns its name."""
        place = {} if region == REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client("s3", region).create_bucket(Bucket=name, **place)
        if key:
            self.encrypt_bucket(name, key)
        return name

    def encrypt_bucket(self, name: str, key: str) -> None:
        """Sets the KMS key of a bucket's default encryption."""
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        self.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]})

    def recorded(self, what: str) -> list[dict[str, Any]]:
        """What the emulator has recorded so far: `calls`, `decisions`, `invocations` or `replies`."""
        with urllib.request.urlopen(f"{self.endpoint}/_standin/{what}", timeout=10) as answer:
            return json.load(answer)

    def deliver_delayed(self, text: str) -> int:
        """Delivers the delayed messages with this text at once; their number."""
        request = urllib.request.Request(f"{self.endpoint}/_standin/delayed-messages", text.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def function_log(self, since: float = 0) -> str:
        """The log of all functions since a time, in seconds of the epoch."""
        logs = self.client("logs")
        events = [event for group in logs.describe_log_groups()["logGroups"] for event in logs.filter_log_events(
            logGroupName=group["logGroupName"], startTime=int(since * 1000))["events"]]
        return "".join(f"{event['message'].rstrip()}\n" for event in events)

    def deploy(self, stack: str, template: Path, parameters: dict[str, Any] | None = None, bucket: str = "artifacts") -> dict[str, str]:
        """Creates or updates a stack with the SAM CLI and returns the stack's outputs."""
        values = self.folder / f"{stack}-parameters.yaml"
        values.write_text(json.dumps(parameters or {}))
        self.run("sam", "deploy", "--stack-name", stack, "--template-file", str(template), "--s3-bucket", bucket,
                 "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
                 "--no-progressbar", "--parameter-overrides", f"file://{values}")
        return self.outputs(stack)

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of a stack."""
        described = self.client("cloudformation").describe_stacks(StackName=stack)
        return {output["OutputKey"]: output["OutputValue"] for output in described["Stacks"][0].get("Outputs", [])}

    def deploy_function(self, policy: dict[str, Any], **parameters: Any) -> dict[str, str]:
        """Deploys the built application as the stack `app` and returns its outputs."""
        if not FUNCTION.exists():
            raise Failed(f"`{FUNCTION}` is missing: `make dev` builds it")
        return self.deploy("app", BUILT_TEMPLATE, {"ReplicationPolicy": json.dumps(policy), **parameters})
