"""`make emulator`: a local AWS to try the documents' commands on, which runs until Ctrl-C.

It holds what the documents name: the bucket `orders` with a key, the bucket `orders-replica` in another Region, and there the key `alias/dr`.
The profile `destination` is another account.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import textwrap

from local_aws import ACCOUNT, DESTINATION_ACCOUNT, POLICY_RULE, REGION, REPLICA_REGION, TOOLS, Failed, LocalAws, local_aws

SOURCE, DESTINATION = "orders", "orders-replica"


def prepare(aws: LocalAws) -> None:
    """Creates the buckets and keys that the documents name."""
    aws.create_bucket(SOURCE, key=aws.create_key())
    aws.create_bucket(DESTINATION, REPLICA_REGION)
    alias = POLICY_RULE["ReplicaKmsKeyArn"].rpartition(":")[2]
    aws.client("kms", REPLICA_REGION).create_alias(AliasName=alias, TargetKeyId=aws.create_key(REPLICA_REGION))


def profiles(aws: LocalAws) -> str:
    """An AWS configuration file with the profiles that the documents name; its path."""
    file = aws.folder / "config"
    file.write_text(f"[profile destination]\naws_access_key_id = {DESTINATION_ACCOUNT}\naws_secret_access_key = test\n")
    return str(file)


def exports(aws: LocalAws) -> str:
    """The shell commands after which every client speaks to the local AWS, and to no other."""
    variables = {
        "AWS_ENDPOINT_URL": aws.endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "",
        "AWS_CONFIG_FILE": profiles(aws), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return f'unset AWS_PROFILE AWS_SESSION_TOKEN\nexport {assignments}\nexport PATH="$PATH:"{shlex.quote(str(TOOLS))}\n'


def serve(port: int) -> None:
    with local_aws(port) as aws:
        prepare(aws)
        print(textwrap.dedent(f"""\
            # A local AWS runs on {aws.endpoint} until you press Ctrl-C here. Its account {ACCOUNT} holds the bucket {SOURCE} with a
            # KMS key ({REGION}), the bucket {DESTINATION} ({REPLICA_REGION}) and the key alias/dr ({REPLICA_REGION}). The profile
            # `destination` is account {DESTINATION_ACCOUNT}.
            # Paste these lines into another terminal:
            """) + exports(aws), flush=True)
        signal.pause()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="port of the local AWS (default: a free one)")
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        serve(port)
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
