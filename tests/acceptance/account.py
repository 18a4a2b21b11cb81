"""The AWS account of a run: clients, waiting, and the programs that are started.

It must not know what a run makes and which steps it has.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

T = TypeVar("T")
# The function has five minutes, and it is invoked once: a second try would hide a failure.
CONFIG = Config(read_timeout=310, retries={"mode": "standard", "max_attempts": 5})
INVOKE = Config(read_timeout=310, retries={"total_max_attempts": 1})


class Failed(Exception):
    """A step did not end as expected; the message is shown."""


class Account:
    """The account whose credentials the environment has."""

    def __init__(self, regions: tuple[str, str]) -> None:
        self.regions = regions
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL")
        self.is_emulator = bool(self.endpoint)
        caller = self.client("sts").get_caller_identity()
        self.id: str = caller["Account"]
        self.partition: str = caller["Arn"].split(":")[1]

    def client(self, service: str, region: str | None = None) -> Any:
        """A client of a service in a Region, which is the first one if none is named."""
        client = boto3.client(service, region_name=region or self.regions[0], config=INVOKE if service == "lambda" else CONFIG)
        if service == "s3control" and self.is_emulator:
            # Its host names begin with the account, and such a name does not resolve to this machine.
            client.meta.events.register("before-sign.s3-control", lambda request, **_: setattr(
                request, "url", request.url.replace(f"//{self.id}.", "//")))
        return client

    def seconds(self, on_aws: float, on_emulator: float) -> float:
        """A time limit: the emulator does at once what takes AWS minutes."""
        return on_emulator if self.is_emulator else on_aws

    def invoke(self, region: str, function: str, payload: dict[str, Any]) -> Any:
        """The function's answer; its error is a failure."""
        result = self.client("lambda", region).invoke(FunctionName=function, Payload=json.dumps(payload))
        answer = json.loads(result["Payload"].read())
        if "FunctionError" in result:
            raise Failed(str(answer.get("errorMessage", answer)))
        return answer

    def outputs(self, region: str, stack: str) -> dict[str, str]:
        """The outputs of a stack."""
        described = self.client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def wait(self, what: str, probe: Callable[[], T | None], seconds: float) -> T:
        """Polls until there is a value; what was waited for is the failure."""
        deadline = time.monotonic() + seconds
        while (value := probe()) is None:
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not within {seconds:.0f} seconds")
            time.sleep(self.seconds(5, 0.3))
        return value


def run_program(*command: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What a program prints. It is in a process group of its own, so that Ctrl-C reaches it only from here."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                               start_new_session=True)
    try:
        printed, errors = process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode not in allowed:
        raise Failed(f"`{' '.join(command[:2])}` ended with {process.returncode}: {(errors or printed).strip()[-1000:]}")
    return printed


def error_code(error: ClientError) -> str:
    """AWS's code of an error."""
    return error.response["Error"]["Code"]


def none_if(codes: set[str], call: Callable[[], T]) -> T | None:
    """What a call returns; `None` if AWS answers with one of the codes."""
    try:
        return call()
    except ClientError as error:
        if error_code(error) in codes:
            return None
        raise
