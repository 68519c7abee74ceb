"""What campaigns did, sitting after sitting: a line of JSON for each part of one, added up.

``python -P tests/faults/ledger.py FILE...`` prints the tables of docs/reliability.md.
"""

from __future__ import annotations

import fcntl
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def note(path: Path, **values: Any) -> None:
    """Add a line to a ledger, whole, whoever else adds one at that moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(values) + "\n")


def entries(*paths: Path) -> list[dict[str, Any]]:
    """Return the lines of ledgers; one that a killed process left half is passed over."""
    found = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                found.append(dict(json.loads(line)))
            except ValueError:
                continue
    return found


@dataclass(slots=True)
class Total:
    """What one reader was given: inputs by engine, seconds, findings by what was found, ends of its own process."""

    inputs: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    ends: int = 0
    sittings: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.inputs.values())

    @property
    def rate(self) -> float:
        """Return inputs a second, 0 where there was no sitting yet."""
        return self.count / max(sum(self.seconds.values()), 1e-9)


def readers(lines: Iterable[Mapping[str, Any]]) -> dict[str, Total]:
    """Return the totals of each reader."""
    found: dict[str, Total] = {}
    for line in lines:
        if "reader" in line:
            total = found.setdefault(line["reader"], Total())
            total.inputs[line["engine"]] += line["inputs"]
            total.seconds[line["engine"]] += line["seconds"]
            total.sittings[line["engine"]] += 1
            total.findings.update(line["findings"])
            total.ends += line.get("ends", 0)
    return found


def faults(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return of each kind of fault how many trials ended as they must, and how many there were."""
    found: dict[str, list[int]] = {}
    for line in lines:
        if "fault" in line:
            count = found.setdefault(line["fault"], [0, 0])
            count[0] += line["right"]
            count[1] += 1
    return found


def next_seed(lines: Iterable[Mapping[str, Any]]) -> int:
    """Return a seed that no line has."""
    return 1 + max((line["seed"] for line in lines if "seed" in line), default=0)


def table(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the counts as tables in Markdown."""
    lines = list(lines)
    shown = []
    if totals := readers(lines):
        shown += [
            "| reader | inputs | of them guided by coverage | a second of computing | findings |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, total in sorted(totals.items()):
            guided = total.count - total.inputs["own"]
            kinds = len(total.findings)
            shown.append(f"| {name} | {total.count:,} | {guided:,} | {total.rate:,.0f} | {kinds or 'none'} |")
        count = sum(total.count for total in totals.values())
        reached = sum(total.count >= 10**6 for total in totals.values())
        shown += ["", f"{count:,} inputs; {reached} of {len(totals)} readers had a million."]
        if ends := sum(total.ends for total in totals.values()):
            shown.append(f"{ends:,} inputs ended a process that reads Parquet, which is one of its own.")
        shown.append("")
    if counts := faults(lines):
        shown += ["| disturbed by | as undisturbed |", "| --- | --- |"]
        shown += [f"| {kind} | {right} of {tried} |" for kind, (right, tried) in sorted(counts.items())]
        kills = [count for kind, count in counts.items() if kind.startswith("SIGKILL")]
        shown += ["", f"{sum(right for right, _ in kills)} of {sum(tried for _, tried in kills)} kills."]
    return "\n".join(shown)


if __name__ == "__main__":
    sys.stdout.write(table(entries(*map(Path, sys.argv[1:]))) + "\n")
