"""Wall times: per stage, and per item with percentiles, by the monotonic nanosecond clock."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(slots=True)
class Stopwatch:
    """Adds up the wall time of named stages. ``current`` is the stage under way, or the last one entered."""

    nanoseconds: dict[str, int] = field(default_factory=dict)
    current: str = ""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body as ``name``; entered again, the times add up."""
        self.current = name
        started = time.perf_counter_ns()
        try:
            yield
        finally:
            self.nanoseconds[name] = self.nanoseconds.get(name, 0) + time.perf_counter_ns() - started

    def to_json(self) -> dict[str, Any]:
        """Return seconds per stage in the order first entered, and the thread counts in force."""
        return {
            "seconds": {name: elapsed / 1e9 for name, elapsed in self.nanoseconds.items()},
            "threads": thread_counts(),
        }


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


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Return count, median, p50, p95, p99 and spread of per-item ``seconds``.

    Percentiles are linearly interpolated between items. The spread is the interquartile range, which one
    interruption by the operating system does not move. Raises ``ValueError`` for no items.

    >>> summary = summarize([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> summary["median"], summary["spread"]
    (3.0, 2.0)
    """
    if not len(seconds):
        raise ValueError("no times to summarise")
    low, median, high, p95, p99 = (float(value) for value in np.percentile(seconds, [25, 50, 75, 95, 99]))
    return {"count": len(seconds), "median": median, "p50": median, "p95": p95, "p99": p99, "spread": high - low}


def thread_counts() -> dict[str, int]:
    """Return the cores this process may use, and the threads asked for or set in the libraries already loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = {"cores": cores}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if os.environ.get(variable, "").isdigit():
            counts[variable] = int(os.environ[variable])
    # Looked up, not imported: a table or a list must not load torch to know that it was not used.
    torch = sys.modules.get("torch")
    if torch is not None:
        counts["torch"] = torch.get_num_threads()
    return counts
