"""``bench table``: stored runs as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.common import Out

EXAMPLES = """Examples:

  bench table

  bench table --dataset digit-scenes --format markdown

  bench table --columns O-F1,mAP,I-F1 --models cnn-rnn,bce

  bench table runs/digit-scenes/bce/4f1c09d2a7b3e865 9ab1 --format latex"""


def table(  # noqa: PLR0917 - the parser passes options by name
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Run folders or the first digits of their keys; all stored runs if not given."),
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
    Failed runs are rows with their reason.
    """
    from bench import store, tables

    order = _names(models)
    folders = [store.named(text, out) for text in runs] if runs else store.find(out, dataset, order)
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


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def print_tables(built: list, style: str) -> None:  # type: ignore[type-arg]
    """Print tables in ``style``; on a terminal their remarks follow each one."""
    from bench import rendering

    if style != "terminal":
        print(rendering.render(built, style), end="")
        return
    from rich.console import Console

    # Piped text has no terminal width: a table folded at 80 columns would be of use to nobody.
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    for one in built:
        console.print(rendering.terminal(one))
        for remark in rendering.remarks(one):
            console.print(remark, style="dim", highlight=False, markup=False, soft_wrap=True)
