"""Writes the tables in docs/benchmarks.md and the plot docs/bench.svg from docs/bench.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "bench.json"
PLOT = ROOT / "docs" / "bench.svg"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- Written by make bench -->\n", "<!-- Until here -->\n"

WARM = "… in a process that runs already"
FLOWS = {"new": "A new bucket, by event", "new, warm": WARM, "new, again": "The same event again", "new, again, warm": WARM,
         "made": "A new bucket whose destination is created", "made, warm": WARM, "made, again": "The same event again",
         "made, again, warm": WARM, "create": "Create", "delete": "Delete", "walk-through": "The walk-through"}
PLOTTED = ("new", "new, again", "create", "delete")
NAMES = {"ours": "`RoleScope: Bucket`", "shared": "`RoleScope: Policy`", "boto3": "boto3", "cli": "AWS CLI"}
COLOURS = {"ours": "#0a7d4b", "shared": "#2455b0", "boto3": "#b4540a"}
SHOWN = "60"


def round_trips(seconds: dict[str, list[float]]) -> list[float]:
    """The number of sequential calls in each run: the slope of duration over latency, by least squares."""
    latencies = [int(latency) / 1000 for latency in seconds]
    mean = sum(latencies) / len(latencies)
    square = sum((latency - mean) ** 2 for latency in latencies)
    return [sum((latency - mean) * duration for latency, duration in zip(latencies, durations, strict=True)) / square
            for durations in zip(*seconds.values(), strict=True)]


def spread(values: list[float], digits: int = 1) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def rows(lines: list[list[str]]) -> str:
    head, *body = lines
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *body])


def flows(result: dict[str, Any]) -> str:
    """A row for each flow: the calls one after the other, all calls, and the seconds at the shown latency."""
    def cell(flow: str, who: str) -> str:
        measured = result["seconds"][flow].get(who)
        if not measured:
            return ""
        parts = [spread(round_trips(measured)), f"{len(result['calls'][flow][who])} calls"]
        return " · ".join([*parts, *([f"{median(measured[SHOWN]):.2f} s"] if SHOWN in measured else [])])

    return rows([[f"one after the other · in all · at {SHOWN} ms a call", *NAMES.values()],
                 *([title, *(cell(flow, who) for who in NAMES)] for flow, title in FLOWS.items())])


def processes(result: dict[str, Any]) -> str:
    kinds = {"ours": "this function", "boto3": "boto3", "floor": "Lambda's runtime client alone"}
    sizes = {who: f"{result['zip'][who] / 1e6:.2f}" for who in kinds}
    sizes["boto3"] += f"; {result['zip']['boto3_handler'] / 1e6:.3f} with what Lambda's Python brings"
    return rows([
        ["", *kinds.values()],
        ["start of the process to its first request for work, ms", *(spread([1000 * s for s in result["start"][who]]) for who in kinds)],
        ["peak memory, MiB", *(spread([size / 2**20 for size in result["memory"][who]]) for who in kinds)],
        ["zip, MB", *sizes.values()],
    ])


def growth(counts: dict[str, Any]) -> str:
    grows = {what: by_size for what, by_size in counts.items() if "100" in by_size}
    return rows([["thousands of instructions", *next(iter(grows.values()))],
                 *([what, *(f"{count / 1000:,.0f}" for count in by_size.values())] for what, by_size in grows.items())])


def plot(result: dict[str, Any]) -> Iterator[str]:
    """Duration over latency: a panel for each flow, medians with lines from least to most."""
    width, height, left, top = 190, 150, 40, 46
    latencies = [int(latency) for latency in result["seconds"]["new"]["ours"]]
    most = max(max(max(values) for values in values.values()) for flow in PLOTTED for values in result["seconds"][flow].values())
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{(width + left) * len(PLOTTED) + 10}" height="{height + top + 44}" '
           'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n')
    for index, (who, colour) in enumerate(COLOURS.items()):
        yield f'<text x="{left + 150 * index}" y="16" fill="{colour}" font-weight="bold">{NAMES[who].strip("`")}</text>\n'
    for index, flow in enumerate(PLOTTED):
        x0, y0 = left + index * (width + left), top + height
        yield f'<text x="{x0}" y="{top - 10}" fill="black">{FLOWS[flow]}</text>\n'
        yield f'<path d="M{x0} {top}V{y0}H{x0 + width}" fill="none" stroke="black"/>\n'
        for second in range(int(most * 2) + 1):
            y = y0 - second / 2 / most * height
            yield f'<text x="{x0 - 4}" y="{y + 4:.0f}" text-anchor="end">{second / 2:g}</text>\n'
        for latency in latencies:
            yield f'<text x="{x0 + latency / max(latencies) * (width - 10):.0f}" y="{y0 + 16}" text-anchor="middle">{latency}</text>\n'
        for who, measured in result["seconds"][flow].items():
            colour, points = COLOURS[who], []
            for latency, values in measured.items():
                x = x0 + int(latency) / max(latencies) * (width - 10)
                low, middle, high = (y0 - value / most * height for value in (min(values), median(values), max(values)))
                points.append(f"{x:.1f},{middle:.1f}")
                yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="3" opacity="0.4"/>\n'
            yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>\n'
    yield f'<text x="{left}" y="{top + height + 36}">seconds over the milliseconds that each call was made to wait</text>\n</svg>\n'


def put(page: Path, text: str, begin: str = BEGIN) -> None:
    """Puts the text between the two comments of a page."""
    changed, found = re.subn(f"{re.escape(begin)}.*?{re.escape(END)}", lambda _: f"{begin}{text}{END}", page.read_text(), flags=re.DOTALL)
    if found != 1:
        raise SystemExit(f"{page} has {found} places for the tables, not 1")
    page.write_text(changed)


def write() -> str:
    """Writes tables and plot, and returns the tables."""
    result = json.loads(RESULT.read_text())
    versions = result["versions"]
    stated = (f"Measured on {result['date']} with `make bench` at commit {versions['commit']}: {result['runs']} runs on {result['cores']} "
              f"cores ({result['machine']}), median and range.\nPython {versions['python']}, boto3 {versions['boto3']}, awslambdaric "
              f"{versions['awslambdaric']}, AWS CLI {versions['awscli']}.\n")
    tables = "\n".join([stated, flows(result), processes(result), *([growth(result["instructions"])] if result["instructions"] else [])])
    put(PAGE, tables)
    PLOT.write_text("".join(plot(result)))
    return tables
