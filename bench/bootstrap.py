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

from bench import metrics
from bench.metrics import ApKind
from bench.progress import track
from bench.records import BoolArray

Values = NDArray[np.float64]

CHUNK = 50
"""Resamples worked on at once; bounds the working memory to a few times this by images, in float32."""

METRICS = ("C-P", "C-R", "C-F1", "O-P", "O-R", "O-F1", "I-P", "I-R", "I-F1", "MAP@10_image", "mAP")
"""Metrics resampled, by their names in a run's measures."""


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
    *,
    ap: ApKind = "non_interpolated",
) -> dict[str, Values]:
    """Return every metric of ``METRICS`` under each row of ``weights`` (resamples, images), (resamples,) each.

    As ``bench.metrics`` defines them: harmonic means of means, 0/0 precision 0, classes without a drawn positive
    left out, mAP of kind ``ap``. ``scores`` (images, labels) may be ``None``: then neither mAP nor MAP@10_image.
    """
    return _resample(truth, predicted, scores, weights, ignore, ap, per_image(truth, predicted, scores, ignore))


def per_image(
    truth: BoolArray, predicted: BoolArray, scores: NDArray[np.float32] | None, ignore: BoolArray | None
) -> dict[str, Values]:
    """Return the metrics whose mean over images counts, each (images,), NaN for an image without a label."""
    counts = metrics.image_counts(truth, predicted, ignore)
    recall = metrics.recall(counts)
    values = {"I-P": np.where(np.isnan(recall), np.nan, metrics.precision(counts)), "I-R": recall}
    if scores is not None:
        values["MAP@10_image"] = metrics.map_at_k_image(truth, scores, 10, ignore)
    return values


def _resample(  # noqa: PLR0917 - as resample, with what does not depend on the weights
    truth: BoolArray,
    predicted: BoolArray,
    scores: NDArray[np.float32] | None,
    weights: NDArray[np.float32],
    ignore: BoolArray | None,
    ap: ApKind,
    of_images: dict[str, Values],
) -> dict[str, Values]:
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
    for name, values in of_images.items():
        there = ~np.isnan(values)
        drawn = weights @ there.astype(np.float32)
        total = weights.astype(np.float64) @ np.where(there, values, 0.0)
        result[name] = np.divide(total, drawn, out=np.full(len(weights), np.nan), where=drawn > 0)
    result["I-F1"] = _harmonic(result["I-P"], result["I-R"])
    if scores is not None:
        result["mAP"] = _mean_ap(truth, scores, weights, ignore, ap)
    return result


def _harmonic(a: Values, b: Values) -> Values:
    total = a + b
    result: Values = np.divide(2 * a * b, total, out=np.zeros_like(total), where=total > 0)
    return result


def _mean_ap(
    truth: BoolArray, scores: NDArray[np.float32], weights: NDArray[np.float32], ignore: BoolArray | None, ap: ApKind
) -> Values:
    """Return the mean over classes of the average precision of kind ``ap`` under each row of weights."""
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
        if ap != "non_interpolated":
            precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        if ap == "11_point":
            area = _eleven_points(precision, found[:, at], positives)
        else:
            area = np.divide((precision * hits).sum(axis=1), positives, out=np.zeros(len(weights)), where=positives > 0)
        total += np.where(positives > 0, area, 0.0)
        classes += positives > 0
    return total / np.maximum(classes, 1)


def _eleven_points(
    precision: NDArray[np.float32], found: NDArray[np.float32], positives: NDArray[np.float32]
) -> Values:
    """Return the mean of the best precision at recall 0, 0.1, ..., 1 or higher; ``precision`` never rises."""
    total = np.zeros(len(precision))
    for tenth in range(11):
        reached = 10 * found >= tenth * positives[:, None]
        first = reached.argmax(axis=1)
        total += np.where(reached.any(axis=1), precision[np.arange(len(precision)), first], 0.0)
    return total / 11


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
    """Return each metric's ``resamples`` values, the first of them on the images as they are (weights of one)."""
    as_they_are = np.ones((1, len(truth)), dtype=np.float32)
    chunk_count = -(-resamples // CHUNK)
    drawn = track(draw(len(truth), resamples, seed), name, total=chunk_count, unit="resamples", scale=CHUNK)
    of_images = per_image(truth, predicted, scores, ignore)
    chunks = [
        _resample(truth, predicted, scores, weights, ignore, ap, of_images) for weights in chain([as_they_are], drawn)
    ]
    return {metric: np.concatenate([chunk[metric] for chunk in chunks]) for metric in chunks[0]}


def interval(values: Values) -> Interval:
    """Return the interval of a distribution, or of the difference of two paired ones."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))
