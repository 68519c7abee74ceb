"""Timing the metrics of this project beside those of other libraries, turn by turn in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import NotRun
from bench.speed.limits import machine_limits
from bench.speed.metric_peers import COUNTS, RANKING, Case, Found, Way, ours, scikit_learn, torchmetrics
from bench.speed.spread import Spread, summarize
from bench.system.clock import seconds, turns

ALL = "all of them"
"""The parts together, each in a library's fastest way."""

TOLERANCE = 1e-6
"""Largest difference between two libraries' values of one metric; torchmetrics adds up in float32."""


@dataclass(frozen=True, slots=True)
class MetricTiming:
    """One way to compute one part: its seconds, over turns.

    ``ratio`` is this median over ours, ``difference`` the largest between one of its values and ours.
    """

    part: str
    method: str
    seconds: Spread
    ratio: float
    difference: float


def compare(case: Case, rounds: int, threads: Sequence[int]) -> tuple[list[MetricTiming], list[str]]:
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


def _timed(part: str, ways: dict[str, Way], case: Case, rounds: int) -> list[MetricTiming]:
    found: dict[str, Found] = {}

    def keep(name: str, way: Way) -> Callable[[], None]:
        return lambda: found.update({name: way(case)})

    times = turns({name: keep(name, way) for name, way in ways.items()}, rounds)
    spreads = {name: summarize(each) for name, each in times.items()}
    base = spreads["bench"].median
    return [
        MetricTiming(part, name, spread, spread.median / base, _difference(found[name], found["bench"]))
        for name, spread in spreads.items()
    ]


def _together(timings: Sequence[MetricTiming]) -> list[MetricTiming]:
    """Return the sum over the parts for each library and number of threads, each part in its fastest way."""
    rows: list[MetricTiming] = []
    for name in (timing.method for timing in timings if timing.part == RANKING):
        best = [
            min((t for t in timings if t.part == part and t.method.startswith(name)), key=lambda t: t.seconds.median)
            for part in (COUNTS, RANKING)
        ]
        total = _sum([timing.seconds for timing in best])
        ratio = total.median / rows[0].seconds.median if rows else 1.0
        rows.append(MetricTiming(ALL, name, total, ratio, max(timing.difference for timing in best)))
    return rows


def _sum(parts: Sequence[Spread]) -> Spread:
    """Return the sums of medians and of quartiles, which overstates the spread: parts are rarely all slow at once."""
    q1, median, q3 = (sum(values) for values in zip(*((p.q1, p.median, p.q3) for p in parts), strict=True))
    return Spread(min(part.count for part in parts), q1, median, q3)


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

    def sort_each() -> None:
        for column in columns:
            np.sort(column)

    sorting = seconds(sort_each) / len(columns) * case.scores.shape[1]
    ranking = read + case.scores.nbytes / bytes_per_second + sorting
    return {COUNTS: 2 * read, RANKING: ranking, "sorting": sorting, ALL: 2 * read + ranking}
