"""``bench lens``: one stored run under every disputed definition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  bench lens 9b2fb905

  bench lens runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --json"""


def lens(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or the first digits of its key.")],
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what one run's stored predictions are worth under every definition in use, and who uses which.

    Needs neither torch nor the data set. The run's own protocol is marked with *.
    """
    from bench.evaluation import protocols
    from bench.evaluation.lens import to_json, views
    from bench.store import runs as stored_runs
    from bench.store.sealed import to_json as render

    folder = stored_runs.named(run, runs)
    protocol = protocols.get(str(folder.config["protocol"]))
    found = views(folder.read_outcome(), protocol)
    if as_json:
        record = {"run": str(folder.path), "protocol": protocol.name, "views": [to_json(view) for view in found]}
        print(render(record), end="")
        return
    import sys

    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 140)
    model, dataset = folder.config["model"]["name"], folder.config["dataset"]["name"]
    console.print(f"[bold]{model}[/bold] on {dataset}, {protocol.name}: {folder.path}", highlight=False)
    table = Table(box=None, header_style="bold")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for title in ("", "definition", "used by"):
        table.add_column(title)
    for view in found:
        value = "" if view.value != view.value else f"{100 * view.value:.2f}"
        note = f" ({view.note})" if view.note else ""
        table.add_row(view.metric, value, "*" if view.own else "", view.definition + note, view.used_by)
    console.print(table)
    print("* the definition of the run's own protocol. Definitions: docs/metrics.md")
