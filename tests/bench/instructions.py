"""Counts the instructions of whole invocations with Valgrind, also as the number of rules grows. Load on the machine does not change the counts.

Fails when a count is more than a tenth above the count in tests/bench/instructions.json; `--update` rewrites that file. The debug build of
tests/it is counted, on its fake. Counts of different compilers are not compared, since each makes other instructions.
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
# What is counted: the test, and the function in whose calls it is.
FLOWS = {
    "Create": ("rounds::a_create_takes_no_more_rounds", INVOCATION),
    "a new bucket by event, twice": ("rounds::a_new_bucket_takes_no_more_rounds", INVOCATION),
}
GROWTH = {
    "a plan with so many foreign rules": ("growth::a_plan_with_many_foreign_rules", "s3_kms_replication::plan::apply::apply"),
    "an event under a policy of so many rules": ("growth::an_event_under_a_policy_of_many_rules", INVOCATION),
    "an event about a long name under so many rules with several placeholders": (
        "growth::an_event_about_a_long_name_under_rules_with_several_placeholders",
        INVOCATION,
    ),
}


def built() -> str:
    """The path of the integration tests' binary."""
    command = ["cargo", "test", "--locked", "--features", "cli", "--test", "it", "--no-run", "--message-format", "json"]
    messages = map(json.loads, subprocess.check_output(command, cwd=ROOT, text=True).splitlines())
    return next(message["executable"] for message in messages if message.get("target", {}).get("kind") == ["test"])


def counted(binary: str, test: str, function: str, size: int = 1) -> int:
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
    """The instructions of each flow, and of each that grows, by size; and the compiler."""
    binary = built()
    rustc = {"rustc": subprocess.check_output(["rustc", "--version"], text=True).strip()}
    flows = {flow: {"1": counted(binary, *what)} for flow, what in FLOWS.items()}
    return rustc | flows | {flow: {str(size): counted(binary, *what, size) for size in SIZES} for flow, what in GROWTH.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="writes tests/bench/instructions.json anew")
    update = parser.parse_args().update
    if not shutil.which("valgrind"):
        print("instructions: not counted, since `valgrind` is missing")
        return 0
    counts = count()
    if update:
        RECORDED.write_text(json.dumps(counts, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    if counts.pop("rustc") != recorded.pop("rustc"):
        print("instructions: not compared, since another compiler counted those in tests/bench/instructions.json")
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
