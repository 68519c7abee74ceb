"""Paired bootstrap over test images: how far a metric, or a difference of two runs, could move with other images.

An interval is for the value that test sets of this size, drawn from where this one was, give on average. It is not for
the value on endlessly many images: class means of a small test set are off that by a bias that no interval repairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import metric_table
from bench.evaluation.metrics import ApKind
from bench.evaluation.rare_classes import unseen_variance, widen
from bench.evaluation.resample import Resample, Values, prepare
from bench.records import BoolArray
from bench.system.progress import progress_bar

CHUNK = 50
"""Resamples worked on at once; bounds the working memory to a few times this by images, in float32."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric and the middle 95 % of its resamples, moved as ``interval`` says."""

    value: float
    low: float
    high: float

    @property
    def spans_zero(self) -> bool:
        """Return whether 0 lies in the interval: two runs whose difference does so cannot be told apart."""
        return self.low <= 0.0 <= self.high


def draw(images: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield weights, (at most ``CHUNK``, images): how often each image was drawn with replacement.

    Runs on the same images with the same seed get the same weights: the comparison is paired.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        count = min(CHUNK, resamples - start)
        drawn = (np.bincount(rng.integers(images, size=images), minlength=images) for _ in range(count))
        yield np.stack(list(drawn)).astype(np.float32)


def measured(resample: Resample) -> dict[str, Values]:
    """Return every metric that can be resampled, (resamples,) each; without scores the rankings' are absent."""
    found = {name: metric.resampled(resample) for name, metric in metric_table.by_name().items() if metric.resampled}
    return {name: values for name, values in found.items() if values is not None}


def distribution(
    truth: BoolArray,
    predicted: BoolArray,
    scores: NDArray[np.float32] | None,
    ignore: BoolArray | None = None,
    *,
    ap: ApKind = "non_interpolated",
    resamples: int = 1000,
    seed: int = 0,
    name: str = "bootstrap",
) -> dict[str, Values]:
    """Return each metric's ``resamples`` values, the first of them on the images as they are (weights of one).

    Those of class means are spread out by what the bootstrap cannot see of rare classes (``rare_classes``).
    """
    as_they_are = np.ones((1, len(truth)), dtype=np.float32)
    chunk_count = -(-resamples // CHUNK)
    drawn = progress_bar(draw(len(truth), resamples, seed), name, total=chunk_count, unit="resamples", scale=CHUNK)
    resample = prepare(truth, predicted, scores, ignore, ap)
    chunks = [measured(resample(weights)) for weights in chain([as_they_are], drawn)]
    unseen = unseen_variance(truth, predicted, scores, ignore)
    return {
        metric: widen(np.concatenate([chunk[metric] for chunk in chunks]), unseen.get(metric, 0.0))
        for metric in chunks[0]
    }


def interval(values: Values) -> Interval:
    """Return the interval of a distribution, or of the difference of two paired ones.

    The resamples are moved so that their mean is the value. A resample misses rare classes, and so shifts class means
    by what is no chance of the images: on Corel-5k, 260 words of 499 images, by 2 points of C-P and 4 of mAP.
    """
    moved = values[1:] - values[1:].mean() + values[0]
    low, high = np.percentile(moved, [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))
