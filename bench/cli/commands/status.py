"""``bench status``: what runs are at, from another terminal, or what became of one whose process died."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import STORE, AsJson, RunNames, RunsFolder
from bench.show.console import put_raw

EXAMPLES = """Examples:

  bench status

  bench status runs/digit-scenes

  bench status --state running --json"""


def status(
    names: RunNames = None,
    store: RunsFolder = STORE,
    state: Annotated[
        str,
        typer.Option("--state", metavar="STATE", help="Only runs that are running, stopped, failed, damaged or done."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what runs are at: stage, how much is done, rate, time left, last error, and whether a process is at work.

    A single run is told line by line. Small files are read and nothing is checked: that is bench validate's.
    """
    from bench.cli.choose import run_folders
    from bench.errors import StoreError, unknown
    from bench.show.status import print_many, print_one, to_json
    from bench.store import sealed
    from bench.store.following import runs_of
    from bench.store.live import STATES, look

    if state and state not in STATES:
        raise unknown("state", state, STATES)
    found = [look(folder) for folder in run_folders(names, store)]
    chosen = [one for one in found if not state or one.state == state]
    if as_json:
        put_raw(sealed.to_json(to_json(chosen)))
    elif not chosen:
        raise StoreError(f"no run that is {state} among {len(found)}. See: bench status{runs_of(store)}")
    elif len(chosen) == 1 and names:
        print_one(chosen[0])
    else:
        print_many(chosen)
