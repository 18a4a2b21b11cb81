"""`make invoke EVENT=file`: runs the built function on one event, under AWS's own Runtime API, against a local AWS.

The Runtime API is AWS's own emulator of it, which the SAM CLI brings. The buckets and keys of this account that the event
names are made first, destinations in the Region of the replica key. KMS gives keys their ids, so the event's key ARNs become those of
the keys that were made, and its `ResponseURL` becomes one of the local AWS.
"""

from __future__ import annotations

import json
import platform
import re
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import samcli.local
from local_aws import ACCOUNT, FUNCTION, POLICY_RULE, REPLICA_REGION, Failed, LocalAws, local_aws, running, wait_until

RUNTIME_API = Path(samcli.local.__file__).with_name("rapid") / (
    "aws-lambda-rie-arm64" if platform.machine() in ("aarch64", "arm64") else "aws-lambda-rie-x86_64")
CALLBACK = "/_ministack/cfn-response/invoke"
KEY = rf"arn:aws:kms:[a-z0-9-]+:{ACCOUNT}:(?:key|alias)/[\w/-]+"
REPLICA_KEY = r'"ReplicaKmsKeyArn":\s*"arn:aws:kms:([a-z0-9-]+):'
BUCKET = r'\\?"(?:%s)\\?":\s*\\?"(?:arn:aws:s3:::)?([^"\\{]+)'


def prepared(aws: LocalAws, event: str) -> str:
    """The event, with all that it names made in the local AWS."""
    for arn in {POLICY_RULE["ReplicaKmsKeyArn"], *re.findall(KEY, event)}:
        region, name = arn.split(":")[3], arn.split(":")[5]
        key = aws.create_key(region)
        if name.startswith("alias/"):
            aws.client("kms", region).create_alias(AliasName=name, TargetKeyId=key)
        else:
            event = event.replace(arn, key)
    sources = set(re.findall(BUCKET % "SourceBucket|bucketName|resourceArn", event))
    destinations = set(re.findall(BUCKET % "DestinationBucket", event)) - sources
    if not re.search(r'\\?"eventName\\?":\s*\\?"DeleteBucket\\?"', event):
        source_key = aws.create_key()
        for bucket in sources:
            aws.create_bucket(bucket, key=source_key)
    region = re.search(REPLICA_KEY, event)
    for bucket in destinations:
        aws.create_bucket(bucket, region[1] if region else REPLICA_REGION)
    return re.sub(r'("ResponseURL":\s*")[^"]+', rf"\g<1>{aws.endpoint}{CALLBACK}", event)


def invoke(file: Path) -> None:
    """Prints the function's log to the standard error, and its answer."""
    try:
        event = file.read_text()
        json.loads(event)
    except OSError as error:
        raise Failed(f"event `{file}` cannot be read: {error.strerror.lower()}") from error
    except ValueError as error:
        raise Failed(f"event `{file}` is not JSON: {error}") from error
    with local_aws() as aws:
        payload = prepared(aws, event).encode()
        ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        invocations, runtime = (f"127.0.0.1:{port.getsockname()[1]}" for port in ports)
        for port in ports:
            port.close()
        environment = {**aws.environment, "AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
                       "REPLICATION_POLICY": json.dumps({"Rules": [POLICY_RULE]})}
        command = [str(RUNTIME_API), "--runtime-interface-emulator-address", invocations, "--runtime-api-address", runtime]
        log = aws.folder / "function.log"
        with running([*command, str(FUNCTION)], environment, log):
            host, _, port = invocations.partition(":")
            wait_until("Lambda's Runtime API", lambda: listening(host, int(port)))
            request = urllib.request.Request(f"http://{invocations}/2015-03-31/functions/function/invocations", payload)
            with urllib.request.urlopen(request, timeout=90) as response:
                answer = json.load(response)
        print("".join(line for line in log.read_text().splitlines(keepends=True) if line.startswith("{")), file=sys.stderr)
        texts = [plan.pop("Text", "") for plan in answer.get("Rules", [answer])] if isinstance(answer, dict) else []
        print(json.dumps(answer, indent=2))
        for text in texts:
            print(f"\n{text}".rstrip())
        for reply in aws.recorded("replies"):
            print("put to ResponseURL:", json.dumps(json.loads(reply["Body"]), indent=2))
    if isinstance(answer, dict) and "errorMessage" in answer:
        raise Failed("the function answered with an error")


def listening(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        invoke(Path(sys.argv[1]))
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
