"""What a walk over 10,000 buckets in each of 30 Regions costs: calls, time and money, before and after batches and `RoleScope` Policy.

    python tests/bench/walk_cost.py

The calls and rounds of a bucket are those that the tests record (`tests/it/snapshots`); those of "before" were recorded at commit e7ee3db.
Each bucket matches one rule, and has a destination that the function creates. Nothing was measured on AWS: a call is assumed to take 60 ms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SNAPSHOTS = Path(__file__).resolve().parents[1] / "it" / "snapshots"
BUCKETS, REGIONS = 10_000, 30
PAGE, AT_ONCE, SECONDS_OF_A_CALL, MEMORY_GB = 250, 5, 0.06, 0.25

# AWS's public prices in us-east-1 in US dollars, as remembered in November 2026: they could not be fetched. Other Regions differ.
PRICES = {
    "Lambda, requests": 0.20 / 1e6, "Lambda, GB-seconds (arm64)": 0.0000133334, "Step Functions, state transitions": 25 / 1e6,
    "S3, reads": 0.0004 / 1e3, "S3, writes": 0.005 / 1e3, "KMS": 0.03 / 1e4, "DynamoDB, reads": 0.125 / 1e6, "DynamoDB, writes": 0.625 / 1e6,
    "CloudWatch": 0.01 / 1e3, "IAM": 0.0,
}
SERVICES = {"Role": "IAM", "Key": "KMS", "Alarms": "CloudWatch", "Lease": "DynamoDB, writes", "Generation": "DynamoDB, reads"}


@dataclass
class Bucket:
    """What one bucket takes."""

    calls: dict[str, float]
    rounds: int


def recorded(snapshot: str, iam_of_the_walk: int = 0) -> Bucket:
    """The calls and rounds of a recorded event. `GetRole` is three requests: with it go the lists of its policies."""
    text = (SNAPSHOTS / f"it__{snapshot}.snap").read_text()
    calls = {"IAM": float(iam_of_the_walk)} if iam_of_the_walk else {}
    for operation in re.findall(r"^ *(?:\d+\. )?([A-Z]\w+) on ", text, re.MULTILINE):
        service = next((service for part, service in SERVICES.items() if part in operation), None)
        service = service or ("S3, reads" if operation.startswith(("Get", "Head", "List")) else "S3, writes")
        calls[service] = calls.get(service, 0) + (3 if operation == "GetRole" else 1)
    return Bucket(calls, len(re.findall(r"^ *\d+\. ", text, re.MULTILINE)))


# Scope and code, buckets of an invocation, and a bucket that is configured and one that is as the policy says.
CASES = {
    "before, a role for each bucket": (1, {
        "first": Bucket({"IAM": 5, "S3, reads": 10, "S3, writes": 6, "KMS": 2, "DynamoDB, reads": 1, "DynamoDB, writes": 2}, 7),
        "later": Bucket({"IAM": 4, "S3, reads": 13, "KMS": 2, "DynamoDB, reads": 1, "CloudWatch": 1}, 2)}),
    "now, `RoleScope` Bucket": (25, {
        "first": recorded("rounds__new_bucket_and_destination"), "later": recorded("rounds__new_bucket_again")}),
    # A walk also looks for a role of the bucket's own that the shared role has replaced, which is a round more.
    "now, `RoleScope` Policy": (25, {
        "first": recorded("role_scope__new_bucket_with_created_destination", 3),
        "later": recorded("role_scope__next_event_with_created_destination", 3)}),
}


def cost(in_invocation: int, bucket: Bucket) -> tuple[dict[str, float], float]:
    """The amounts of one walk in all Regions, and its hours in one Region."""
    buckets = BUCKETS * REGIONS
    invocations = buckets / in_invocation
    transitions = invocations + 3 * buckets / PAGE
    seconds_of_a_bucket = bucket.rounds * SECONDS_OF_A_CALL
    in_parallel = min(in_invocation, AT_ONCE)
    amounts = {
        "Lambda, requests": invocations, "Lambda, GB-seconds (arm64)": buckets * seconds_of_a_bucket * MEMORY_GB / in_parallel,
        "Step Functions, state transitions": transitions, **{service: calls * buckets for service, calls in bucket.calls.items()}}
    return amounts, BUCKETS / AT_ONCE * seconds_of_a_bucket / 3600


def main() -> None:
    print(f"{BUCKETS:,} buckets x {REGIONS} Regions, {AT_ONCE} at once in each Region, {SECONDS_OF_A_CALL * 1000:.0f} ms a call (assumed)\n")
    for walk in ("first", "later"):
        print(f"{walk} walk")
        for case, (in_invocation, buckets) in CASES.items():
            amounts, hours = cost(in_invocation, buckets[walk])
            dollars = sum(PRICES[what] * amount for what, amount in amounts.items())
            calls = sum(buckets[walk].calls.values())
            print(f"  {case:32} {calls:4.0f} calls a bucket, {calls * BUCKETS * REGIONS / 1e6:5.2f} million in all, {amounts.get('IAM', 0) / 1e6:.2f} "
                  f"to IAM; {amounts['Lambda, requests']:>7,.0f} invocations, {amounts['Step Functions, state transitions']:>7,.0f} state "
                  f"transitions; {hours * 60:4.0f} minutes; ${dollars:.2f}")
            print("    " + ", ".join(f"{what} ${PRICES[what] * amount:.2f}" for what, amount in amounts.items() if PRICES[what] * amount >= 0.005))
        print()


if __name__ == "__main__":
    main()
