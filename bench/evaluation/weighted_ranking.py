"""Average precision under many weightings of the images at once, for the bootstrap.

Each class is sorted once. Precision and recall are needed at positives alone, so the ranking is cut there, and the
weights of a segment between two positives are added up by one sparse product for all weightings: images x labels
additions for each weighting, and no sort. The segments take 8 bytes for each image-label pair.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.metrics import ApKind
from bench.records import BoolArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Weights = NDArray[np.float32]
"""(images, weightings): how often each image counts."""


@dataclass(frozen=True, slots=True)
class WeightedRanking:
    """The rankings of all classes with a positive. ``segments`` (positives of all classes, images) are of ones.

    A positive's segment are the images ranked after the positive before it and up to the last of its own score.
    ``hit`` (positives,) is each positive's image; ``at`` the last positive of equal score, counted in its class;
    ``ends`` where each class's positives end.
    """

    segments: csr_matrix
    hit: NDArray[np.int64]
    at: NDArray[np.int64]
    ends: NDArray[np.int64]

    def mean_average_precision(self, weights: Weights, kind: ApKind) -> NDArray[np.float64]:
        """Return mAP of kind ``kind`` under each weighting; a class without a counted positive is left out.

        NaN where there is no class with one.
        """
        retrieved = np.asarray(self.segments @ weights)
        hits = weights[self.hit]
        total, classes = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        for start, end in itertools.pairwise([0, *self.ends]):
            area, positives = _average_precision(retrieved[start:end], hits[start:end], self.at[start:end], kind)
            total += np.where(positives > 0, area, 0.0)
            classes += positives > 0
        mean: NDArray[np.float64] = np.divide(total, classes, out=np.full(len(total), np.nan), where=classes > 0)
        return mean


def build(truth: BoolArray, scores: NDArray[np.float32], ignore: BoolArray | None) -> WeightedRanking:
    """Return the rankings; all arrays are (images, labels), and images in ``ignore`` are out of a class's ranking."""
    from scipy.sparse import csr_matrix

    images, columns, bounds, hits, ats, ends = len(truth), [], [], [], [], []
    before = positives = 0
    for label in range(truth.shape[1]):
        rows = np.arange(images) if ignore is None else np.flatnonzero(~ignore[:, label])
        values = -np.asarray(scores[rows, label])
        order = np.argsort(values, kind="stable")
        rows, values = rows[order], values[order]
        hit = np.flatnonzero(truth[rows, label])
        if not len(hit):
            continue
        # Images of equal score enter together: precision is that of the last of each group.
        last = np.searchsorted(values, values[hit], side="right") - 1
        columns.append(rows[: last[-1] + 1].astype(np.int32))
        bounds.append(before + last + 1)
        hits.append(rows[hit])
        ats.append(np.searchsorted(hit, last, side="right") - 1)
        before, positives = before + int(last[-1]) + 1, positives + len(hit)
        ends.append(positives)
    joined = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int32)
    pointers = np.concatenate([[0], *bounds])
    segments = csr_matrix((np.ones(len(joined), dtype=np.float32), joined, pointers), shape=(positives, images))
    empty = np.zeros(0, dtype=np.int64)
    return WeightedRanking(
        segments, np.concatenate([empty, *hits]), np.concatenate([empty, *ats]), np.array(ends, dtype=np.int64)
    )


def _average_precision(
    retrieved: Weights, hits: Weights, at: NDArray[np.int64], kind: ApKind
) -> tuple[NDArray[np.float64], Weights]:
    """Return one class's average precision and its number of positives under each weighting."""
    # Whole numbers up to 2**24 are exact in float32.
    found = np.cumsum(hits, axis=0)
    positives = found[-1]
    reached, drawn = found[at], np.cumsum(retrieved, axis=0)
    precision = np.divide(reached, drawn, out=np.zeros_like(drawn), where=drawn > 0)
    if kind != "non_interpolated":
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    if kind == "11_point":
        return _eleven_points(precision, reached, positives), positives
    area = (precision * hits).sum(axis=0, dtype=np.float64)
    return np.divide(area, positives, out=np.zeros_like(area), where=positives > 0), positives


def _eleven_points(precision: Weights, reached: Weights, positives: Weights) -> NDArray[np.float64]:
    """Return the mean of the best precision at recall 0, 0.1, ..., 1 or higher; ``precision`` never rises."""
    total = np.zeros(precision.shape[1])
    for tenth in range(11):
        enough = 10 * reached >= tenth * positives
        first = enough.argmax(axis=0)
        total += np.where(enough.any(axis=0), np.take_along_axis(precision, first[None], axis=0)[0], 0.0)
    return total / 11
