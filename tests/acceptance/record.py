"""What a run has made, in a file: removal acts on this list and on nothing else, and finishes from it after a crash.

Each entry is written before the thing is made, so that nothing is made that is not in the file. The file has one JSON object a line.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUNS = Path(__file__).resolve().parents[2] / "acceptance-runs"
RUN_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Entry:
    """One thing: its kind, its Region, its name, and what else its removal needs."""

    kind: str
    region: str
    name: str
    detail: dict[str, Any] = field(default_factory=dict, compare=False)


class Record:
    """The file of one run."""

    def __init__(self, run: str, folder: Path = RUNS) -> None:
        if not RUN_ID.fullmatch(run):
            raise ValueError(f"a run is named by eight hexadecimal digits, not by `{run}`")
        self.run = run
        self.folder = folder / run
        self.file = self.folder / "made.jsonl"

    @classmethod
    def start(cls, run: str, facts: dict[str, Any], folder: Path = RUNS) -> Record:
        """A new file, which begins with the facts of the run: its account and its Regions."""
        record = cls(run, folder)
        record.folder.mkdir(parents=True)
        record._append({"run": facts})
        return record

    def facts(self) -> dict[str, Any]:
        """What `start` was given."""
        return next(line["run"] for line in self._lines() if "run" in line)

    def add(self, entry: Entry) -> None:
        """Notes a thing that is about to be made, or more about one that was noted."""
        self._append({"made": vars(entry)})

    def remove(self, entry: Entry) -> None:
        """Notes that a thing is gone."""
        self._append({"removed": vars(entry)})

    def remaining(self) -> list[Entry]:
        """What was made and not removed, in the order in which it was made."""
        entries: dict[Entry, Entry] = {}
        for line in self._lines():
            if "made" in line:
                entry = Entry(**line["made"])
                entries[entry] = entry
            elif "removed" in line:
                entries.pop(Entry(**line["removed"]), None)
        return list(entries.values())

    def _append(self, line: dict[str, Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.file.exists():
            raise FileNotFoundError(f"there is no run `{self.run}`: `{self.file}` does not exist")
        return (json.loads(line) for line in self.file.read_text().splitlines())
