"""Which rows of a table differ by more than the choice of test images explains: marks in it, and a table of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.evaluation.significance import Difference, Distributions, Draw, differences, distributions
from bench.show.console import print_table, put
from bench.show.rendering import pairs
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
    """Print each table, of each group of runs, with marks of what cannot be told apart, and the pairs."""
    found = [of_rows(table, runs, draw) for table, runs in zip(built, groups, strict=True)]
    marked = [
        replace(with_ties(table, one), differences=tuple(differences(one)))
        for table, one in zip(built, found, strict=True)
    ]
    if style != "terminal":
        print_tables(marked, style)
        return
    for number, table in enumerate(marked):
        if number:
            put()
        print_tables([table], style)
        if table.differences:
            put()
            print_differences(table.differences)


def print_differences(found: Sequence[Difference]) -> None:
    """Print the difference of every pair of rows with its interval."""
    printed = pairs(found)
    rows = [[cell.text for cell in row] for row in printed.rows]
    print_table(printed.header, rows, title=printed.title, names=2, texts=("",))
