"""``bench gc``: disk space back from old caches, unfinished runs, and what killed processes left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import STORE, AsJson, Cache, RunsFolder, comma_separated
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.store.leftovers import Leftover

EXAMPLES = """Examples:

  bench gc

  bench gc --older-than 7 --kinds features,engines --yes

  bench gc 9b2f --yes"""

SHOWN = 30
"""Lines of the list; all of them are in ``--json``."""


def gc(  # noqa: PLR0917 - the parser passes options by name
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS",
            help="Runs, also finished ones, by row, key or folder: only these are removed, whatever their age.",
        ),
    ] = None,
    store: RunsFolder = STORE,
    cache: Cache = None,
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0.0, help="Only what was not used for so many days."),
    ] = 30.0,
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            metavar="A,B",
            help="Only these: features, engines, resamples, shards, thumbnails, remote, backbones, trials, runs, parts,"
            " checkpoints.",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, it is only listed.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what old caches, trials and unfinished or failed runs take up, and with --yes remove it.

    A finished run is removed only where it is named, and nothing that a process that lives holds. What killed processes
    left is old after a minute. All that is removed is made again by the next run that needs it.
    """
    from bench.cli.choose import run_folders
    from bench.errors import unknown
    from bench.store import leftovers, sealed
    from bench.system.files import default_cache

    asked = comma_separated(kinds) or leftovers.KINDS
    for kind in asked:
        if kind not in leftovers.KINDS:
            raise unknown("kind", kind, leftovers.KINDS)
    if names:
        found = leftovers.of_runs(run_folders(names, store))
    else:
        found = leftovers.found(store, cache or default_cache(), days=older_than, kinds=asked)
    removed = [yes and _remove(one) for one in found]
    if as_json:
        put_raw(sealed.to_json([_entry(one, gone) for one, gone in zip(found, removed, strict=True)]))
    else:
        _print(found, removed if yes else None, [store, cache or default_cache()])
    if None in removed:
        raise typer.Exit(1)


def _remove(one: Leftover) -> bool | None:
    """Return whether it is gone; ``None``: the system did not let go of it, as a note says, and the rest goes on."""
    from bench.errors import StoreError
    from bench.store import leftovers
    from bench.system.notes import note

    try:
        return leftovers.remove(one)
    except (OSError, StoreError) as error:
        reason = getattr(error.__cause__ or error, "strerror", None)  # without what a run that is to be made may try
        note(f"{one.path} is not removed: {reason or error}")
        return None


def _entry(one: Leftover, removed: bool | None) -> dict[str, object]:
    size = {"bytes": one.size, "used": one.used, "removed": bool(removed)}
    return {"kind": one.kind, "path": str(one.path), "what": one.what, **size}


def _print(found: Sequence[Leftover], removed: Sequence[bool | None] | None, places: Sequence[Path]) -> None:
    import time

    from bench.store.leftovers import DAY

    if not found:
        put(f"nothing to remove in {' or '.join(map(str, places))}")
        return
    rows = [
        [one.kind, _below(one.path, places), one.what, _size(one.size), f"{max(time.time() - one.used, 0.0) / DAY:.1f}"]
        for one in sorted(found, key=lambda one: -one.size)[:SHOWN]
    ]
    print_table(
        ["kind", "path", "what", "size", "days"], rows, title=" and ".join(map(str, places)), texts=("path", "what")
    )
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN:,} smaller ones: --json has all", "dim")
    if removed is None:
        say(f"nothing was removed. {_things(found)} can be, with --yes")
        return
    gone = [one for one, away in zip(found, removed, strict=True) if away]
    kept, failed = list(removed).count(False), list(removed).count(None)
    held = f"; {kept} kept: a process is at work on {'it' if kept == 1 else 'them'}" if kept else ""
    say(f"removed {_things(gone)}{held}{f'; {failed} could not be removed' if failed else ''}")


def _below(path: Path, places: Sequence[Path]) -> str:
    """Return ``path`` as seen from the place that it lies in."""
    return next((str(path.relative_to(place)) for place in places if path.is_relative_to(place)), str(path))


def _things(found: Sequence[Leftover]) -> str:
    return f"{len(found):,} thing{'s' * (len(found) != 1)}, {_size(sum(one.size for one in found))}"


def _size(number: int) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.2f} MB"
