"""The list of stored runs: how each is named, what it is of, what it measured, how long it took and how it stands."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.evaluation import metric_table
from bench.evaluation.metric_table import HEADLINES
from bench.remote.copies import shown
from bench.show.console import print_table, put, say
from bench.store.run_folder import RunFolder
from bench.store.runs import in_rows, short_keys
from bench.store.stored import RunSummary
from bench.system.clock import local_time

COLOURS = {"done": "green", "failed": "red", "damaged": "red", "unfinished": "yellow"}
"""States of a run, and the colour that each is shown in."""

SHOWN = ("O-F1", "mAP")
"""Metrics that there is room for; ``--json`` has all headlines."""


def entries(summaries: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Return what a list holds of each run, by row: its place among all runs of its store, from 1."""
    rows: dict[Path, tuple[int, str]] = {}
    for place in dict.fromkeys(_store(run.path) for run in summaries):
        held = in_rows(place)
        short = short_keys(held)
        rows |= {one.path.absolute(): (row, short[one.path]) for row, one in enumerate(held, 1)}
    found = [_entry(run, *rows.get(run.path.absolute(), (0, run.path.name[:8]))) for run in summaries]
    return sorted(found, key=lambda entry: entry["row"])


def print_list(found: Sequence[dict[str, Any]]) -> None:
    """Print a table for each store, which a run's folder is three levels below."""
    from rich.text import Text

    stores: dict[Path, list[dict[str, Any]]] = {}
    for entry in found:
        stores.setdefault(_store(Path(entry["folder"])), []).append(entry)
    for number, members in enumerate(stores.values()):
        if number:
            put()
        first = Path(members[0]["folder"])
        # Of a run named by a path that does not go through its store, that path is all that is printed.
        place = first.parents[2] if len(first.parents) > 2 else first
        header = ["row", "key", "data set", "model", "seed", *SHOWN, "took", "when"]
        rows: list[list[str | Text]] = []
        for entry in members:
            # Goals are folded where they are put together.
            model = " ".join([entry["model"], *entry["policy"].split(";")]).strip()
            seed = "?" if entry["seed"] is None else str(entry["seed"])
            measures = [_measure(name, entry["measures"].get(name)) for name in SHOWN]
            cells: list[str | Text] = [str(entry["row"] or ""), entry["short"], entry["dataset"], model, seed]
            state = Text(entry["state"], style=COLOURS[entry["state"]])
            when = _briefly(entry["finished"]) if entry["state"] == "done" else state
            rows.append([*cells, *measures, _duration(entry["seconds"]), when])
        title = f"{shown(place)}: {len(members)} run{'' if len(members) == 1 else 's'}"
        print_table(header, rows, title=title, names=2, texts=("data set", "model", "when"), numbers=("row",))
        reasons = [entry for entry in members if entry["reason"]]
        if reasons:
            put()
        for entry in reasons:
            say(f"{Path(entry['folder']).name}: {entry['reason']}", "dim")


def _store(path: Path) -> Path:
    parents = path.absolute().parents
    return parents[2] if len(parents) > 2 else path.absolute()


def _entry(run: RunSummary, row: int, short: str) -> dict[str, Any]:
    policy = run.config.get("policy", {})
    values = run.measures.values if run.measures else {}
    return {
        "row": row,
        "key": run.path.name,
        "short": short,
        "dataset": run.dataset,
        "model": run.config["model"]["name"],
        "seed": run.config.get("seed"),
        "policy": "" if policy.get("by_protocol", True) else policy["name"],
        "state": run.state,
        "reason": run.reason,
        "measures": {name: values[name] for name in HEADLINES if not math.isnan(values.get(name, math.nan))},
        "seconds": _seconds(run),
        "finished": _when(run.finished),
        "folder": str(run.path),
    }


def _seconds(run: RunSummary) -> float | None:
    """Return how long a finished run took, all stages together."""
    if run.measures is None:
        return None
    try:
        return float(sum(RunFolder(run.path).read_timings().get("seconds", {}).values()))
    except StoreError:
        return None  # damaged since it was looked at


def _when(seconds: float) -> str | None:
    """Return a time in this machine's zone, to the second."""
    when = local_time(seconds) if seconds else None
    return when.isoformat(timespec="seconds") if when else None


def _briefly(when: str | None) -> str:
    """Return the hour of a time of today, and the day of another."""
    today = (_when(time.time()) or "")[:10]
    return "" if when is None else when[11:16] if when.startswith(today) else when[5:10]


def _measure(name: str, value: float | None) -> str:
    metric = metric_table.by_name()[name]
    return "" if value is None else f"{metric.scale * value:.{metric.digits}f}"


def _duration(seconds: float | None) -> str:
    """Return a duration in few letters.

    >>> _duration(4.26), _duration(95), _duration(7300)
    ('4 s', '95 s', '2.0 h')
    """
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
