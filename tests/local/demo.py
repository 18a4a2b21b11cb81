"""`make demo`: deploys the function to a local AWS and shows it set up replication, for an event and for a CloudFormation stack. It ends
with the diagnosis of a bucket that AWS's walk-through sets up.

Every step uses the SAM CLI or the AWS CLI, and succeeds only after the AWS CLI has read back the expected result.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import string
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_aws import POLICY_RULE, REGION, REPLICA_REGION, ROOT, ClientError, Failed, LocalAws, local_aws, wait_until

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BOLD, DIM, GREEN, RED = ("\033[1m", "\033[2m", "\033[32m", "\033[31m") if COLOUR else ("", "", "", "")
PLAIN = "\033[0m" if COLOUR else ""

PROGRAM = ROOT / "target" / "debug" / "s3-kms-replication"
WALKTHROUGH = Path(__file__).with_name("walkthroughs") / "aws-replication-walkthrough-4.json"
STACK = "tax-records"
TEMPLATE = """\
Resources:
  Replication:
    Type: Custom::S3KmsReplication
    Properties:
      ServiceToken: !ImportValue app-ServiceToken
      SourceBucket: ledger
      DestinationBucket: ledger-in-oregon
      ReplicaKmsKeyArn: {replica_key}
      Prefix: Tax
"""


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Prints one line of progress; the block must verify what the line says."""
    started = time.monotonic()
    if COLOUR:
        print(f"  {DIM}… {text[:shutil.get_terminal_size().columns - 5]}{PLAIN}", end="", flush=True)
    try:
        yield
    except BaseException:
        print(f"\r\033[K  {RED}✗{PLAIN} {text}" if COLOUR else f"  FAILED  {text}", flush=True)
        raise
    mark = f"\r\033[K  {GREEN}✓{PLAIN}" if COLOUR else "  ok  "
    print(f"{mark} {text} {DIM}({time.monotonic() - started:.1f} s){PLAIN}", flush=True)


def heading(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Failed(f"{what} is `{found}`, not `{wanted}`")


def read(aws: LocalAws, missing: str, *arguments: str, region: str = REGION) -> Any:
    """What the AWS CLI reads, or `None` if AWS returns the error `missing`."""
    try:
        return aws.aws(*arguments, region=region)
    except ClientError as error:
        if missing in str(error):
            return None
        raise


def replication(aws: LocalAws, bucket: str) -> dict[str, Any] | None:
    """A bucket's rule, role, destination and keys, or `None` if the bucket has no rule."""
    answer = read(aws, "ReplicationConfigurationNotFoundError", "s3api", "get-bucket-replication", "--bucket", bucket)
    if not answer:
        return None
    configuration = answer["ReplicationConfiguration"]
    rule = configuration["Rules"][0]
    destination = rule["Destination"]["Bucket"].rpartition(":")[2]
    role = configuration["Role"].rpartition("/")[2]
    policy = aws.aws("iam", "get-role-policy", "--role-name", role, "--policy-name", rule["ID"])["PolicyDocument"]
    versioning = [aws.aws("s3api", "get-bucket-versioning", "--bucket", name, region=region).get("Status")
                  for name, region in ((bucket, REGION), (destination, REPLICA_REGION))]
    return {"rule": rule, "role": configuration["Role"], "destination": destination, "versioning": versioning,
            "replica_key": rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"],
            "keys": {arn for statement in policy["Statement"] for arn in as_list(statement["Resource"]) if ":kms:" in arn}}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def await_replication(aws: LocalAws, bucket: str, destination: str, source_key: str, replica_key: str) -> dict[str, Any]:
    """Waits for the bucket's replication, checks it against the request, and returns it."""
    def granted() -> dict[str, Any] | None:
        found = replication(aws, bucket)
        return found if found and source_key in found["keys"] else None

    found = wait_until(f"replication of bucket `{bucket}` with its key", granted, 60)
    expect("the rule", found["rule"]["Status"], "Enabled")
    expect("the destination", found["destination"], destination)
    expect("the replica's key", found["replica_key"], replica_key)
    expect("the keys that the role may use", found["keys"], {source_key, replica_key})
    expect("versioning of source and destination", found["versioning"], ["Enabled", "Enabled"])
    return found


def encrypt(aws: LocalAws, bucket: str, key: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws.aws("s3api", "put-bucket-encryption", "--bucket", bucket,
            "--server-side-encryption-configuration", json.dumps({"Rules": [rule]}))
    held = aws.aws("s3api", "get-bucket-encryption", "--bucket", bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    expect("the bucket's key", held["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"], key)


def put_object(aws: LocalAws, bucket: str, name: str, source_key: str) -> None:
    body = aws.folder / "object.txt"
    body.write_text("paid\n")
    aws.aws("s3api", "put-object", "--bucket", bucket, "--key", name, "--body", str(body),
            "--server-side-encryption", "aws:kms", "--ssekms-key-id", source_key)


def replica_status(aws: LocalAws, destination: str, name: str) -> str:
    head = wait_until(f"replica of `{name}`", lambda: read(
        aws, "404", "s3api", "head-object", "--bucket", destination, "--key", name, region=REPLICA_REGION), 60)
    expect("ReplicationStatus", head.get("ReplicationStatus"), "REPLICA")
    expect("the replica's encryption", head.get("ServerSideEncryption"), "aws:kms")
    return head["ReplicationStatus"]


def prepare(aws: LocalAws) -> tuple[str, str]:
    """Creates a source key and a replica key, deploys the function, and returns the keys."""
    with step("$ aws kms create-key, in us-east-1 and, for replicas, in us-west-2"):
        source_key, replica_key = (aws.aws("kms", "create-key", region=region)["KeyMetadata"]["Arn"]
                                   for region in (REGION, REPLICA_REGION))
        aws.aws("kms", "create-alias", "--alias-name", "alias/dr", "--target-key-id", replica_key, region=REPLICA_REGION)
    with step("$ sam deploy, with the policy: prod-* to {bucket}-replica in us-west-2"):
        aws.aws("s3api", "create-bucket", "--bucket", "artifacts")
        outputs = aws.deploy_function({"Rules": [POLICY_RULE]}, AllowCreateDestinationBuckets="true")
        state = aws.aws("lambda", "get-function", "--function-name", outputs["FunctionName"])["Configuration"]["State"]
        expect("the function's state", state, "Active")
    return source_key, replica_key


def by_event(aws: LocalAws, source_key: str, replica_key: str) -> list[str]:
    heading("A new bucket: CloudTrail event → EventBridge → SQS → function")
    with step("$ aws s3api create-bucket --bucket prod-orders"):
        aws.aws("s3api", "create-bucket", "--bucket", "prod-orders")
        aws.aws("s3api", "head-bucket", "--bucket", "prod-orders")
    with step("$ aws s3api put-bucket-encryption --bucket prod-orders, with a KMS key"):
        encrypt(aws, "prod-orders", source_key)
    with step("the function made prod-orders-replica, versioning, role and rule"):
        found = await_replication(aws, "prod-orders", "prod-orders-replica", source_key, replica_key)
    with step("$ aws s3api put-object --key 2026/1.json: its replica is in us-west-2"):
        put_object(aws, "prod-orders", "2026/1.json", source_key)
        status = replica_status(aws, found["destination"], "2026/1.json")
    return ["event: bucket prod-orders,\npolicy rule dr", summary(found), f"2026/1.json: {status}"]


def by_cloudformation(aws: LocalAws, source_key: str, replica_key: str) -> list[str]:
    heading("A resource in a stack: Custom::S3KmsReplication")
    print(textwrap.indent(TEMPLATE.format(replica_key="<the key in us-west-2>"), f"      {DIM}") + PLAIN, end="")
    template = aws.folder / "stack.yaml"
    template.write_text(TEMPLATE.format(replica_key=replica_key))
    with step("$ aws s3api create-bucket: ledger, with a KMS key, and ledger-in-oregon"):
        aws.aws("s3api", "create-bucket", "--bucket", "ledger")
        encrypt(aws, "ledger", source_key)
        aws.aws("s3api", "create-bucket", "--bucket", "ledger-in-oregon",
                "--create-bucket-configuration", f"LocationConstraint={REPLICA_REGION}", region=REPLICA_REGION)
    with step(f"$ sam deploy --stack-name {STACK}: versioning, role and rule are there"):
        aws.deploy(STACK, template)
        found = await_replication(aws, "ledger", "ledger-in-oregon", source_key, replica_key)
        expect("the rule's filter", found["rule"]["Filter"], {"Prefix": "Tax"})
    with step("$ aws s3api put-object --key Tax/2026.txt: replicated"):
        put_object(aws, "ledger", "Tax/2026.txt", source_key)
        status = replica_status(aws, found["destination"], "Tax/2026.txt")
    with step("$ aws s3api put-object --key notes.txt: outside the prefix, not replicated"):
        put_object(aws, "ledger", "notes.txt", source_key)
        listed = aws.aws("s3api", "list-objects-v2", "--bucket", found["destination"], region=REPLICA_REGION)
        expect("what the destination holds", [entry["Key"] for entry in listed["Contents"]], ["Tax/2026.txt"])
    role = found["role"].rpartition("/")[2]
    with step("$ aws cloudformation delete-stack: rule and role gone, replicas kept"):
        aws.aws("cloudformation", "delete-stack", "--stack-name", STACK)
        wait_until("the end of the stack", lambda: not read(
            aws, "does not exist", "cloudformation", "describe-stacks", "--stack-name", STACK), 120)
        expect("replication of `ledger`", replication(aws, "ledger"), None)
        expect("the role", read(aws, "NoSuchEntity", "iam", "get-role", "--role-name", role), None)
        replica_status(aws, found["destination"], "Tax/2026.txt")
    return [f"stack: {STACK},\nbucket ledger, prefix Tax", summary(found) + "\n(both gone with the stack)",
            f"Tax/2026.txt: {status}\nnotes.txt: not replicated"]


def by_walkthrough(aws: LocalAws, source_key: str, replica_key: str) -> str:
    """Sets up a bucket as AWS's walk-through does, and returns what `diagnose` says about it."""
    heading("A bucket that others set up: by AWS's walk-through, replication-walkthrough-4")
    names = {"src_bkt": "by-walkthrough", "dest_bkt": "by-walkthrough-copy", "src_kms_arn": source_key, "dest_kms_arn": replica_key,
             "src_kms_region": REGION, "dest_kms_region": REPLICA_REGION}
    policy = string.Template(WALKTHROUGH.read_text()).substitute(names)
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    with step("$ aws s3api create-bucket, put-bucket-versioning, for both buckets"):
        aws.aws("s3api", "create-bucket", "--bucket", names["src_bkt"])
        encrypt(aws, names["src_bkt"], source_key)
        aws.aws("s3api", "create-bucket", "--bucket", names["dest_bkt"],
                "--create-bucket-configuration", f"LocationConstraint={REPLICA_REGION}", region=REPLICA_REGION)
        for bucket, region in ((names["src_bkt"], REGION), (names["dest_bkt"], REPLICA_REGION)):
            aws.aws("s3api", "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled", region=region)
    with step("$ aws iam create-role, put-role-policy; aws s3api put-bucket-replication"):
        role = aws.aws("iam", "create-role", "--role-name", "replicationRolekmsobj",
                       "--assume-role-policy-document", json.dumps(trust))["Role"]["Arn"]
        aws.aws("iam", "put-role-policy", "--role-name", "replicationRolekmsobj", "--policy-name", "replicationRolechangeownerPolicy",
                "--policy-document", policy)
        rule = {"ID": "walkthrough", "Priority": 1, "DeleteMarkerReplication": {"Status": "Disabled"}, "Filter": {"Prefix": "Tax"},
                "Status": "Enabled", "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                "Destination": {"Bucket": f"arn:aws:s3:::{names['dest_bkt']}", "EncryptionConfiguration": {"ReplicaKmsKeyID": replica_key}}}
        aws.aws("s3api", "put-bucket-replication", "--bucket", names["src_bkt"],
                "--replication-configuration", json.dumps({"Role": role, "Rules": [rule]}))
    with step(f"$ s3-kms-replication diagnose --source-bucket {names['src_bkt']}: it fails"):
        done = subprocess.run([PROGRAM, "diagnose", "--source-bucket", names["src_bkt"]], env=aws.environment,
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 4 or "EncryptionContextNotGranted" not in done.stdout:
            raise Failed(f"diagnose ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def summary(found: dict[str, Any]) -> str:
    source_keys = found["keys"] - {found["replica_key"]}
    return (f"rule {short(found['rule']['ID'])}\n  to {found['destination']}, key …{found['replica_key'][-6:]}\n"
            f"role {found['role'].partition(':role')[2]}\n  decrypts with key …{next(iter(source_keys))[-6:]}")


def short(text: str, width: int = 52) -> str:
    return text if len(text) <= width else f"{text[:width - 1]}…"


def table(rows: list[list[str]]) -> None:
    widths = [max(len(line) for row in rows for line in row[column].splitlines()) for column in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    for number, row in enumerate(rows):
        cells = [cell.splitlines() for cell in row]
        for line in range(max(len(cell) for cell in cells)):
            parts = [(cell[line] if line < len(cell) else "").ljust(width) for cell, width in zip(cells, widths, strict=True)]
            text = "   ".join(parts).rstrip()
            print(f"  {BOLD}{text}{PLAIN}" if number == 0 else f"  {text}")
        print(f"  {DIM}{rule}{PLAIN}")


def demonstrate(port: int) -> None:
    print(f"{BOLD}s3-kms-replication on a local AWS{PLAIN}")
    started = time.monotonic()
    heading("Preparation")
    with contextlib.ExitStack() as stack:
        with step("a local AWS runs on 127.0.0.1"):
            aws = stack.enter_context(local_aws(port))
        try:
            source_key, replica_key = prepare(aws)
            rows = [by_event(aws, source_key, replica_key), by_cloudformation(aws, source_key, replica_key)]
            diagnosis = by_walkthrough(aws, source_key, replica_key)
        except Failed:
            print(f"\nThe function's log:\n{aws.function_log()}", file=sys.stderr)
            raise
    heading("Requests, and what the AWS CLI read back")
    table([["request", "S3 and IAM", "replica"], *rows])
    heading("What diagnose found in the walk-through's bucket")
    print(textwrap.indent(diagnosis, "  "))
    print(textwrap.dedent(f"""
        The local AWS copies an object whatever key and role a rule names: the demonstration proves the configuration and
        the way to it, not that S3 may use the keys. Verified and stopped after {time.monotonic() - started:.0f} seconds."""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="port of the local AWS (default: a free one)")
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demonstrate(port)
    except Failed as failure:
        print(f"\n{RED}failed:{PLAIN} {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
