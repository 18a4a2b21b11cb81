"""What walks took, kept in target/scale for the summary of `make scale`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from conftest import Application
from local_aws import ROOT

FOLDER = ROOT / "target" / "scale"


@dataclass
class WalkFigures:
    """One walk of the state machine. Calls are those to S3, IAM and KMS."""

    walk: str
    buckets: int
    roles: int
    calls: int
    invocations: int
    transitions: int
    seconds: float


def transitions(app: Application, execution: str) -> int:
    """The state transitions of an execution: the states that it has entered, and one for each batch, of which the emulator keeps no history."""
    states = app.aws.client("stepfunctions")
    history = states.get_paginator("get_execution_history").paginate(executionArn=execution)
    entered = sum(event["type"].endswith("StateEntered") for page in history for event in page["events"])
    runs = states.list_map_runs(executionArn=execution)["mapRuns"]
    batches = (page["executions"] for run in runs for page in states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]))
    return entered + sum(map(len, batches))


def record(scope: str, walks: list[WalkFigures]) -> None:
    """Keeps the figures of this `RoleScope`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{scope}.json").write_text(json.dumps([asdict(walk) for walk in walks]))
