"""What a report shows of stored runs, in groups that compare: table, error bars, figures, remarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.errors import BenchError
from bench.evaluation import bootstrap, significance
from bench.evaluation.choosing import main_metric
from bench.show import figures, tables
from bench.show.report import illustrations, order
from bench.show.report.evidence import part_of
from bench.show.tables import Table
from bench.store import external
from bench.store.resamples import affordable
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary

OF_FIRST = "Figures, errors, chosen thresholds, and precision and recall of labels are of each row's first seed."
"""What a reader is told where rows have several."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that compare: same data set, fingerprints and protocol. Rows without numbers keep their reasons.

    ``heading`` is the data set's name and what tells the group from others on it; ``main`` the metric that orders rows.
    """

    name: str
    table: Table
    runs: tuple[RunSummary, ...]
    heading: str = ""
    main: str = "O-F1"
    resamples: int = 0
    intervals: dict[str, dict[str, bootstrap.Interval]] = field(default_factory=dict)
    figures: tuple[tuple[str, figures.Figure], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know beside the table and the figures."""
        several = any(len(row.seeds) > 1 for row in self.table.rows)
        return (*self.table.notes, OF_FIRST) if several else self.table.notes


def groups(summaries: Sequence[RunSummary]) -> list[Group]:
    """Return the runs in groups that compare, without error bars."""
    parts = tables.by_comparison(summaries)
    return [_group(runs, heading) for runs, heading in zip(parts, order.headings(parts), strict=True)]


def with_error_bars(group: Group, resamples: int | None, draw: significance.Draw = significance.draw) -> Group:
    """Return ``group`` with error bars and marks of what cannot be told apart; ``None``: as many as time allows."""
    folders = finished(group.table, group.runs)
    if not folders or resamples == 0:
        return group
    try:
        outcomes = {label: [folder.read_outcome() for folder in members] for label, members in folders.items()}
        if resamples is None:
            pairs = math.prod(next(iter(outcomes.values()))[0].truth.shape) * sum(map(len, outcomes.values()))
            resamples = affordable(pairs)
        found = significance.distributions(outcomes, resamples, draw)
    except BenchError as error:
        return replace(group, remarks=(f"no error bars: {error}", *group.remarks))
    intervals = {
        label: {metric: bootstrap.interval(values, 0.0) for metric, values in row.items()}
        for label, row in found.items()
    }
    table = tables.with_ties(group.table, found)
    return replace(group, table=table, resamples=resamples, intervals=intervals)


def finished(table: Table, runs: Sequence[RunSummary]) -> dict[str, list[RunFolder]]:
    """Return the folders of the finished runs of each row that has one, by its label."""
    by_key = {run.key: run for run in runs}
    folders = {
        row.label: [RunFolder(by_key[key].path) for key in row.keys if by_key[key].measures is not None]
        for row in table.rows
    }
    return {label: members for label, members in folders.items() if members}


def _group(runs: Sequence[RunSummary], heading: str) -> Group:
    main = main_metric(str(next((run.config["protocol"] for run in runs if "protocol" in run.config), "")))
    table = order.best_first(tables.build(runs), main)
    group = Group(runs[0].dataset, table, tuple(runs), heading, main)
    folders = finished(table, runs)
    if not folders:
        return group
    truth = part_of(next(iter(folders.values()))[0])
    firsts = {label: members[0] for label, members in folders.items()}
    predicted = {label: folder.read_masks().predicted for label, folder in firsts.items()}
    shown, remarks = illustrations.drawn(table.rows, firsts, truth, predicted)
    return replace(group, figures=tuple(shown), remarks=(*remarks, *_remarks(runs)))


def _remarks(runs: Sequence[RunSummary]) -> list[str]:
    """Return what runs say of themselves, once for all seeds that say the same; of somebody's scores the table does."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for remark in () if external.of_config(run.config) else run.about.remarks:
            seeds.setdefault((str(run.config["model"]["name"]), remark), []).append(str(run.config["seed"]))
    return [
        f"{model} seed{'s' * (len(those) > 1)} {', '.join(sorted(those))}: {remark}"
        for (model, remark), those in sorted(seeds.items())
    ]
