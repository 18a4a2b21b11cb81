"""Counts instructions with Valgrind, independently of machine load: of whole invocations, and of growing inputs.

Fails if a count exceeds that in tests/bench/instructions.json by more than 10 %; `--update` rewrites that file. The counts are of the
debug build of tests/it, with its fake. Counts of different compilers are not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDED = HERE / "instructions.json"

INVOCATION = "s3_kms_replication::handler::handle::{{closure}}"
SIZES = (1, 10, 100, 999)
# The test to run, and the function whose calls are counted.
FLOWS = {
    "Create": ("rounds::create_takes_the_recorded_rounds", INVOCATION),
    "a new bucket by event, twice": ("rounds::new_bucket_takes_the_recorded_rounds", INVOCATION),
}
GROWTH = {
    "a plan for a bucket with this many rules": ("growth::plan_for_a_bucket_with_many_rules", "s3_kms_replication::plan::apply::apply"),
    "an event with a policy of this many rules": ("growth::event_under_a_policy_of_many_rules", INVOCATION),
    "an event about a long name under this many rules with several placeholders": (
        "growth::event_about_a_long_name_under_rules_with_several_placeholders",
        INVOCATION,
    ),
}


def build() -> str:
    """Builds the integration tests and returns the path of their binary."""
    command = ["cargo", "test", "--locked", "--features", "cli", "--test", "it", "--no-run", "--message-format", "json"]
    messages = map(json.loads, subprocess.check_output(command, cwd=ROOT, text=True).splitlines())
    return next(message["executable"] for message in messages if message.get("target", {}).get("kind") == ["test"])


def count_calls(binary: str, test: str, function: str, size: int = 1) -> int:
    """The instructions in all calls of a function while a test runs."""
    with tempfile.NamedTemporaryFile() as profile:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}", "--collect-atstart=no",
                   f"--toggle-collect={function}", binary, "--exact", "--test-threads=1", test]
        environment = {**os.environ, "SIZE": str(size)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or "1 passed" not in done.stdout or not found or found[1] == "0":
        sys.exit(f"{test}: nothing was counted\n{done.stdout}{done.stderr}")
    return int(found[1])


def count() -> dict[str, Any]:
    """The compiler, and the instructions of each flow and of each growing input by its size."""
    binary = build()
    rustc = {"rustc": subprocess.check_output(["rustc", "--version"], text=True).strip()}
    flows = {flow: {"1": count_calls(binary, *what)} for flow, what in FLOWS.items()}
    return rustc | flows | {flow: {str(size): count_calls(binary, *what, size) for size in SIZES} for flow, what in GROWTH.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="rewrites tests/bench/instructions.json")
    update = parser.parse_args().update
    if not shutil.which("valgrind"):
        print("instructions: not counted, because `valgrind` is missing")
        return 0
    counts = count()
    if update:
        RECORDED.write_text(json.dumps(counts, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    if counts.pop("rustc") != recorded.pop("rustc"):
        print("instructions: not compared, because another compiler was used for tests/bench/instructions.json")
        return 0
    faults = []
    for what, by_size in counts.items():
        for size, found in by_size.items():
            before = recorded[what][size]
            print(f"{what} ({size}): {found:,} instructions, {found / before - 1:+.1%}")
            if found > before * 1.1:
                faults.append(f"`{what}` ({size}) takes {found:,} instructions; it took {before:,}")
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
