"""Wall times by the monotonic nanosecond clock: of a run's stages, of one item after another, of calls in turns."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.system import memory
from bench.system.progress import stage as told
from bench.system.threads import thread_counts

SECONDS = 1.0
"""Time that ``turns`` spends on each call, where that is more than the turns asked for take."""

TURNS = 5
"""Turns of each call at least."""


def local_time(seconds: float) -> datetime.datetime | None:
    """Return a time in this machine's zone, in UTC where ``TZ`` names none, or ``None`` of what is no time.

    >>> local_time(0.0).timestamp(), local_time(1e300)
    (0.0, None)
    """
    for zone in (None, datetime.UTC):
        with contextlib.suppress(OverflowError, OSError, ValueError):
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone(zone)
    return None


class Listener(Protocol):
    """Told of each stage, when it begins and when it ends."""

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str, seconds: float, peak_bytes: int) -> None: ...


@dataclass(slots=True)
class Stopwatch:
    """Adds up the wall time of named stages. ``current`` is the stage under way, or the last one entered.

    ``peaks`` are the largest resident memory of the process up to the end of each stage, in bytes: a stage that it rose
    in is one that needed more than those before.
    """

    nanoseconds: dict[str, int] = field(default_factory=dict)
    current: str = ""
    peaks: dict[str, int] = field(default_factory=dict)
    listener: Listener | None = None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body as ``name``; entered again, the times add up."""
        self.current = name
        if self.listener is not None:
            self.listener.begin(name)
        started = time.perf_counter_ns()
        try:
            with told(name):
                yield
        finally:
            elapsed = time.perf_counter_ns() - started
            self.nanoseconds[name] = self.nanoseconds.get(name, 0) + elapsed
            self.peaks[name] = memory.peak()
            if self.listener is not None:
                self.listener.end(name, elapsed / 1e9, self.peaks[name])

    def to_json(self) -> dict[str, Any]:
        """Return seconds and peaks of memory per stage in the order first entered, and the thread counts in force."""
        return {
            "seconds": {name: elapsed / 1e9 for name, elapsed in self.nanoseconds.items()},
            "peak_bytes": dict(self.peaks),
            "threads": thread_counts(),
        }


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """Return the seconds that ``call`` takes, the mean of ``times`` calls timed as one."""
    started = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - started) / 1e9 / times


def item_times(call: Callable[[Any], object], items: Sequence[Any], *, warm_up: int = 3) -> list[float]:
    """Return the seconds that ``call`` takes for each of ``items``, after ``warm_up`` untimed calls on the first.

    ``call`` must return only when its work is done: an accelerator's queue must be synchronised inside it.
    """
    for _ in range(warm_up):
        call(items[0])
    times = []
    for item in items:
        started = time.perf_counter_ns()
        call(item)
        times.append((time.perf_counter_ns() - started) / 1e9)
    return times


def turns(calls: Mapping[str, Callable[[], object]], least: int = TURNS) -> dict[str, list[float]]:
    """Return for each call the seconds of its turns, at least ``least`` and more of short ones, after a warm-up.

    The calls take turns in one process, so that all meet the same machine. Short ones are timed in bunches of about
    two milliseconds, so that the clock's own cost does not count; a turn is then the mean of a bunch.
    """
    once = {}
    for name, call in calls.items():
        call()
        once[name] = seconds(call)
    bunch = {name: max(1, int(2e-3 / max(each, 1e-7))) for name, each in once.items()}
    wanted = {name: max(least, min(200, int(SECONDS / max(once[name] * bunch[name], 1e-6)))) for name in calls}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(max(wanted.values())):
        for name, call in calls.items():
            if turn < wanted[name]:
                times[name].append(seconds(call, bunch[name]))
    return times
