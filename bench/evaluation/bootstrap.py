"""Paired bootstrap over test images: how far a metric, or a difference of two runs, could move with other images.

An interval is for the value that test sets of this size, drawn from where this one was, give on average. It is not for
the value on endlessly many images: class means of a small test set are off that by a bias that no interval repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import repeat
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind, Protocol
from bench.evaluation import metric_table, weighted_ranking
from bench.evaluation.bits import Mask
from bench.evaluation.rare_classes import unseen_variance, widen
from bench.evaluation.resample import USUAL, Resample, Values, prepare
from bench.evaluation.weighted_ranking import Sums

CHUNK = 64
"""Resamples worked on at once; bounds the working memory to a few times this by images, in float32."""

SHARED = 2**26
"""Weights kept for the next run on the same images, two bytes each: a thousand resamples of 65,000 images."""

RANKED_AT_ONCE = 2**27
"""Image-label pairs up to which all classes' rankings are held; of more, a part after another."""

_one_draws = Lock()


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric and the middle 95 % of its resamples, moved as ``interval`` says."""

    value: float
    low: float
    high: float


def weightings(images: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield weights, (``CHUNK``, images), of which the first row of the first are ones: the images as they are.

    The others say how often each image was drawn with replacement; at least ``resamples`` rows are of those. Runs on
    the same images with the same seed get the same weights: the comparison is paired. Fewer resamples are the first of
    more.
    """
    chunks = -(-(1 + resamples) // CHUNK)
    if chunks * CHUNK * images <= SHARED:
        with _one_draws:
            shared = _shared(images, chunks, seed)
        yield from (chunk.astype(np.float32) for chunk in shared)
    else:
        yield from (chunk.astype(np.float32) for chunk in _drawn(images, chunks, seed))


def _drawn(images: int, chunks: int, seed: int) -> Iterator[NDArray[np.uint16]]:
    rng = np.random.default_rng(seed)
    for number in range(chunks):
        weights = np.ones((CHUNK, images), dtype=np.uint16)
        for row in weights[number == 0 :]:
            row[:] = np.bincount(rng.integers(images, size=images), minlength=images)
        yield weights


@lru_cache(maxsize=1)
def _shared(images: int, chunks: int, seed: int) -> tuple[NDArray[np.uint16], ...]:
    """Return all weights at once, for the next run on the same images."""
    return tuple(_drawn(images, chunks, seed))


def measured(resample: Resample) -> dict[str, Values]:
    """Return every metric that can be resampled, (resamples,) each; without scores the rankings' are absent."""
    found = {name: metric.resampled(resample) for name, metric in metric_table.by_name().items() if metric.resampled}
    return {name: values for name, values in found.items() if values is not None}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Each metric's values on the images as they are and then in each resample, (1 + resamples,), as they came out.

    ``unseen`` is the variance of class means that resampling leaves out, by metric (``rare_classes``). ``images`` is
    how many there are with a label: without one of them no metric is defined, however many others there are.
    """

    values: dict[str, Values]
    unseen: dict[str, float]
    images: int

    def distribution(self, resamples: int) -> dict[str, Values]:
        """Return the first ``resamples`` of each metric, behind its value, spread out by what they cannot show.

        Those of a single image with a label, which says nothing of others, are undefined.
        """
        few = of_few(self.images)
        return {
            metric: widen(values[: 1 + resamples], self.unseen.get(metric, 0.0), few)
            for metric, values in self.values.items()
        }


def of_few(images: int) -> float:
    """Return by how much more the resamples of so many images must spread; NaN of one image.

    Resamples show (n - 1) / n of a mean's variance, and their percentiles are a normal distribution's where Student's
    are needed. Source: T. Hesterberg, What teachers should know about the bootstrap, 2015, section 3.2.

    >>> [round(of_few(images), 3) for images in (5, 20, 499)]
    [1.584, 1.096, 1.003]
    """
    from scipy.special import ndtri, stdtrit

    if images < 2:
        return float("nan")
    return float(stdtrit(images - 1, 0.975) / ndtri(0.975) * (images / (images - 1)) ** 0.5)


def drawn(
    truth: Mask,
    predicted: Mask,
    scores: NDArray[np.float32] | None,
    ignore: Mask | None = None,
    protocol: Protocol = USUAL,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Drawn:
    """Return each metric's ``resamples`` values; the first n of them do not depend on how many more are drawn."""
    images, labels = truth.shape
    at_once = images * labels <= RANKED_AT_ONCE
    weights = partial(weightings, images, resamples, seed)
    ranked: Iterable[Values | None] = repeat(None)
    if scores is not None and not at_once:
        ranked = _in_parts(truth, scores, ignore, protocol.ap, weights)
    resample = prepare(truth, predicted, scores, ignore, protocol, rank=at_once)
    chunks = [measured(resample(chunk, known)) for chunk, known in zip(weights(), ranked, strict=False)]
    values = {
        metric: np.concatenate([chunk[metric] for chunk in chunks])[: 1 + resamples].astype(np.float64)
        for metric in chunks[0]
    }
    unseen = unseen_variance(truth, predicted, scores, ignore, protocol.no_predictions)
    return Drawn(values, unseen, resample.labelled)


def _in_parts(
    truth: Mask,
    scores: NDArray[np.float32],
    ignore: Mask | None,
    ap: ApKind,
    weights: Callable[[], Iterator[NDArray[np.float32]]],
) -> list[Values]:
    """Return mAP under each chunk of weightings, drawn anew for each part: to the bit as with all rankings at once."""
    sums: dict[int, Sums] = {}
    for part in weighted_ranking.parts(truth, scores, ignore):
        for number, chunk in enumerate(weights()):
            own = sums.setdefault(number, Sums.empty(len(chunk)))
            part.add(np.ascontiguousarray(chunk.T), ap, own)
    return [one.mean for one in sums.values()] or [np.full(len(chunk), np.nan) for chunk in weights()]


def distribution(
    truth: Mask,
    predicted: Mask,
    scores: NDArray[np.float32] | None,
    ignore: Mask | None = None,
    protocol: Protocol = USUAL,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Values]:
    """Return each metric's ``resamples`` values, the first of them on the images as they are (weights of one).

    They are spread out by what the bootstrap cannot see of rare classes (``rare_classes``), and of few images.
    """
    found = drawn(truth, predicted, scores, ignore, protocol, resamples=resamples, seed=seed)
    return found.distribution(resamples)


def interval(values: Values, least: float = -1.0) -> Interval:
    """Return the interval of the difference of two paired distributions, or of one, whose ``least`` value is 0.

    The resamples are moved so that their mean is the value. A resample misses rare classes, and so shifts class means
    by what is no chance of the images: on Corel-5k, 260 words of 499 images, by 2 points of C-P and 4 of mAP.
    Moved ones may lie where no metric can, beyond 0 or 1, and where nearly all are alike beside the value: the interval
    ends at what there is, and holds the value. Resamples in which the metric is undefined, as mAP where no image has a
    label, are left out; where it is in all, as those of a single image, the value could be any.
    """
    value, defined = float(values[0]), values[1:][~np.isnan(values[1:])]
    if not len(defined):
        return Interval(value, np.nan, np.nan) if np.isnan(value) else Interval(value, least, 1.0)
    moved = defined - defined.mean() + value
    low, high = np.clip(np.percentile(moved, [2.5, 97.5]), least, 1.0)
    return Interval(value, min(float(low), value), max(float(high), value))
