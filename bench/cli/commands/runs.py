"""``bench runs``: what the store holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.cli.choose import none_found, run_summaries
from bench.cli.options import STORE, AsJson, OneDataset, RunNames, RunsFolder
from bench.show.console import print_table, put, put_raw, say
from bench.store.sealed import to_json

EXAMPLES = """Examples:

  bench runs

  bench runs --dataset digit-scenes --state failed

  bench runs --runs elsewhere/runs

  bench runs runs/digit-scenes --json"""

COLOURS = {"done": "green", "failed": "red", "damaged": "red", "unfinished": "yellow"}


def runs(
    names: RunNames = None,
    store: RunsFolder = STORE,
    dataset: OneDataset = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only runs that are done, failed, unfinished or damaged.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the stored runs with their state, seed and key; damaged files are found by their checksums.

    The first digits of a key name its run to the other commands.
    """
    from bench.errors import StoreError, unknown

    if state and state not in COLOURS:
        raise unknown("state", state, COLOURS)
    entries = []
    for summary in run_summaries(names, store, dataset, may_be_none=True):
        entry = {
            "dataset": summary.config["dataset"]["name"],
            "model": summary.config["model"]["name"],
            "seed": summary.config.get("seed"),
            "state": summary.state,
            "reason": summary.reason,
            "folder": str(summary.path),
        }
        if not state or entry["state"] == state:
            entries.append(entry)
    if as_json:
        put_raw(to_json(entries))
        return
    if not entries:
        raise StoreError(none_found(store, dataset, state))
    _print(entries)


def _print(entries: list[dict[str, Any]]) -> None:
    """Print a table for each store, which a run's folder is three levels below."""
    from pathlib import Path

    from rich.text import Text

    stores: dict[Path, list[dict[str, Any]]] = {}
    for entry in entries:
        stores.setdefault(Path(entry["folder"]).absolute().parents[2], []).append(entry)
    for number, members in enumerate(stores.values()):
        first = Path(members[0]["folder"])
        rows = [
            (
                entry["dataset"],
                entry["model"],
                "?" if entry["seed"] is None else str(entry["seed"]),
                Text(entry["state"], style=COLOURS[entry["state"]]),
                Path(entry["folder"]).name,
            )
            for entry in members
        ]
        if number:
            put()
        # Of a run named by a path that does not go through its store, that path is all that is printed.
        place = first.parents[2] if len(first.parents) > 2 else first
        header = ("dataset", "model", "seed", "state", "key")
        title = f"{place}: {len(members)} run{'' if len(members) == 1 else 's'}"
        print_table(header, rows, title=title, names=2, texts=("state", "key"))
        reasons = [entry for entry in members if entry["reason"]]
        if reasons:
            put()
        for entry in reasons:
            say(f"{Path(entry['folder']).name}: {entry['reason']}", "dim")
