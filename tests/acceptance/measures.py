"""What the function took: Lambda's reports in its log, and its calls in CloudTrail's event history."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median

from run import LeftOut, Run

# Lambda's line about an invocation: `REPORT RequestId: … Duration: 12.3 ms … Max Memory Used: 40 MB Init Duration: 80 ms`.
FIELD = {name: re.compile(rf"\b{name}: ([\d.]+) ") for name in ("Init Duration", "Max Memory Used")} | {
    "Duration": re.compile(r"(?<!Billed )(?<!Init )Duration: ([\d.]+) ms")}


def step(run: Run) -> str:
    """Cold starts, durations and memory of the function in the first Region."""
    lines = report_lines(run)
    values = fields(lines)
    run.measures.append(("invocations", str(len(lines))))
    for name, unit in (("Duration", "ms"), ("Max Memory Used", "MB"), ("Init Duration", "ms")):
        if found := values[name]:
            run.measures.append((name, f"median {median(found):.0f} {unit}, most {max(found):.0f} {unit} ({len(found)})"))
    run.needs_aws("cold starts: the emulator reports none, and its durations and its memory are not Lambda's")
    return "; ".join(f"{name}: {value}" for name, value in run.measures)


def fields(lines: list[str]) -> dict[str, list[float]]:
    """The values of each field in Lambda's reports."""
    return {name: [float(found[1]) for line in lines if (found := pattern.search(f"{line} "))] for name, pattern in FIELD.items()}


def report_lines(run: Run) -> list[str]:
    """Lambda's reports in the function's log."""
    group = run.account.client("cloudformation").describe_stack_resource(
        StackName=run.made.application_stack(run.regions[0]), LogicalResourceId="FunctionLogGroup")["StackResourceDetail"]["PhysicalResourceId"]

    def found() -> list[str] | None:
        pages = run.account.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern="REPORT")
        return [event["message"] for page in pages for event in page["events"] if event["message"].startswith("REPORT")] or None

    return run.account.wait("a report of Lambda in the function's log", found, 300)


def calls(run: Run) -> str:
    """The function's calls of the last hours, by operation. CloudTrail's event history shows them some minutes later."""
    if run.account.is_emulator:
        raise LeftOut("the emulator's CloudTrail has no event history")
    user = {"AttributeKey": "Username", "AttributeValue": run.function(run.regions[0])}
    start = datetime.now(UTC) - timedelta(hours=6)

    def found() -> list[str] | None:
        pages = run.account.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=[user], StartTime=start)
        return [event["EventName"] for page in pages for event in page["Events"]] or None

    counted = Counter(run.account.wait("calls of the function in CloudTrail's event history", found, 1200))
    run.measures.append(("calls that CloudTrail's event history has", ", ".join(f"{count} {name}" for name, count in counted.most_common())))
    return f"{counted.total()} calls"
