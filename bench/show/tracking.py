"""Stored runs as experiment trackers take them: facts read off the store, then told to a tracker.

    RunSummary, ... -> tracked_run(), comparison() -> send() to a Destination

What is sent is a pure function of the store, so a run finished long ago is reported as one just made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contracts import Series, TrackedRun, TrackedTable, TrackerRequest, TrackerSpec
from bench.errors import BenchError, StoreError, TrackerError, UsageError, unknown
from bench.guard import calling, reason
from bench.options import OptionValue, resolve
from bench.plugins import TRACKERS, Found, Registry
from bench.show import tables
from bench.show.row_labels import flatten
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary
from bench.system.files import canonical_json, digest

CURVES = {"loss": "training/loss", "rate": "training/learning_rate", "score": "validation/score"}
"""Name in an ``EpochRecord`` -> name of the curve."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A tracker and how it is opened."""

    tracker: Found[TrackerSpec]
    request: TrackerRequest

    @property
    def name(self) -> str:
        """Return the tracker's name."""
        return self.tracker.spec.name


def destinations(
    names: Iterable[str], given: Mapping[str, OptionValue], folder: Path, registry: Registry
) -> list[Destination]:
    """Return the trackers called ``names``, each with a folder of its own below ``folder``; none is opened yet.

    An option goes to the trackers that have it. Raises ``UsageError`` for an unknown name, option or value.
    """
    found = [registry.tracker(name) for name in dict.fromkeys(names)]
    known = {option.name for one in found for option in one.spec.options}
    for name in given:
        if not found:
            trackers = [one.spec for one in registry.all(TRACKERS).values()]
            taken = [spec.name for spec in trackers if name in {option.name for option in spec.options}]
            remedy = f"Try: --track {taken[0]}" if taken else "See: bench list trackers --options"
            raise UsageError(f"option tracker.{name}: no tracker was asked for. {remedy}")
        if name not in known:
            asked = " and ".join(f"'{one.spec.name}'" for one in found)
            raise unknown(f"option of tracker {asked}", name, known, "See: bench list trackers --options")
    chosen = []
    for one in found:
        spec = one.spec
        own = {option.name: given[option.name] for option in spec.options if option.name in given}
        options = resolve(spec.options, own, f"tracker '{spec.name}'", "tracker.")
        chosen.append(Destination(one, TrackerRequest(options, folder / spec.name)))
    return chosen


def send(destination: Destination, runs: Sequence[TrackedRun], compared: Sequence[TrackedTable] = ()) -> list[str]:
    """Tell one tracker of ``runs`` and tables; return where each is found.

    Raises ``TrackerError``, whatever the tracker raised. What it prints goes to standard error, so that a table or
    JSON on standard output stays whole.
    """
    spec = destination.tracker.spec
    try:
        with calling(destination.tracker.origin, "track", f"tracker '{spec.name}'"):
            tracker = spec.open(destination.request)
            return [*(tracker.run(run) for run in runs), *(tracker.table(table) for table in compared)]
    except BenchError as error:  # a plugin, its package or its server may fail in any way; the run is stored
        missing = isinstance(error.__cause__, ImportError) and spec.requires
        install = f". Try: pip install '{spec.requires}'" if missing else ""
        # Who is to blame is said where it is printed.
        told = TrackerError(reason(error).removeprefix(f"{error.where}: ") + install)
        raise told from error


def tracked_run(run: RunSummary) -> TrackedRun:
    """Return what is stored of a run. Raises ``StoreError`` where it is not finished, or its training is damaged."""
    if run.measures is None:
        raise StoreError(f"{run.path} has no measures to track: {run.reason}. Try: bench run again")
    folder = RunFolder(run.path)
    return TrackedRun(
        key=run.key,
        dataset=run.dataset,
        model=str(run.config["model"]["name"]),
        seed=int(run.config["seed"]),
        finished=run.finished,
        config={name: _option(value) for name, value in flatten(run.config)},
        series=_series(folder.read_training()) if folder.lists("training") else (),
        measures={name: value for name, value in run.measures.values.items() if not math.isnan(value)},
        per_class=_per_class(run.key, run.labels, run.measures.per_class),
    )


def comparison(runs: Sequence[RunSummary]) -> TrackedTable:
    """Return the table of ``runs``, as ``bench table`` shows it, with numbers in place of texts.

    Its key is of the data set, the protocol and the rows' names: more seeds make it anew, other models another.
    Raises ``StoreError`` where the runs do not compare.
    """
    table = tables.build(runs)
    columns = [column for column in table.columns if any(column.name in row.cells for row in table.rows)]
    failed = any(row.failures for row in table.rows)
    rows: list[tuple[str | float | None, ...]] = []
    for row in table.rows:
        cells = [row.cells.get(column.name) for column in columns]
        means = [cell.mean if cell else None for cell in cells]
        spreads = [cell.spread if cell else None for cell in cells]
        why = ["; ".join(row.failures)] if failed else []
        rows.append((row.label, len(row.seeds), *means, *spreads, *why))
    names = [column.name for column in columns]
    header = ("model", "seeds", *names, *(f"{name} sd" for name in names), *(["failures"] if failed else []))
    identity = [sorted({tables.comparison_key(run) for run in runs if run.measures}), [row.label for row in table.rows]]
    others = [column.name for column in table.columns if not column.percent]
    notes = ("percent" + (f"; not in percent: {', '.join(others)}" if others else ""), *table.notes)
    return TrackedTable(digest(canonical_json(identity)), table.title, header, tuple(rows), notes)


def comparisons(runs: Iterable[RunSummary]) -> list[TrackedTable]:
    """Return a table for each group of two or more runs that compare: same data set, fingerprints and protocol.

    A run that failed stands in its group's table with its reason.
    """
    groups = tables.by_comparison(runs)
    return [comparison(group) for group in groups if len(group) > 1 and any(run.measures for run in group)]


def _option(value: Any) -> OptionValue:
    return value if isinstance(value, bool | int | float | str) else canonical_json(value)


def _series(training: Mapping[str, Any]) -> tuple[Series, ...]:
    """Return the curves of every learning rate tried, epochs in order; none for a model without gradient training."""
    curves: dict[str, dict[int, float]] = {}
    for entry in training["history"]:
        rate = entry["learning_rate"]
        prefix = "" if rate == training["learning_rate"] else f"tried lr {rate:g}/"
        for name, curve in CURVES.items():
            if entry[name] is not None:
                curves.setdefault(prefix + curve, {})[entry["epoch"]] = entry[name]
    return tuple(Series(name, tuple(points), tuple(points.values())) for name, points in curves.items())


def _per_class(key: str, labels: Sequence[str], measures: Mapping[str, Sequence[float]]) -> TrackedTable:
    columns = [[None if math.isnan(value) else value for value in values] for values in measures.values()]
    rows = tuple(zip(labels, *columns, strict=True))
    return TrackedTable(key, "each label on the test part, fractions and counts", ("label", *measures), rows)
