"""What a walk over 10,000 buckets in each of 30 Regions costs: calls, time and money, before and after batches and `RoleScope` Policy. Writes
the table in docs/walk-and-scale.md, and prints it with the parts of the price.

    python tests/bench/walk_cost.py

The calls and rounds of a bucket are those that the tests record: today's in `tests/it/snapshots`, those of "before" in `tests/bench/before`,
where they are as commit e7ee3db recorded them. The sizes of pages and batches are those of `template.yaml`; `test_walk.py` counts the state
transitions. Each bucket matches one rule, and has a destination that the function creates. Nothing was measured on AWS: a call is assumed to
take 60 ms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from report import put, rows

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "docs" / "walk-and-scale.md"
BEGIN = "<!-- Written by tests/bench/walk_cost.py -->\n"
BEFORE, NOW = HERE / "before", HERE.parent / "it" / "snapshots"
TEMPLATE = (HERE.parents[1] / "template.yaml").read_text()


def of_template(pattern: str) -> int:
    """The number in the template's only line that matches the pattern."""
    number, = re.findall(pattern, TEMPLATE)
    return int(number)


BUCKETS, REGIONS = 10_000, 30
PAGE = of_template(r"'MaxBuckets': (\d+)")
BATCH = of_template(r"MaxItemsPerBatch: .* \? 1 : (\d+) %")
AT_ONCE = of_template(r"  WalkConcurrency:\n    Description: >-\n(?: {6}.*\n)+(?:    .*\n)*?    Default: (\d+)")
MEMORY_GB = of_template(r"MemorySize: (\d+)") / 1024
SECONDS_OF_A_CALL = 0.06
TRANSITIONS_OF_A_PAGE, TRANSITIONS_OF_A_WALK = 3, 4

# AWS's public prices in us-east-1 in US dollars, as remembered in November 2026: they could not be fetched. Other Regions differ.
PRICES = {
    "Lambda, requests": 0.20 / 1e6, "Lambda, GB-seconds (arm64)": 0.0000133334, "Step Functions, state transitions": 25 / 1e6,
    "S3, reads": 0.0004 / 1e3, "S3, writes": 0.005 / 1e3, "KMS": 0.03 / 1e4, "DynamoDB, reads": 0.125 / 1e6, "DynamoDB, writes": 0.625 / 1e6,
    "CloudWatch": 0.01 / 1e3, "IAM": 0.0,
}
OF_A_BATCH = "GetAccountSummary"
SERVICES = {"Role": "IAM", OF_A_BATCH: "IAM", "Key": "KMS", "Alarms": "CloudWatch", "Lease": "DynamoDB, writes", "Generation": "DynamoDB, reads"}


@dataclass
class Walk:
    """What a walk takes: for each bucket, and for each batch of this many buckets."""

    batch: int
    calls: dict[str, float]
    rounds: int


def recorded(snapshot: Path, batch: int) -> Walk:
    """The calls and rounds of a recorded bucket. `GetRole` on a role is three requests: with it go the lists of its policies."""
    calls: dict[str, float] = {}
    rounds = snapshot.read_text().split("---\n")[2].split(". ")[1:]
    for operation, subject in re.findall(r"([A-Z]\w+) on (\w+)", "".join(rounds)):
        service = next((service for part, service in SERVICES.items() if part in operation), None)
        service = service or ("S3, reads" if operation.startswith(("Get", "Head", "List")) else "S3, writes")
        calls[service] = calls.get(service, 0) + (3 if (operation, subject) == ("GetRole", "role") else 1 / batch if operation == OF_A_BATCH else 1)
    return Walk(batch, calls, sum(OF_A_BATCH not in sent for sent in rounds))


# Scope and code; a walk that configures each bucket, and one that finds each as the policy says.
CASES = {
    "before batches": {
        "first": recorded(BEFORE / "new_bucket_and_destination.snap", 1), "later": recorded(BEFORE / "new_bucket_again.snap", 1)},
    **{f"`RoleScope: {scope}`": {walk: recorded(NOW / f"it__batches__{walk}_walk_{scope}.snap", BATCH) for walk in ("first", "later")}
       for scope in ("Bucket", "Policy")},
}


def cost(walk: Walk) -> tuple[dict[str, float], float]:
    """The amounts of one walk in all Regions, and its minutes in one Region."""
    buckets = BUCKETS * REGIONS
    seconds_of_a_bucket = walk.rounds * SECONDS_OF_A_CALL
    amounts = {
        "Lambda, requests": buckets / walk.batch,
        "Lambda, GB-seconds (arm64)": buckets * seconds_of_a_bucket * MEMORY_GB / min(walk.batch, AT_ONCE),
        "Step Functions, state transitions":
            buckets / walk.batch + TRANSITIONS_OF_A_PAGE * buckets / PAGE + TRANSITIONS_OF_A_WALK * REGIONS,
        **{service: calls * buckets for service, calls in walk.calls.items()}}
    return amounts, BUCKETS / AT_ONCE * seconds_of_a_bucket / 60


def main() -> None:
    print(f"{BUCKETS:,} buckets x {REGIONS} Regions, {AT_ONCE} at once in each Region, {SECONDS_OF_A_CALL * 1000:.0f} ms a call (assumed)\n")
    table = [["walk", "code", "calls a bucket", "in all, million", "to IAM, million", "invocations", "state transitions", "in each Region",
              "US dollars"]]
    parts = []
    for name in ("first", "later"):
        for case, walks in CASES.items():
            walk = walks[name]
            amounts, minutes = cost(walk)
            dollars = {what: PRICES[what] * amount for what, amount in amounts.items()}
            calls = sum(walk.calls.values())
            table.append([name, case, f"{calls:.0f}", f"{calls * BUCKETS * REGIONS / 1e6:.1f}", f"{amounts['IAM'] / 1e6:.1f}",
                          f"{amounts['Lambda, requests']:,.0f}", f"{amounts['Step Functions, state transitions']:,.0f}",
                          f"{minutes:.0f} minutes", f"{sum(dollars.values()):.2f}"])
            parts.append(f"{name}, {case}: " + ", ".join(f"{what} ${price:.2f}" for what, price in dollars.items() if price >= 0.005))
    put(DOCUMENT, rows(table), BEGIN)
    print(rows(table), *parts, sep="\n")


if __name__ == "__main__":
    main()
