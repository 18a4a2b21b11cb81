"""The emulator: MiniStack with the additions that this project needs, all in `ministack_additions`.

* **CloudTrail events.** After a successful or refused change of a bucket, an "AWS API Call via CloudTrail" event is put on the
  default bus of the caller's account in the bucket's Region. Calls of the AWS CLI and of the function's SDK raise events; buckets
  that a CloudFormation stack creates, and S3 Control's `TagResource`, do not.
* **Strict checks of custom-resource responses.** A response that CloudFormation would reject is answered with 400 and fails the
  stack at once. MiniStack alone accepts any body as success.
* **IAM decisions as on AWS.** MiniStack evaluates `role/<name>` and `alias/<name>`, AWS evaluates `role/<path>/<name>` and
  `key/<id>`. MiniStack lacks the condition key `iam:PermissionsBoundary` and the request tags of CreateBucket, and does not evaluate
  CloudWatch calls in CBOR. It does not require `iam:TagRole` and `s3:TagResource` to create a role or a bucket with tags,
  `iam:PassRole` for a role in a replication configuration, `s3:PutObjectTagging` to write an object with tags, and
  `kms:GenerateDataKey` to encrypt an object with a key.
* **DescribeKey across accounts**, if the key policy allows the caller's account.
* **A number for `MaximumConcurrency`.** A template parameter's value reaches MiniStack's queue poller as a string.
* **Replicas with the version id of their source object**, and with the default key of their bucket, if it has one. The buckets that the
  function creates have the replica key as default. In other buckets, MiniStack gives a replica the source object's key.
* **Default encryption of buckets in stacks.** MiniStack's CloudFormation ignores it.
* **Function code from a bucket of another account**, but not of another Region.
* **A stand-in for S3 Batch Operations**: jobs that replicate the current versions of objects whose list S3 generates, with a report and
  `JobStatusChanged` events. MiniStack has no jobs.
* **SQS's `StartMessageMoveTask`**, at once and only from a dead-letter queue to the queues of origin.
* **Step Functions as the walk uses it.** `listBuckets` takes page size and Region; a distributed map takes JSONata and starts no more
  children after its execution is stopped; a state machine has only the rights of its role. Retry intervals are a hundredth of those on AWS.
* **The requests** of the AWS SDK for Rust, in `requests.jsonl` of the temporary folder, for the oracle.
* **Records** of the S3, IAM, KMS and STS calls (`GET /_standin/calls`), of the IAM decisions about the calls of every service
  (`GET /_standin/decisions`), of the payload names of all invocations (`GET /_standin/invocations`) and of the responses to
  CloudFormation (`GET /_standin/replies`).

A run against the emulator does not test: that S3 can use the keys (replicas have the source's key or their bucket's), that the
replication role's rights suffice (S3 does not assume it), what Lambda does with the function's role (read the queue, write the log),
trust policies, propagation delays, throttling, and the limits of Step Functions (256 KiB, 25,000 events). Tests with the IAM simulator
cover policies and trust policies; the rest needs AWS.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys

from ministack_additions import install


def free_port(requested: int) -> int:
    """The requested port of 127.0.0.1, or a free one if that is 0; exits if it cannot be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", requested))
        except (OSError, OverflowError) as error:
            sys.exit(f"port `{requested}` cannot be used: {error.args[-1].lower()}")
        return probe.getsockname()[1]


def main() -> None:
    """Prints the endpoint as one line on standard output, then serves it."""
    parser = argparse.ArgumentParser(description="a local AWS, without network, for tests and the demonstration")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    port = free_port(parser.parse_args().port)
    endpoint = f"http://127.0.0.1:{port}"
    # The functions inherit this environment, so it must hold nothing of the user's, least of all credentials.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    os.environ.clear()
    os.environ.update(kept, AUTH="true", BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), AWS_ENDPOINT_URL=endpoint,
                      SFN_WAIT_SCALE="0.01")
    install()
    print(endpoint, flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent reads one line only
    sys.argv = sys.argv[:1]
    from ministack import app

    app.main()


if __name__ == "__main__":
    main()
