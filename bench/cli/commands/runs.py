"""``bench runs``: what the store holds."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.choose import none_found, run_summaries
from bench.cli.options import STORE, AsJson, OneDataset, RunNames, RunsFolder
from bench.show.console import put_raw
from bench.show.run_list import COLOURS
from bench.store.sealed import to_json

EXAMPLES = """Examples:

  bench runs

  bench runs --dataset digit-scenes --state failed

  bench runs --runs elsewhere/runs

  bench runs runs/digit-scenes --json"""


def runs(
    names: RunNames = None,
    store: RunsFolder = STORE,
    dataset: OneDataset = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only runs that are done, failed, unfinished or damaged.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the stored runs: row number and key, which name a run to the other commands, measures, time and state.

    Damaged files are found by their checksums. A run's row is its place among all runs of its store.
    """
    from bench.errors import StoreError, unknown
    from bench.show.run_list import entries, print_list

    if state and state not in COLOURS:
        raise unknown("state", state, COLOURS)
    found = entries(run_summaries(names, store, dataset, may_be_none=True, every_copy=True))
    found = [entry for entry in found if not state or entry["state"] == state]
    if not found and not (as_json and store.is_dir()):
        raise StoreError(none_found(store, dataset, state))
    if as_json:
        put_raw(to_json(found))
    else:
        print_list(found)
