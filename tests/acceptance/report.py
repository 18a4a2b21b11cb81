"""The report of a run, in Markdown: its steps, what was measured, and which of the claims of docs/limits.md it settles.

It names no account, so that it can be published.
"""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
from run import FAILED, PASSED, Run

# The areas of the table in docs/limits.md, and the beginnings of what it assumes of AWS, each with the steps that settle it.
# tests/local/test_acceptance.py holds these against the page.
CLAIMS: dict[str, list[str]] = {
    "KMS": ["objects", "verify", "grants"],
    "replication": ["objects", "existing objects"],
    "events": ["event", "event in the second Region"],
    "IAM": ["deploy", "custom resource", "command line", "Terraform's payload", "grants"],
    "S3 Batch Operations": ["existing objects"],
    "SQS": [],
    "Step Functions": [],
    "throttling": [],
    "StackSets": [],
    "Once one reader has seen a new replication configuration": [],
    "A write of a replication configuration that got no answer": [],
    "A writer that does not ask for the lease": [],
    "The clocks of two invocations": [],
    "CloudFormation signs each `ResponseURL`": [],
    "Lambda keeps an asynchronous event": [],
    "S3 no longer replicates an object version that was removed": [],
    "Replication needs what AWS's pages say": ["objects", "grants"],
    "Versioning that was just enabled is known within two minutes": ["custom resource", "command line", "Terraform's payload"],
}


def report(run: Run) -> str:
    """The whole report."""
    place = "the emulator" if run.account.is_emulator else "AWS"
    parts = [
        f"## Run {run.made.record.run} on {place}",
        f"{datetime.now(UTC):%Y-%m-%d}, version {version(run)}, Regions {' and '.join(run.regions)}, boto3 {boto3.__version__}.",
        "### Steps", table(["step", "result", "seconds", "seen"], [
            [each.step, each.status, f"{each.seconds:.0f}", each.seen] for each in run.results]),
    ]
    if run.grants:
        rows = [[grant["statement"], f"`{grant['action']}`", grant["diagnose"], grant["s3"], grant["agree"]] for grant in run.grants]
        parts += ["### Without one grant", table(["statement", "action", "Diagnose", "S3", "agree"], rows)]
    if run.measures:
        parts += ["### Measured", table(["what", "value"], [list(each) for each in run.measures])]
    parts += ["### Claims of limits.md", table(["claim", "result"], [[claim, settled(run, steps)] for claim, steps in CLAIMS.items()])]
    if run.left_out:
        parts += ["### Not looked at", "\n".join(f"- {cell(text)}" for text in dict.fromkeys(run.left_out))]
    # Failures of AWS name ARNs.
    return "\n\n".join(parts).replace(run.account.id, "ACCOUNT") + "\n"


def version(run: Run) -> str:
    """The version of the deployed application."""
    return next((outputs["Version"] for outputs in run.outputs.values()), "not deployed")


def settled(run: Run, steps: list[str]) -> str:
    """What the run says about a claim. A run on the emulator settles none."""
    if not steps:
        return "not looked at"
    if run.account.is_emulator:
        return f"only AWS can tell; steps: {', '.join(steps)}"
    statuses = {result.step: result.status for result in run.results}
    if failed := [step for step in steps if statuses.get(step) == FAILED]:
        return f"not as claimed: {', '.join(failed)} failed"
    if missing := [step for step in steps if statuses.get(step) != PASSED]:
        return f"not looked at: {', '.join(missing)} did not run"
    return f"seen: {', '.join(steps)}"


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell(each) for each in line)} |" for line in lines)


def cell(text: str) -> str:
    """A text on one line, which does not end its cell."""
    return " ".join(text.split()).replace("|", "\\|")
