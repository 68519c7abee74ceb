"""Which stored models differ by more than the choice of test images explains: paired bootstrap, seeds averaged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from bench.errors import DataError
from bench.evaluation import bootstrap, metric_table
from bench.evaluation.bootstrap import Drawn
from bench.evaluation.outcome import Outcome
from bench.evaluation.resample import Values
from bench.system.progress import progress_bar
from bench.system.threads import in_threads, thread_counts

Distributions = Mapping[str, Mapping[str, Values]]
"""Row -> metric -> its resamples, the first of them on the images as they are."""

Draw = Callable[[Outcome, int], Drawn]
"""Gives that many resamples of a run, or more, kept or drawn anew. Called by several threads at once."""

PAIRS_AT_ONCE = 2**26
"""Image-label pairs of the runs that are drawn at once, of which each takes some tens of bytes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row's metric minus the second's, with the middle 95 % of its ``resamples``, as fractions."""

    metric: str
    first: str
    second: str
    value: float
    low: float
    high: float
    resamples: int

    @property
    def distinguishable(self) -> bool:
        """Return whether the interval leaves out 0; one that no resample defines leaves out nothing."""
        return self.low > 0.0 or self.high < 0.0


def draw(outcome: Outcome, resamples: int) -> Drawn:
    """Return a run's resampled metrics."""
    return bootstrap.drawn(
        outcome.truth,
        outcome.predicted,
        np.asarray(outcome.scores.values) if outcome.scores.rank else None,
        outcome.ignore,
        outcome.protocol,
        resamples=resamples,
    )


def distributions(groups: Mapping[str, Sequence[Outcome]], resamples: int = 1000, draw: Draw = draw) -> Distributions:
    """Return every row's resampled metrics; ``groups`` maps a row's label to the outcomes of its seeds.

    A row's value is the mean over its seeds; all runs see the same resamples of the same test images.
    Raises ``DataError`` where runs were measured on different images or labels.
    """
    outcomes = [outcome for members in groups.values() for outcome in members]
    for outcome in outcomes:
        if outcome.fingerprint != outcomes[0].fingerprint:
            raise DataError(
                f"{outcome.name} was measured on other test images than {outcomes[0].name}; their difference has no"
                " meaning. Try: runs of one data set, with the same options"
            )
    pairs = max((math.prod(outcome.truth.shape) for outcome in outcomes), default=0)
    threads = max(1, min(thread_counts()["cores"], PAIRS_AT_ONCE // max(pairs, 1)))
    drawn = progress_bar(
        in_threads(lambda outcome: draw(outcome, resamples).distribution(resamples), outcomes, threads),
        "bootstrap of test images",
        total=len(outcomes),
        unit="runs",
    )
    result: dict[str, dict[str, Values]] = {}
    for label, members in groups.items():
        if runs := list(islice(drawn, len(members))):
            result[label] = {metric: np.mean([run[metric] for run in runs], axis=0) for metric in runs[0]}
    deque(drawn, maxlen=0)  # so that the bar ends
    return result


def differences(found: Distributions, metrics: Sequence[str] = metric_table.HEADLINES) -> list[Difference]:
    """Return the difference of every pair of rows in every metric that both have, rows in their order."""
    pairs = [(metric, first, second) for metric in metrics for first, second in combinations(_with(found, metric), 2)]
    return [_difference(found, metric, first, second) for metric, first, second in pairs]


def _with(found: Distributions, metric: str) -> list[str]:
    """Return the rows that have ``metric``: those of label sets alone have no ranking's, and some are undefined."""
    return [label for label, values in found.items() if metric in values and not math.isnan(values[metric][0])]


def _difference(found: Distributions, metric: str, first: str, second: str) -> Difference:
    values = found[first][metric] - found[second][metric]
    interval = bootstrap.interval(values)
    return Difference(metric, first, second, interval.value, interval.low, interval.high, len(values) - 1)


def ties(found: Distributions) -> frozenset[tuple[str, str]]:
    """Return the (row label, metric) that cannot be told from the metric's best row, the best row itself left out.

    A metric of which neither higher nor lower is better has no best row.
    """
    tied = set()
    for metric in dict.fromkeys(name for values in found.values() for name in values):
        direction = metric_table.by_name()[metric].direction
        if direction == "none":
            continue
        choose = min if direction == "lower" else max
        rows = _with(found, metric)
        if not rows:
            continue
        best = choose(rows, key=lambda label: float(found[label][metric][0]))
        others = [label for label in rows if label != best]
        tied |= {(label, metric) for label in others if not _difference(found, metric, best, label).distinguishable}
    return frozenset(tied)
