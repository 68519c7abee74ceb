"""Which rows of a table differ by more than the choice of test images explains: marks in it, and a table of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.evaluation.metric_table import by_name
from bench.evaluation.significance import Difference, Distributions, Draw, differences, distributions, ties
from bench.show.console import print_table, put
from bench.show.result_tables import print_tables
from bench.show.tables import Table, with_ties
from bench.store.resamples import affordable
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary


def of_rows(table: Table, runs: Sequence[RunSummary], draw: Draw) -> Distributions:
    """Return the resampled metrics of each row of ``table`` that has finished runs, seeds averaged."""
    paths = {run.key: run.path for run in runs if run.measures is not None}
    rows = {row.label: [RunFolder(paths[key]).read_outcome() for key in row.keys if key in paths] for row in table.rows}
    rows = {label: outcomes for label, outcomes in rows.items() if outcomes}
    pairs = max((math.prod(one.truth.shape) for outcomes in rows.values() for one in outcomes), default=0)
    return distributions(rows, affordable(pairs), draw)


def print_with_differences(
    built: Sequence[Table], groups: Sequence[Sequence[RunSummary]], style: str, draw: Draw
) -> None:
    """Print each table, of each group of runs, with marks of what cannot be told apart; for people the pairs too."""
    found = [of_rows(table, runs, draw) for table, runs in zip(built, groups, strict=True)]
    marked = [with_ties(table, ties(one)) for table, one in zip(built, found, strict=True)]
    if style != "terminal":
        print_tables(marked, style)
        return
    for number, (table, one) in enumerate(zip(marked, found, strict=True)):
        if number:
            put()
        print_tables([table], style)
        if pairs := differences(one):
            put()
            print_differences(pairs)


def print_differences(found: Iterable[Difference]) -> None:
    """Print the difference of every pair of rows with its interval."""
    rows, resamples = [], 0
    for entry in found:
        resamples = entry.resamples
        metric = by_name()[entry.metric]
        low, value, high = (
            f"{metric.scale * part:+.{metric.digits}f}" for part in (entry.low, entry.value, entry.high)
        )
        mark = "" if entry.distinguishable else "not distinguishable"
        rows.append((entry.metric, f"{entry.first} - {entry.second}", value, f"[{low}, {high}]", mark))
    print_table(
        ("metric", "models", "difference", "95 %", ""),
        rows,
        title=f"pairwise differences, seeds averaged; 95 % of {resamples:,} paired resamples of the test images",
        names=2,
        texts=("",),
    )
