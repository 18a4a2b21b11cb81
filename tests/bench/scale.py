"""The summary of `make scale`: what the walks took on the local AWS and in-process, and the rounds that the tests record for a bucket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import walk_cost
from report import rows

FOLDER = Path(__file__).resolve().parents[2] / "target" / "scale"


def main() -> None:
    table = [["`RoleScope`", "walk", "buckets", "roles", "calls a bucket", "rounds a bucket", "invocations", "state transitions", "seconds"]]
    for scope in ("Bucket", "Policy"):
        for walk, recorded in zip(json.loads((FOLDER / f"{scope}.json").read_text()), ("first", "later"), strict=True):
            buckets, rounds = walk["buckets"], walk_cost.CASES[f"`RoleScope: {scope}`"][recorded].rounds
            table.append([scope, walk["walk"], f"{buckets:,}", f"{walk['roles']:,}", f"{walk['calls'] / buckets:.1f}", str(rounds),
                          f"{walk['invocations']:,}", f"{walk['transitions']:,}", f"{walk['seconds']:.0f}"])
    print("\nThe local AWS, with IAM's decisions about the function's calls; calls to S3, IAM and KMS:\n")
    print(rows(table))
    print("In-process, `RoleScope: Policy`, one role, all calls:\n")
    for calls, walk, buckets in re.findall(r"(\d+) calls of the (\w+) walk over (\d+) buckets", (FOLDER / "in-process.txt").read_text()):
        size = int(buckets)
        print(f"- {walk} walk over {size:,} buckets: {int(calls) / size:.1f} calls a bucket, {size // walk_cost.BATCH:,} invocations")


if __name__ == "__main__":
    main()
