"""Progress bars on standard error, for people: silent where nobody looks (pipes, ``--json``, ``--quiet``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from bench.system.text import for_stream

Item = TypeVar("Item")

QUIET_VARIABLE = "BENCH_QUIET"
"""Environment variable that turns progress bars off; ``--quiet`` and ``--json`` set it."""


def progress_shown() -> bool:
    """Return whether progress bars are drawn: standard error is a terminal and quiet is not asked for."""
    return sys.stderr.isatty() and not os.environ.get(QUIET_VARIABLE)


def progress_bar(
    items: Iterable[Item], description: str, total: int | None = None, unit: str = "images", scale: int = 1
) -> Iterator[Item]:
    """Yield ``items`` while a bar counts them; ``scale`` is how many ``unit`` one item stands for."""
    if not progress_shown():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if total is None and isinstance(items, Sized):
        total = len(items)
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(for_stream(description, sys.stderr), total=total and total * scale, rate="")
        for item in items:
            yield item
            progress.advance(task, scale)
            progress.update(task, rate=_rate(progress.tasks[0].speed, unit))


def _rate(speed: float | None, unit: str) -> str:
    """Return images/s and the like, or seconds for each where one takes longer than a second.

    >>> _rate(1234.5, "images"), _rate(0.125, "epochs"), _rate(None, "images")
    ('1,234 images/s', '8.0 s each', '')
    """
    if not speed:
        return ""
    return f"{speed:,.0f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
