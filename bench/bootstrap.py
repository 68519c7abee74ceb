"""Paired bootstrap over test images: how far a metric, or a difference of two runs, could move with other images.

A resample is a weight per image, how often it was drawn. Count metrics are then products of weights and counts.
Average precision is a sum over the ranking, sorted once per class; the weights are added up along it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bench.progress import track
from bench.records import BoolArray

Values = NDArray[np.float64]

CHUNK = 50
"""Resamples worked on at once; bounds the working memory to a few times this by images, in float32."""

METRICS = ("C-P", "C-R", "C-F1", "O-P", "O-R", "O-F1", "mAP")


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric and the middle 95 % of its resamples."""

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


def resample(
    truth: BoolArray,
    predicted: BoolArray,
    scores: NDArray[np.float32] | None,
    weights: NDArray[np.float32],
    ignore: BoolArray | None = None,
) -> dict[str, Values]:
    """Return every metric of ``METRICS`` under each row of ``weights`` (resamples, images), (resamples,) each.

    As ``bench.metrics`` defines them: harmonic means of means, 0/0 precision 0, classes without a drawn positive
    left out, non-interpolated AP. ``scores`` (images, labels) may be ``None``: then there is no mAP.
    """
    if ignore is not None:
        truth, predicted = truth & ~ignore, predicted & ~ignore
    hits, chosen, positives = (
        (weights @ part.astype(np.float32)).astype(np.float64) for part in (truth & predicted, predicted, truth)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        defined = positives > 0
        count = defined.sum(axis=1)
        mean_p = np.where(defined & (chosen > 0), hits / chosen, 0.0).sum(axis=1) / count
        mean_r = np.where(defined, hits / positives, 0.0).sum(axis=1) / count
        all_hits, all_chosen, all_positives = (part.sum(axis=1) for part in (hits, chosen, positives))
        overall_p = np.where(all_chosen > 0, all_hits / all_chosen, 0.0)
        overall_r = all_hits / all_positives
    result = {
        "C-P": mean_p,
        "C-R": mean_r,
        "C-F1": _harmonic(mean_p, mean_r),
        "O-P": overall_p,
        "O-R": overall_r,
        "O-F1": _harmonic(overall_p, overall_r),
    }
    if scores is not None:
        result["mAP"] = _mean_ap(truth, scores, weights, ignore)
    return result


def _harmonic(a: Values, b: Values) -> Values:
    total = a + b
    result: Values = np.divide(2 * a * b, total, out=np.zeros_like(total), where=total > 0)
    return result


def _mean_ap(
    truth: BoolArray, scores: NDArray[np.float32], weights: NDArray[np.float32], ignore: BoolArray | None
) -> Values:
    """Return the mean over classes of the non-interpolated AP under each row of weights."""
    total = np.zeros(len(weights))
    classes = np.zeros(len(weights))
    for label in range(truth.shape[1]):
        rows = np.flatnonzero(~ignore[:, label]) if ignore is not None else np.arange(len(truth))
        values = np.asarray(scores[rows, label])
        order = np.argsort(-values, kind="stable")
        rows, values = rows[order], values[order]
        hit = np.flatnonzero(truth[rows, label])
        if not len(hit):
            continue
        # Images of equal score enter together: precision is that of the last of each group.
        last = np.searchsorted(-values, -values[hit], side="right") - 1
        drawn = np.cumsum(weights[:, rows], axis=1, dtype=np.float32)[:, last]
        hits = weights[:, rows[hit]]
        found = np.cumsum(hits, axis=1, dtype=np.float32)
        at = np.searchsorted(hit, last, side="right") - 1
        precision = np.divide(found[:, at], drawn, out=np.zeros_like(drawn), where=drawn > 0)
        positives = found[:, -1]
        ap = np.divide((precision * hits).sum(axis=1), positives, out=np.zeros(len(weights)), where=positives > 0)
        total += ap
        classes += positives > 0
    return total / np.maximum(classes, 1)


def distribution(
    truth: BoolArray,
    predicted: BoolArray,
    scores: NDArray[np.float32] | None,
    ignore: BoolArray | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    name: str = "bootstrap",
) -> dict[str, Values]:
    """Return each metric's ``resamples`` values, the first of them on the images as they are (weights of one)."""
    as_they_are = np.ones((1, len(truth)), dtype=np.float32)
    chunk_count = -(-resamples // CHUNK)
    drawn = track(draw(len(truth), resamples, seed), name, total=chunk_count, unit="resamples", scale=CHUNK)
    chunks = [resample(truth, predicted, scores, weights, ignore) for weights in chain([as_they_are], drawn)]
    return {metric: np.concatenate([chunk[metric] for chunk in chunks]) for metric in chunks[0]}


def interval(values: Values) -> Interval:
    """Return the interval of a distribution, or of the difference of two paired ones."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))
