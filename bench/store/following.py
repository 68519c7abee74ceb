"""Which store a run lies in, as a command that is printed as the next one has to say it."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.remote.copies import shown


def store_of(run: Path) -> Path:
    """Return the store that the run folder ``run`` lies in: as its path says it, unless that leads through a link."""
    whole = run.resolve()
    store = whole.parents[min(3, len(whole.parents)) - 1]
    said = run.parents[2] if len(run.parents) > 2 else store
    return said if said.resolve() == store else store


def of_store(run: Path) -> str:
    """Return what ``runs_of`` does of the store that the run folder ``run`` lies in.

    >>> of_store(Path("runs/digit-scenes/bce/9b2f")), of_store(Path("my runs/digit-scenes/bce/9b2f"))
    ('', " --runs 'my runs'")
    """
    return runs_of(store_of(run))


def runs_of(store: Path) -> str:
    """Return `` --runs STORE``, by path or address; nothing for the store read unasked."""
    return "" if store.absolute() == Path("runs").absolute() else f" --runs {shlex.quote(shown(store))}"
