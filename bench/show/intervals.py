"""How far a run's values would move with other test images, as a few lines beside its row."""

from __future__ import annotations

import math

from bench.evaluation import bootstrap, significance
from bench.evaluation.bootstrap import Interval
from bench.store.resamples import affordable
from bench.store.run_folder import RunFolder


def of_run(folder: RunFolder, draw: significance.Draw = significance.draw) -> tuple[int, dict[str, Interval]]:
    """Return how many resamples of the test images were drawn, and by metric where 95 % of them lie.

    A metric that is undefined, as rankings of label sets are, has no interval.
    """
    outcome = folder.read_outcome()
    resamples = affordable(math.prod(outcome.truth.shape))
    found = draw(outcome, resamples).distribution(resamples)
    intervals = {metric: bootstrap.interval(values, 0.0) for metric, values in found.items()}
    return resamples, {metric: one for metric, one in intervals.items() if not math.isnan(one.value)}
