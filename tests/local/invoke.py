"""`make invoke EVENT='file …'`: runs the built function on events, one after the other, under AWS's own Runtime API, against a local AWS.

The Runtime API is AWS's own emulator of it, which the SAM CLI brings. The buckets and keys of this account that the events
name are made first, destinations in the Region of the replica key and encrypted with it. KMS gives keys their ids, so the events' key ARNs
become those of the keys that were made, and their `ResponseURL` becomes one of the local AWS.
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
from typing import Any

import samcli.local
from local_aws import ACCOUNT, FUNCTION, POLICY_RULE, REPLICA_REGION, Failed, LocalAws, local_aws, running, wait_until

RUNTIME_API = Path(samcli.local.__file__).with_name("rapid") / (
    "aws-lambda-rie-arm64" if platform.machine() in ("aarch64", "arm64") else "aws-lambda-rie-x86_64")
CALLBACK = "/_ministack/cfn-response/invoke"
KEY = rf"arn:aws:kms:[a-z0-9-]+:{ACCOUNT}:(?:key|alias)/[\w/-]+"
REPLICA_KEY = r'"ReplicaKmsKeyArn":\s*"%s"'
BUCKET = r'\\?"(?:%s)\\?":\s*\\?"(?:arn:aws:s3:::)?([^"\\{]+)'


def read(file: Path) -> str:
    """The text of an event."""
    try:
        event = file.read_text()
        json.loads(event)
    except OSError as error:
        raise Failed(f"event `{file}` cannot be read: {error.strerror.lower()}") from error
    except ValueError as error:
        raise Failed(f"event `{file}` is not JSON: {error}") from error
    return event


def prepared(aws: LocalAws, events: list[str]) -> list[str]:
    """The events, with all that they name made in the local AWS."""
    text = "\0".join(events)
    replica_key = None
    for arn in sorted({POLICY_RULE["ReplicaKmsKeyArn"], *re.findall(KEY, text)}):
        region, name = arn.split(":")[3], arn.split(":")[5]
        key = aws.create_key(region)
        if re.search(REPLICA_KEY % re.escape(arn), text):
            replica_key = key
        if name.startswith("alias/"):
            aws.client("kms", region).create_alias(AliasName=name, TargetKeyId=key)
        else:
            text = text.replace(arn, key)
    sources = set(re.findall(BUCKET % "SourceBucket|bucketName|resourceArn", text))
    destinations = set(re.findall(BUCKET % "DestinationBucket", text)) - sources
    if not re.search(r'\\?"eventName\\?":\s*\\?"DeleteBucket\\?"', text):
        source_key = aws.create_key()
        for bucket in sources:
            aws.create_bucket(bucket, key=source_key)
    for bucket in destinations:
        aws.create_bucket(bucket, replica_key.split(":")[3] if replica_key else REPLICA_REGION, replica_key)
    return re.sub(r'("ResponseURL":\s*")[^"]+', rf"\g<1>{aws.endpoint}{CALLBACK}", text).split("\0")


def answer_to(payload: str, invocations: str) -> Any:
    """The function's answer to one event."""
    request = urllib.request.Request(f"http://{invocations}/2015-03-31/functions/function/invocations", payload.encode())
    with urllib.request.urlopen(request, timeout=90) as response:
        return json.load(response)


def invoke(files: list[Path]) -> None:
    """Prints the function's log to the standard error, and its answers, up to the first that is an error."""
    events = [read(file) for file in files]
    answers = []
    with local_aws() as aws:
        payloads = prepared(aws, events)
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
            for payload in payloads:
                answers.append(answer := answer_to(payload, invocations))
                if isinstance(answer, dict) and "errorMessage" in answer:
                    break
        print("".join(line for line in log.read_text().splitlines(keepends=True) if line.startswith("{")), file=sys.stderr)
        for answer in answers:
            texts = [plan.pop("Text", "") for plan in answer.get("Rules", [answer])] if isinstance(answer, dict) else []
            print(json.dumps(answer, indent=2))
            for text in texts:
                print(f"\n{text}".rstrip())
        for reply in aws.recorded("replies"):
            print("put to ResponseURL:", json.dumps(json.loads(reply["Body"]), indent=2))
    if isinstance(answers[-1], dict) and "errorMessage" in answers[-1]:
        raise Failed("the function answered with an error")


def listening(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        invoke([Path(name) for name in sys.argv[1:]])
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
