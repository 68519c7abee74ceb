"""Progress on standard error: bars where a terminal shows them, elsewhere a line every half minute.

``--quiet`` and ``--json`` silence both. What takes less than half a minute says nothing where nobody looks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.system.text import for_stream

Item = TypeVar("Item")

QUIET_VARIABLE = "BENCH_QUIET"
"""Environment variable that turns progress off; ``--quiet`` and ``--json`` set it."""

LEVEL_VARIABLE = "BENCH_LOG_LEVEL"
"""Environment variable that says from which level on a run's log holds what goes on; ``--log-level`` sets it."""

EVERY = 30.0
"""Seconds between two lines."""

TOLD = 60.0
"""Seconds from which what is left is worth a word where each piece has a line of its own."""


def _can_draw() -> bool:
    """Return whether standard error is a terminal that a bar can be drawn on: not one that only prints lines."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def progress_shown() -> bool:
    """Return whether progress bars are drawn: a terminal can, and quiet is not asked for."""
    return _can_draw() and not os.environ.get(QUIET_VARIABLE)


def progress_bar(
    items: Iterable[Item], description: str, total: int | None = None, unit: str = "images", scale: int = 1
) -> Iterator[Item]:
    """Yield ``items`` while a bar, or a line every half minute, counts them.

    ``total`` is in ``unit``; ``scale`` is how many of them one item stands for, the last perhaps for fewer.
    """
    if total is None and isinstance(items, Sized):
        total = len(items) * scale
    stage = Stage(description, total, unit)
    with _REPORTER.telling(stage):
        for item in _drawn(items, stage) if progress_shown() else items:
            yield item
            done = stage.done + scale
            stage.done = done if total is None else min(done, total)


def _drawn(items: Iterable[Item], stage: Stage) -> Iterator[Item]:
    """Yield ``items`` while a bar counts them."""
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
        task = progress.add_task(for_stream(stage.description, sys.stderr), total=stage.total, rate="")
        for item in items:
            yield item
            progress.update(task, completed=stage.done, rate=rate_in_words(progress.tasks[0].speed, stage.unit))


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
            return f"{self.description}: {duration(passed)} so far" if passed >= 1 else self.description
        of_total = "" if self.total is None else f" of {self.total:,}"
        words = [f"{self.description}: {self.done:,}{of_total} {self.unit}", rate_in_words(self.speed, self.unit)]
        if (left := self.left) is not None:
            words.append(f"about {duration(left)} left")
        return ", ".join(filter(None, words))

    @property
    def speed(self) -> float:
        """Return how many ``unit`` a second there were so far."""
        passed = time.monotonic() - self.started
        return self.done / passed if passed else 0.0

    @property
    def left(self) -> float | None:
        """Return the seconds that the rest takes at this speed; ``None`` where that is not known."""
        speed = self.speed
        return (self.total - self.done) / speed if self.total is not None and speed else None

    def to_json(self) -> dict[str, Any]:
        """Return what is told of it, and since how many seconds it is under way."""
        return {
            "doing": self.description,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "speed": self.speed,
            "left_seconds": self.left,
            "seconds": time.monotonic() - self.started,
        }


class Many:
    """Many pieces of work, each of a kind, one after another or ``at_once``, and how long the rest of them takes.

    A piece takes what those of its kind took, or, of a kind that was not met yet, what a kind took on average, by the
    ``weights`` that say how long kinds take next to one another: 1 where nothing is said.
    """

    def __init__(
        self, kinds: Sequence[str], unit: str, at_once: int = 1, weights: Mapping[str, float] | None = None
    ) -> None:
        self.unit, self.total, self.at_once = unit, len(kinds), at_once
        self._weights = {kind: (weights or {}).get(kind, 1.0) for kind in kinds}
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
        usual = sum(mean / self._weights[kind] for kind, mean in means.items()) / len(means)
        whole = sum(means.get(kind, usual * self._weights[kind]) for kind in self._open) / min(
            self.at_once, max(len(self._open), 1)
        )
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
        self._under_way.append(what)
        told = not (os.environ.get(QUIET_VARIABLE) or _can_draw())
        if told and (self._thread is None or not self._thread.is_alive()):
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
                if line and not os.environ.get(QUIET_VARIABLE) and not _can_draw():
                    sys.stderr.write(for_stream(f"progress: {line}\n", sys.stderr))
                    sys.stderr.flush()

    def innermost(self) -> Stage | None:
        """Return the stage that began last of those that count; where none does, of all."""
        stages = [one for one in list(self._under_way) if isinstance(one, Stage)]
        return next((one for one in reversed(stages) if one.unit), stages[-1] if stages else None)

    def line(self) -> str:
        """Return what is under way: the innermost stage, then how many pieces of what it is a part of are done."""
        now = list(self._under_way)
        stages = [one for one in now if isinstance(one, Stage)]
        return "; ".join(
            [one.words() for one in stages[-1:]] + [one.words() for one in reversed(now) if isinstance(one, Many)]
        )


_REPORTER = _Reporter()


def under_way() -> Stage | None:
    """Return what this process is at, the innermost that counts; ``None`` where it is at nothing."""
    return _REPORTER.innermost()


def line() -> str:
    """Return what this process is at, in words; empty where it is at nothing."""
    return _REPORTER.line()


def rate_in_words(speed: float | None, unit: str) -> str:
    """Return images/s and the like, or seconds for each where one takes longer than a second.

    >>> rate_in_words(1234.5, "images"), rate_in_words(0.125, "epochs"), rate_in_words(None, "images")
    ('1,234 images/s', '8.0 s each', '')
    """
    if not speed:
        return ""
    return f"{speed:,.0f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
