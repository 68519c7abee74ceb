"""Timing the metrics of this project beside those of other libraries, turn by turn in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.errors import NotRun
from bench.speed.measure import machine_limits, turns
from bench.speed.metric_peers import COUNTS, RANKING, Case, Found, Way, ours, scikit_learn, torchmetrics

ALL = "all of them"
"""The parts together, each in a library's fastest way."""

TOLERANCE = 1e-6
"""Largest difference between two libraries' values of one metric; torchmetrics adds up in float32."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One way to compute one part: median and quartiles over turns, in seconds.

    ``ratio`` is this median over ours, ``difference`` the largest between one of its values and ours.
    """

    part: str
    method: str
    median: float
    low: float
    high: float
    ratio: float
    difference: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def compare(case: Case, rounds: int, threads: Sequence[int]) -> tuple[list[Timing], list[str]]:
    """Return how long every way to compute every part takes, and why a library was not run.

    Each way has at least ``rounds`` turns, a short one as many as fit into a second.
    """
    libraries, not_run = [ours(), scikit_learn()], []
    try:
        libraries += [torchmetrics(number) for number in threads]
    except NotRun as reason:
        not_run.append(str(reason))
    timings = []
    for part in (COUNTS, RANKING):
        ways = {name: way for library in libraries for name, way in library[part].items()}
        timings += _timed(part, ways, case, rounds)
    return timings + _together(timings), not_run


def _timed(part: str, ways: dict[str, Way], case: Case, rounds: int) -> list[Timing]:
    found: dict[str, Found] = {}

    def keep(name: str, way: Way) -> Callable[[], None]:
        return lambda: found.update({name: way(case)})

    seconds = turns({name: keep(name, way) for name, way in ways.items()}, rounds)
    base = float(np.median(seconds["bench"]))
    rows = []
    for name, times in seconds.items():
        low, median, high = (float(value) for value in np.percentile(times, [25, 50, 75]))
        rows.append(Timing(part, name, median, low, high, median / base, _difference(found[name], found["bench"])))
    return rows


def _together(timings: Sequence[Timing]) -> list[Timing]:
    """Return the sum over the parts for each library and number of threads, each part in its fastest way."""
    rows: list[Timing] = []
    for name in (timing.method for timing in timings if timing.part == RANKING):
        best = [
            min((t for t in timings if t.part == part and t.method.startswith(name)), key=lambda t: t.median)
            for part in (COUNTS, RANKING)
        ]
        median, low, high = (sum(getattr(timing, each) for timing in best) for each in ("median", "low", "high"))
        ratio = median / rows[0].median if rows else 1.0
        rows.append(Timing(ALL, name, median, low, high, ratio, max(timing.difference for timing in best)))
    return rows


def _difference(found: Found, expected: Found) -> float:
    return max(float(np.abs(found[name] - values).max()) for name, values in expected.items())


def floors(case: Case) -> dict[str, float]:
    """Return by part the seconds that one thread needs for reading and sorting alone.

    Counting reads truth and predictions once; average precision reads truth and scores once and sorts the values of
    each class. Bytes go at the speed of a NumPy sum over memory; the sorts are NumPy's, of columns already in place.
    """
    _, bytes_per_second = machine_limits()
    read = case.truth.nbytes / bytes_per_second
    columns = np.ascontiguousarray(case.scores[:, :32].T)
    np.sort(columns[0])
    started = time.perf_counter()
    for column in columns:
        np.sort(column)
    sorting = (time.perf_counter() - started) / len(columns) * case.scores.shape[1]
    ranking = read + case.scores.nbytes / bytes_per_second + sorting
    return {COUNTS: 2 * read, RANKING: ranking, "sorting": sorting, ALL: 2 * read + ranking}
