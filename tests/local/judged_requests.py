"""Runs the oracle on files of requests, and keeps the counts for the end of the tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from local_aws import ROOT

ORACLE_PYTHON = ROOT / ".venv-oracle" / "bin" / "python"
ORACLE = Path(__file__).with_name("oracle.py")
# The requests of the Rust tests of the SDK's wire; `cargo test` writes them.
WIRE_REQUESTS = ROOT / "target" / "tmp" / "wire-requests.jsonl"

JUDGEMENTS: dict[str, dict[str, Any]] = {}


def judge(name: str, file: Path) -> dict[str, Any]:
    """Judges the requests in a file, and keeps the counts under a name."""
    JUDGEMENTS[name] = run_oracle(file)
    return JUDGEMENTS[name]


def run_oracle(file: Path) -> dict[str, Any]:
    """What the oracle says of the requests in a file: `Requests` by operation, those `WithOwner` of a bucket, and `Faults`."""
    if not ORACLE_PYTHON.exists():
        raise FileNotFoundError(f"`{ORACLE_PYTHON}` is missing: `make test` installs it")
    done = subprocess.run([ORACLE_PYTHON, ORACLE, file], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def summary() -> list[str]:
    """One line for each set of requests: how many were judged, by which models, with how many faults."""
    lines = []
    for name, judgement in JUDGEMENTS.items():
        requests = judgement["Requests"]
        configurations = requests.get("s3:PutBucketReplication", 0)
        heads, owners = requests.get("s3:HeadBucket", 0), judgement["WithOwner"].get("s3:HeadBucket", 0)
        lines.append(f"{name}: {sum(requests.values())} requests of {len(requests)} operations, {configurations} of them replication "
                     f"configurations, judged by botocore {judgement['Botocore']}: {len(judgement['Faults'])} faults; "
                     f"{owners} of {heads} HeadBucket name the bucket's owner")
    return lines
