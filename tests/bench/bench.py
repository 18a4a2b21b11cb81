"""`make bench`: compares the function with a boto3 function and the AWS CLI, on one local AWS, through a proxy that delays every call.

The function runs with each `RoleScope`. A flow starts a new process, like a cold start of Lambda, or invokes one that runs already. The programs
run in turn, so that other load on the machine affects all of them alike. Writes docs/bench.json, and from that a table in
docs/benchmarks.md and docs/bench.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import shutil
import string
import subprocess
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import instructions
from local_aws import ACCOUNT, REGION, REPLICA_REGION, ROOT, Failed, LocalAws, local_aws
from proxy import Proxy
from report import RESULT, write
from runtime_api import Function, FunctionFailed

HERE = Path(__file__).parent
BUILT = ROOT / "target" / "lambda"
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
FUNCTION = [str(BUILT / "function" / "bootstrap")]
COMMANDS = {"ours": FUNCTION, "shared": FUNCTION, "boto3": [str(PYTHON), "-m", "awslambdaric", "boto3_function.handler"]}
FLOOR = [str(BUILT / "floor" / "bootstrap")]
LATENCIES = (20, 60, 100)
CLI_LATENCIES = (0, 300)  # starting seven programs takes longer than their calls
LOCK_TABLE = "leases"
EXISTING = "replicas"


class Bench:
    """The local AWS, the proxy in front of it, and all measurements."""

    def __init__(self, aws: LocalAws, proxy: Proxy) -> None:
        self.proxy = proxy
        self.log = aws.folder / "bench.log"
        self.folder = aws.folder
        self.client = functools.cache(aws.client)
        self.source_key, self.replica_key = aws.create_key(), aws.create_key(REPLICA_REGION)
        self.client("dynamodb").create_table(
            TableName=LOCK_TABLE, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "BucketName", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "BucketName", "AttributeType": "S"}])
        self.client("s3", REPLICA_REGION).create_bucket(
            Bucket=EXISTING, CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
        self.client("s3", REPLICA_REGION).put_bucket_versioning(
            Bucket=EXISTING, VersioningConfiguration={"Status": "Enabled"})
        self.environment = {
            **aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint, "PYTHONPATH": str(HERE), "LOCK_TABLE": LOCK_TABLE,
            "EXECUTION_ROLE_ARN": f"arn:aws:iam::{aws.account}:role/function",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "log", "AWS_LAMBDA_LOG_STREAM_NAME": "log"}
        self.start: dict[str, list[float]] = defaultdict(list)
        self.memory: dict[str, list[int]] = defaultdict(list)
        self.seconds: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.calls: dict[str, dict[str, list[str]]] = defaultdict(dict)

    def clear(self) -> None:
        """Forgets what was measured."""
        for figures in (self.start, self.memory, self.seconds, self.calls):
            figures.clear()

    def settings(self, program: str, destination: str) -> dict[str, str]:
        """The replication policy for this destination, and the role's scope. Each policy has a shared role of its own, as in a stack of its own."""
        rule = {"Name": "dr", "Match": {"BucketNames": ["new-*", "made-*"]}, "DestinationBucket": destination,
                "DestinationRegion": REPLICA_REGION, "ReplicaKmsKeyArn": self.replica_key, "CreateDestinationBucket": destination != EXISTING}
        settings = {"REPLICATION_POLICY": json.dumps({"Rules": [rule]}), "STACK_ID": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{destination}/1"}
        return settings | ({"ROLE_SCOPE": "Policy"} if program == "shared" else {})

    @contextlib.contextmanager
    def function(self, program: str, command: list[str], destination: str = EXISTING) -> Iterator[Function]:
        with Function(command, self.environment | self.settings(program, destination), self.log) as function:
            self.start[program].append(function.start)
            yield function
            self.memory[program].append(function.peak_memory)

    def measure(self, flow: str, program: str, latency: int, work: Any) -> None:
        """Records the seconds that `work` returns and the calls that it makes, with each call delayed by `latency` milliseconds."""
        self.proxy.calls.clear()
        self.proxy.latency = latency / 1000
        seconds = work()
        self.proxy.latency = 0
        self.seconds[flow][program][latency].append(seconds)
        calls = self.calls[flow].setdefault(program, list(self.proxy.calls))
        if len(calls) != len(self.proxy.calls):
            raise Failed(f"{flow}, {program}: {len(calls)} calls in one run, {len(self.proxy.calls)} in another: {self.proxy.calls}")

    def bucket(self, name: str) -> str:
        """Creates a bucket with a KMS key."""
        self.client("s3").create_bucket(Bucket=name)
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.source_key}
        self.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]})
        return name

    def buckets(self, source: str) -> str:
        """Creates a bucket with a KMS key and its destination in the other Region; returns the source's name."""
        self.client("s3", REPLICA_REGION).create_bucket(
            Bucket=f"{source}-replica", CreateBucketConfiguration={"LocationConstraint": REPLICA_REGION})
        return self.bucket(source)

    def check_replicates(self, source: str, destination: str | None = None) -> None:
        """Raises unless the bucket has the requested rule. Its destination is `<source>-replica`, unless another is given."""
        destination = destination or f"{source}-replica"
        rule, = self.client("s3").get_bucket_replication(Bucket=source)["ReplicationConfiguration"]["Rules"]
        key = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]
        enabled = [self.client("s3", region).get_bucket_versioning(Bucket=bucket).get("Status")
                   for bucket, region in ((source, REGION), (destination, REPLICA_REGION))]
        found = (rule["Destination"]["Bucket"], rule["Status"], key, *enabled)
        if found != (f"arn:aws:s3:::{destination}", "Enabled", self.replica_key, "Enabled", "Enabled"):
            raise Failed(f"bucket `{source}` does not replicate as requested: {rule}, versioning {enabled}")

    def check_no_replication(self, source: str) -> None:
        """Raises if the bucket has a replication configuration."""
        with contextlib.suppress(self.client("s3").exceptions.ClientError):
            found = self.client("s3").get_bucket_replication(Bucket=source)
            raise Failed(f"bucket `{source}` still replicates: {found['ReplicationConfiguration']}")

    def run(self, program: str, latency: int, run: int) -> None:
        """Runs all flows of a program once. The one on boto3 creates no destination, and a custom resource always has a role of its own."""
        self.run_events("new", EXISTING, program, latency, run)
        if program != "boto3":
            self.run_events("made", "copy-{bucket}", program, latency, run)
        if program != "shared":
            self.run_custom_resource(program, latency, run)

    def run_events(self, kind: str, destination: str, program: str, latency: int, run: int) -> None:
        """Sends the events of two new buckets to one process, and the first event again, twice, to another."""
        events = {}
        for number in (1, 2):
            source = self.bucket(f"{kind}-{program}-{run}-{latency}-{number}")
            events[source] = {
                "source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT, "region": REGION, "detail": {
                    "eventSource": "s3.amazonaws.com", "eventName": "CreateBucket", "awsRegion": REGION, "recipientAccountId": ACCOUNT,
                    "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "accountId": ACCOUNT},
                    "requestParameters": {"bucketName": source}}}
        first, second = events.values()
        for flows, sent in (((kind, f"{kind}, warm"), (first, second)), ((f"{kind}, again", f"{kind}, again, warm"), (first, first))):
            with self.function(program, COMMANDS[program], destination) as function:
                for flow, event in zip(flows, sent, strict=True):
                    self.measure(flow, program, latency, functools.partial(function.invoke, event))
            for source in events:
                self.check_replicates(source, destination.format(bucket=source))

    def run_custom_resource(self, program: str, latency: int, run: int) -> None:
        """Creates and deletes a custom resource."""
        source = self.buckets(f"resource-{program}-{run}-{latency}")
        request = {
            "RequestType": "Create", "RequestId": f"{source}-create", "LogicalResourceId": "Replication",
            "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{source}/1", "ResourceType": "Custom::S3KmsReplication",
            "ResourceProperties": {"ServiceToken": "function", "SourceBucket": source, "DestinationBucket": f"{source}-replica",
                                   "ReplicaKmsKeyArn": self.replica_key}}
        request |= self.send("create", program, latency, request)
        self.check_replicates(source)
        self.send("delete", program, latency, {**request, "RequestType": "Delete", "RequestId": f"{source}-delete"})
        self.check_no_replication(source)

    def send(self, flow: str, program: str, latency: int, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a request as CloudFormation does, and returns the physical id of the response."""
        with self.function(program, COMMANDS[program]) as function:
            self.measure(flow, program, latency, lambda: function.invoke({**request, "ResponseURL": function.callback}))
            reply, = function.api.replies
        if reply["Status"] != "SUCCESS":
            raise Failed(f"{flow}, {program}: {reply['Reason']}")
        return {"PhysicalResourceId": reply["PhysicalResourceId"]}

    def walkthrough(self, latency: int, run: int) -> None:
        """Runs the commands of the walkthrough."""
        source = f"cli-{run}-{latency}"
        variables = {
            "src_bkt": source, "src_bkt_region": REGION, "src_kms_arn": self.source_key, "src_kms_region": REGION,
            "dest_bkt": f"{source}-replica", "dest_bkt_region": REPLICA_REGION, "dest_kms_arn": self.replica_key,
            "dest_kms_region": REPLICA_REGION, "iam_role_name": source,
            **{name: str(self.folder / f"{name}.json") for name in ("trust_policy", "permissions_policy", "bkt_replication_config")}}
        document = string.Template((HERE.parent / "local" / "walkthroughs" / "s3-crr-with-kms-encryption.json").read_text())
        Path(variables["permissions_policy"]).write_text(document.substitute(variables))

        def commands() -> float:
            started = time.perf_counter()
            done = subprocess.run([HERE / "walkthrough.sh"], env={**self.environment, **variables}, capture_output=True, text=True)
            if done.returncode != 0:
                raise Failed(done.stderr)
            return time.perf_counter() - started

        self.measure("walk-through", "cli", latency, commands)
        self.check_replicates(source)

    def floor(self) -> None:
        """Starts a function that does nothing."""
        with self.function("floor", FLOOR) as function:
            function.invoke({})


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the zips: ours, the floor's, and boto3's with and without the packages of Lambda's Python runtime."""
    packed = folder / "function.zip"

    def zipped(files: dict[str, Path]) -> int:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
            for name, file in files.items():
                package.write(file, name)
        return packed.stat().st_size

    handler = {"boto3_function.py": HERE / "boto3_function.py"}
    site = Path(subprocess.check_output([PYTHON, "-c", "import boto3; print(boto3.__path__[0])"], text=True).strip()).parent
    unwanted = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
    packages = {str(file.relative_to(site)): file for file in site.rglob("*") if file.is_file() and "__pycache__" not in file.parts
                and not file.relative_to(site).parts[0].startswith(unwanted)}
    return {"ours": (BUILT / "function" / "bootstrap.zip").stat().st_size, "floor": zipped({"bootstrap": BUILT / "floor" / "bootstrap"}),
            "boto3": zipped({**packages, **handler}), "boto3_handler": zipped(handler)}


def versions() -> dict[str, str]:
    frozen = subprocess.check_output([PYTHON, "-m", "pip", "freeze", "--disable-pip-version-check"], text=True)
    pinned = dict(line.split("==") for line in frozen.splitlines() if "==" in line)
    return {"python": platform.python_version(), "boto3": pinned["boto3"], "awslambdaric": pinned["awslambdaric"],
            "awscli": importlib.metadata.version("awscli"), "commit": subprocess.check_output(
                ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()}


def measure(runs: int) -> dict[str, Any]:
    started = time.monotonic()
    with local_aws() as aws, Proxy(aws.endpoint) as proxy:
        bench = Bench(aws, proxy)
        for program in COMMANDS:  # compiles Python files, fills the file cache, and makes the shared roles
            bench.run(program, 0, -1)
        bench.clear()
        for run in range(runs):
            for latency in LATENCIES:
                for program in COMMANDS:
                    bench.run(program, latency, run)
                bench.floor()
            for latency in CLI_LATENCIES:
                bench.walkthrough(latency, run)
            print(f"run {run + 1} of {runs}, {time.monotonic() - started:.0f} s", flush=True)
        return {
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "runs": runs, "cores": os.cpu_count(), "machine": platform.machine(),
            "versions": versions(), "start": bench.start, "memory": bench.memory, "zip": sizes(aws.folder), "seconds": bench.seconds,
            "calls": bench.calls, "instructions": instructions.count() if shutil.which("valgrind") else {}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--report", action="store_true", help="writes table and plot of the last measurement, and measures nothing")
    arguments = parser.parse_args()
    try:
        if not arguments.report:
            result = measure(arguments.runs)
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(write())
    except (Failed, FunctionFailed) as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
