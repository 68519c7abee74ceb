"""``bench table``: stored runs as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.common import Out

if TYPE_CHECKING:
    from bench.show.rendering import Grid
    from bench.show.tables import Table

EXAMPLES = """Examples:

  bench table

  bench table --dataset digit-scenes --format markdown

  bench table --columns O-F1,mAP,I-F1 --models cnn-rnn,bce

  bench table all

  bench table runs/digit-scenes/bce/4f1c09d2a7b3e865 9ab1 --format latex"""


PAPER_TABLES = {"1", "2", "3", "4", "all"}


def table(  # noqa: PLR0917 - the parser passes options by name
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run folders or the first digits of their keys; all stored runs if not given."
            " Or the paper's tables: 1, 2, 3, 4, all."
        ),
    ] = None,
    out: Out = Path("runs"),
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="Only runs on this data set.")] = "",
    models: Annotated[str, typer.Option("--models", metavar="A,B", help="Only these models, in this order.")] = "",
    protocol: Annotated[str, typer.Option("--protocol", metavar="NAME", help="Only runs under this protocol.")] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="A,B", help="Columns: the usual ones, or any value a run holds.")
    ] = "",
    style: Annotated[
        Literal["terminal", "markdown", "latex", "csv", "json"], typer.Option("--format", help="How to print it.")
    ] = "terminal",
    mix: Annotated[bool, typer.Option("--mix", help="One table even of runs that do not compare; it says so.")] = False,
) -> None:
    """Render stored runs as tables, one per data set: mean and spread over seeds, in percent.

    Runs measured on different images or by different protocols do not compare and are refused in one table.
    Failed runs are rows with their reason. A number shows that table of the paper: its printed values, ours, the
    differences, and what could not be run.
    """
    from bench.show import tables
    from bench.store import runs as stored_runs

    if runs and set(runs) <= PAPER_TABLES:
        _print_paper_tables(runs, out, style)
        return
    order = _names(models)
    folders = [stored_runs.named(text, out) for text in runs] if runs else stored_runs.find(out, dataset, order)
    summaries = [folder.summary() for folder in folders]
    if order:
        by_model = {name: rank for rank, name in enumerate(order)}
        summaries = [run for run in summaries if run.config["model"]["name"] in by_model]
        summaries.sort(key=lambda run: by_model[run.config["model"]["name"]])
    if dataset:
        summaries = [run for run in summaries if run.config["dataset"]["name"] == dataset]
    if protocol:
        summaries = [run for run in summaries if run.config.get("protocol") == protocol]
    groups = [summaries] if mix or not summaries else list(tables.by_dataset(summaries).values())
    chosen = tables.columns_named(_names(columns), summaries)
    print_tables([tables.build(group, chosen, mix) for group in groups], style)


def _print_paper_tables(numbers: list[str], out: Path, style: str) -> None:
    from bench import plugins
    from bench.show import paper_tables, published
    from bench.store import runs as stored_runs

    summaries = [folder.summary() for folder in stored_runs.find(out)]
    rerunnable = {found.spec.row for found in plugins.installed().all(plugins.MODELS).values()}
    chosen = [table for table in published.tables() if {"all", str(table.number)} & set(numbers)]
    ledgers = [paper_tables.build(table, summaries, rerunnable) for table in chosen]
    if style == "terminal":
        _print_grids([paper_tables.grid(ledger) for ledger in ledgers])
    else:
        print(paper_tables.render(ledgers, style), end="")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def print_tables(built: list[Table], style: str) -> None:
    """Print tables in ``style``; on a terminal their remarks follow each one."""
    from bench.show import rendering

    if style == "terminal":
        _print_grids([rendering.grid(one) for one in built])
    else:
        print(rendering.render(built, style), end="")


def _print_grids(grids: list[Grid]) -> None:
    from bench.show.rendering import print_grid

    for one in grids:
        print_grid(one)
