"""What the steps of a run share: the account, what was made, and what they found.

It must not know the steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from account import Account, Failed, run_program
from botocore.exceptions import BotoCoreError, ClientError
from made import Made

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


class LeftOut(Exception):
    """A step cannot be run here; the message says why."""


@dataclass
class Options:
    """What the user chose."""

    package: Path
    program: Path
    trail: bool


@dataclass
class Rule:
    """A rule of the application: who asked for it, and from which bucket to which it replicates."""

    asked_by: str
    source: str
    destination: str
    home: str
    abroad: str
    source_key: str
    replica_key: str
    prefix: str = ""


@dataclass
class Result:
    """How a step ended."""

    step: str
    status: str
    seconds: float
    seen: str


@dataclass
class Run:
    """One run of the acceptance test."""

    account: Account
    made: Made
    options: Options
    say: Callable[[str], None]
    results: list[Result] = field(default_factory=list)
    # What no step could look at, because this was the emulator or because the user did not ask for it.
    left_out: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    measures: list[tuple[str, str]] = field(default_factory=list)

    def step(self, name: str, work: Callable[[Run], str]) -> bool:
        """Runs a step and notes how it ended; whether it passed, or was left out."""
        self.say(f"step {name}")
        started = time.monotonic()
        try:
            status, seen = PASSED, work(self)
        except LeftOut as reason:
            status, seen = NOT_RUN, str(reason)
            self.left_out.append(f"{name}: {reason}")
        except (Failed, ClientError, BotoCoreError) as failure:
            status, seen = FAILED, str(failure)
        self.results.append(Result(name, status, time.monotonic() - started, seen))
        self.say(f"     {status}: {seen}")
        return status != FAILED

    def needs_aws(self, what: str) -> bool:
        """Whether this is AWS. If not, notes that a part of a step was left out."""
        if self.account.is_emulator:
            self.left_out.append(what)
        return not self.account.is_emulator

    @property
    def regions(self) -> tuple[str, str]:
        return self.account.regions

    def function(self, region: str) -> str:
        """The name of the application's function in a Region."""
        return self.outputs[region]["FunctionName"]

    def invoke(self, payload: dict[str, Any]) -> Any:
        """The answer of the function in the first Region."""
        return self.account.invoke(self.regions[0], self.function(self.regions[0]), payload)

    def program(self, command: str, *arguments: str, allowed: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """The JSON that the command-line program prints."""
        return json.loads(run_program(str(self.options.program), command, *arguments, "--output", "json", "--region", self.regions[0],
                                      allowed=allowed))

    def rule(self, asked_by: str) -> Rule:
        """The rule that was asked for in this way; none is a failure."""
        found = [rule for rule in self.rules if rule.asked_by == asked_by]
        if not found:
            raise Failed(f"there is no rule that was asked for by {asked_by}")
        return found[0]
