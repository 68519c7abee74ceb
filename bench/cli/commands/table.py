"""``bench table``: stored runs as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.choose import run_summaries, up_to_date
from bench.cli.completion import names_of
from bench.cli.options import STORE, OneDataset, RunsFolder, Significance, TableFormat, comma_separated
from bench.errors import UsageError
from bench.show.console import put_raw
from bench.show.result_tables import print_grids, print_tables

if TYPE_CHECKING:
    from bench.store.stored import RunSummary

EXAMPLES = """Examples:

  bench table

  bench table --dataset digit-scenes --format markdown

  bench table --columns O-F1,mAP,I-F1 --models cnn-rnn,bce

  bench table --runs s3://bucket/runs

  bench table --significance

  bench table all

  bench table --runs elsewhere/runs

  bench table runs/digit-scenes/bce/4f1c09d2a7b3e865 9ab1 --format latex"""


PAPER_TABLES = {"1", "2", "3", "4", "all"}
OR_KEYS = "or, where rows of bench runs are meant, their keys"


def table(  # noqa: PLR0917 - the parser passes options by name
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS",
            help="Rows of bench runs, first digits of keys, or folders; all of --runs if not given."
            " 1, 2, 3, 4 or all, without others: the paper's tables.",
        ),
    ] = None,
    store: RunsFolder = STORE,
    dataset: OneDataset = "",
    models: Annotated[
        str,
        typer.Option(
            "--models", metavar="A,B", help="Only these models, in this order.", autocompletion=names_of("models")
        ),
    ] = "",
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", metavar="NAME", help="Only runs under this protocol.", autocompletion=names_of("protocols")
        ),
    ] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="A,B", help="Columns: the usual ones, or any value a run holds.")
    ] = "",
    style: TableFormat = "terminal",
    significance: Significance = False,
    mix: Annotated[bool, typer.Option("--mix", help="One table even of runs that do not compare; it says so.")] = False,
) -> None:
    """Render stored runs as tables, one per data set: mean and spread over seeds, in percent.

    Runs by label-set policies of their own stand in tables of their own, with all that give as many labels.
    Runs measured on different images or by different protocols do not compare and are refused in one table.
    Failed runs are rows with their reason. A number shows that table of the paper: its printed values, ours, the
    differences, and what could not be run.
    """
    from bench.show import tables
    from bench.show.rendering import FORMATS, check_format

    check_format(style, significance)
    if significance and mix:
        raise UsageError("--significance with --mix: rows that do not compare have no differences. Try: one of the two")
    if runs and set(runs) <= PAPER_TABLES:
        if style not in FORMATS:
            raise UsageError(f"--format {style}: not for the paper's tables, allowed: {', '.join(FORMATS)}; {OR_KEYS}")
        of_rows = {"significance": significance, "mix": mix, "columns": columns, "models": models}
        if given := [name for name, value in (of_rows | {"dataset": dataset, "protocol": protocol}).items() if value]:
            whole = "not for the paper's tables, which hold all of --runs"
            raise UsageError(f"--{given[0]}: {whole}. Try: without it; {OR_KEYS}")
        _print_paper_tables(runs, store, style)
        return
    summaries = run_summaries(runs, store, dataset, comma_separated(models), protocol)
    groups = [summaries] if mix else _groups(summaries)
    chosen = tables.columns_named(comma_separated(columns), summaries)
    built = [tables.build(group, chosen, mix) for group in groups]
    if significance:
        from bench.show.differences import print_with_differences
        from bench.store.resamples import kept_in
        from bench.system.files import default_cache

        print_with_differences(built, groups, style, kept_in(default_cache()))
    else:
        print_tables(built, style)


def _groups(summaries: list[RunSummary]) -> list[list[RunSummary]]:
    """Return the runs of each data set, and of these those whose label sets compare."""
    from bench.show import tables

    return [part for group in tables.by_dataset(summaries).values() for part in tables.by_policy(group)]


def _print_paper_tables(numbers: list[str], store: Path, style: str) -> None:
    from bench.show import paper_tables, published
    from bench.store import runs as stored_runs

    summaries = stored_runs.each_once(folder.summary() for folder in stored_runs.find(up_to_date(store)))
    chosen = [table for table in published.tables() if {"all", str(table.number)} & set(numbers)]
    ledgers = paper_tables.of_installed(chosen, summaries)
    if style == "terminal":
        print_grids([paper_tables.grid(ledger) for ledger in ledgers], texts=("status",))
    else:
        put_raw(paper_tables.render(ledgers, style))
