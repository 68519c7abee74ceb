"""Progress on standard error: bars where a terminal shows them, elsewhere a line every half minute.

``--quiet`` and ``--json`` silence both. What takes less than half a minute says nothing where nobody looks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import TypeVar

from bench.system.text import for_stream

Item = TypeVar("Item")

QUIET_VARIABLE = "BENCH_QUIET"
"""Environment variable that turns progress off; ``--quiet`` and ``--json`` set it."""

EVERY = 30.0
"""Seconds between two lines."""

TOLD = 60.0
"""Seconds from which what is left is worth a word where each piece has a line of its own."""


def progress_shown() -> bool:
    """Return whether progress bars are drawn: standard error is a terminal and quiet is not asked for."""
    return sys.stderr.isatty() and not os.environ.get(QUIET_VARIABLE)


def progress_bar(
    items: Iterable[Item], description: str, total: int | None = None, unit: str = "images", scale: int = 1
) -> Iterator[Item]:
    """Yield ``items`` while a bar, or a line every half minute, counts them.

    ``scale`` is how many ``unit`` one item stands for.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not progress_shown():
        stage = Stage(description, total and total * scale, unit)
        with _REPORTER.telling(stage):
            for item in items:
                yield item
                stage.done += scale
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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


@contextlib.contextmanager
def stage(description: str) -> Iterator[None]:
    """Have the body told as ``description`` where it takes long and nothing in it counts."""
    with _REPORTER.telling(Stage(description)):
        yield


@dataclass(slots=True, eq=False)
class Stage:
    """Something under way: how much of it is done, of how much, in which unit, since when; ``total`` may be unknown."""

    description: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    started: float = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108 - looked up when called

    def words(self) -> str:
        """Return what is said of it, as in ``reading: 1,200 of 5,000 images, 40 images/s, about 2 min left``."""
        passed = time.monotonic() - self.started
        if not self.unit:
            return f"{self.description}: {duration(passed)} so far"
        of_total = "" if self.total is None else f" of {self.total:,}"
        speed = self.done / passed if passed else 0.0
        words = [f"{self.description}: {self.done:,}{of_total} {self.unit}", _rate(speed, self.unit)]
        if self.total is not None and speed:
            words.append(f"about {duration((self.total - self.done) / speed)} left")
        return ", ".join(filter(None, words))


class Many:
    """Many pieces of work, each of a kind, one after another or ``at_once``, and how long the rest of them takes.

    A piece takes what those of its kind took, or, of a kind that was not met yet, what a kind took on average.
    """

    def __init__(self, kinds: Sequence[str], unit: str, at_once: int = 1) -> None:
        self.unit, self.total, self.at_once = unit, len(kinds), at_once
        self._open = list(kinds)
        self._took: dict[str, list[float]] = {}
        self._last = time.monotonic()

    def finished(self, kind: str, seconds: float | None) -> None:
        """Count one as done, which took ``seconds``; ``None``: it was found done."""
        self._open.remove(kind)
        self._last = time.monotonic()
        if seconds is not None:
            self._took.setdefault(kind, []).append(seconds)

    @property
    def left(self) -> float | None:
        """Return the seconds that the rest takes; ``None`` where nothing is known yet."""
        means = {kind: sum(each) / len(each) for kind, each in self._took.items()}
        if not means:
            return None
        usual = sum(means.values()) / len(means)
        whole = sum(means.get(kind, usual) for kind in self._open) / min(self.at_once, max(len(self._open), 1))
        return max(whole - (time.monotonic() - self._last), 0.0)

    def words(self) -> str:
        """Return what is said of it, as in ``3 of 18 runs, about 4 min left``."""
        left = self.left
        told = "" if left is None or not self._open else f", about {duration(left)} left"
        return f"{self.total - len(self._open)} of {self.total} {self.unit}{told}"

    def if_long(self) -> str:
        """Return ``words``, or nothing where little is left or nothing is known."""
        left = self.left
        return self.words() if self._open and left is not None and left >= TOLD else ""

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Have each line of progress in the body end with ``words``."""
        with _REPORTER.telling(self):
            yield


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(12), duration(250), duration(9000)
    ('12 s', '4 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Reporter:
    """What is under way in this process, and the thread that tells it; it begins with the first and sleeps mostly."""

    def __init__(self) -> None:
        self._under_way: list[Stage | Many] = []
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def telling(self, what: Stage | Many) -> Iterator[None]:
        if os.environ.get(QUIET_VARIABLE) or sys.stderr.isatty():
            yield
            return
        self._under_way.append(what)
        if self._thread is None or not self._thread.is_alive():
            # A daemon: it ends with the process, whatever it is at.
            self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
            self._thread.start()
        try:
            yield
        finally:
            self._under_way.remove(what)

    def _tell(self) -> None:
        while True:
            time.sleep(EVERY)
            line = self.line()
            # A word that nobody can hear any more must not end the work; nor one while the process ends.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if line and not os.environ.get(QUIET_VARIABLE):
                    sys.stderr.write(for_stream(f"progress: {line}\n", sys.stderr))
                    sys.stderr.flush()

    def line(self) -> str:
        """Return what is under way: the innermost stage, then how many pieces of what it is a part of are done."""
        now = list(self._under_way)
        stages = [one for one in now if isinstance(one, Stage)]
        return "; ".join(
            [one.words() for one in stages[-1:]] + [one.words() for one in reversed(now) if isinstance(one, Many)]
        )


_REPORTER = _Reporter()


def _rate(speed: float | None, unit: str) -> str:
    """Return images/s and the like, or seconds for each where one takes longer than a second.

    >>> _rate(1234.5, "images"), _rate(0.125, "epochs"), _rate(None, "images")
    ('1,234 images/s', '8.0 s each', '')
    """
    if not speed:
        return ""
    return f"{speed:,.0f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
