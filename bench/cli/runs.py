"""``bench runs``: what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import Out

EXAMPLES = """Examples:

  bench runs

  bench runs --dataset digit-scenes --state failed"""


def runs(
    out: Out = Path("runs"),
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="Only runs on this data set.")] = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only runs that are done, failed, unfinished or damaged.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the stored runs with their state, seed and folder; damaged files are found by their checksums."""
    import json

    from bench.errors import StoreError, unknown
    from bench.store import runs as stored_runs

    states = ("done", "failed", "unfinished", "damaged")
    if state and state not in states:
        raise unknown("state", state, states)
    entries = []
    for folder in stored_runs.find(out, dataset):
        summary = folder.summary()
        entry = {
            "dataset": summary.config["dataset"]["name"],
            "model": summary.config["model"]["name"],
            "seed": summary.config.get("seed"),
            "state": summary.state,
            "reason": summary.reason,
            "folder": str(folder.path),
        }
        if not state or entry["state"] == state:
            entries.append(entry)
    if as_json:
        print(json.dumps(entries, indent=1))
        return
    if not entries:
        raise StoreError(f"no {state + ' ' if state else ''}runs under {out}. Try: bench run, or another --out")
    _print(entries)


def _print(entries: list[dict[str, object]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    colours = {"done": "green", "failed": "red", "damaged": "red", "unfinished": "yellow"}
    for name in ("dataset", "model", "seed", "state", "folder"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        cells = [Text("?" if entry[name] is None else str(entry[name])) for name in ("dataset", "model", "seed")]
        table.add_row(*cells, Text(str(entry["state"]), style=colours[str(entry["state"])]), Text(str(entry["folder"])))
        if entry["reason"]:
            table.add_row("", "", "", "", Text(str(entry["reason"]), style="dim"))
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)
