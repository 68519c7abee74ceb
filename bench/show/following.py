"""What a command that is printed as the next one needs beside a run's key."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.remote.copies import shown


def of_store(run: Path) -> str:
    """Return `` --runs STORE`` of the run folder ``run``, by path or address; nothing for the store read unasked.

    >>> of_store(Path("runs/digit-scenes/bce/9b2f")), of_store(Path("my runs/digit-scenes/bce/9b2f"))
    ('', " --runs 'my runs'")
    """
    store = run.parents[2]
    return "" if store.absolute() == Path("runs").absolute() else f" --runs {shlex.quote(shown(store))}"
