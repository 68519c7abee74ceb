"""What a command that is printed as the next one needs beside a run's key."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.remote.copies import shown
from bench.store.runs import store_of


def of_store(run: Path) -> str:
    """Return what ``runs_of`` does of the store that the run folder ``run`` lies in.

    >>> of_store(Path("runs/digit-scenes/bce/9b2f")), of_store(Path("my runs/digit-scenes/bce/9b2f"))
    ('', " --runs 'my runs'")
    """
    return runs_of(store_of(run))


def runs_of(store: Path) -> str:
    """Return `` --runs STORE``, by path or address; nothing for the store read unasked."""
    return "" if store.absolute() == Path("runs").absolute() else f" --runs {shlex.quote(shown(store))}"
