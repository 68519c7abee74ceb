"""Average precision under many weightings of the images at once, for the bootstrap.

Each class is sorted once. Precision and recall are needed at positives alone, so the ranking is cut there, and the
weights of a segment between two positives are added up by one sparse product for all weightings: images x labels
additions for each weighting, and no sort. The segments take 4 bytes for each image-label pair, so those of many pairs
are made part by part, some classes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind
from bench.evaluation.bits import Mask
from bench.evaluation.metrics.average_precision import columns

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Weights = NDArray[np.float32]
"""(images, weightings): how often each image counts, a whole number."""


PART_BYTES = 2**30
"""Bytes of segments that are held at once."""


@dataclass(frozen=True, slots=True)
class ClassRanking:
    """The ranking of one class with a positive. ``segments`` (positives, images) are of ones.

    A positive's segment are the images ranked after the positive before it and up to the last of its own score.
    ``hit`` (positives,) is each positive's image; ``at`` the last positive of equal score, ``None`` where all differ.
    """

    segments: csr_matrix
    hit: NDArray[np.int64]
    at: NDArray[np.int64] | None


@dataclass(slots=True)
class Sums:
    """Sum of average precisions and number of classes under each weighting, (weightings,), of the classes so far."""

    total: NDArray[np.float64]
    classes: NDArray[np.float64]

    @classmethod
    def empty(cls, weightings: int) -> Sums:
        """Return the sums of no class."""
        return cls(np.zeros(weightings), np.zeros(weightings))

    @property
    def mean(self) -> NDArray[np.float64]:
        """Return mAP under each weighting; NaN where no class has a counted positive."""
        nothing = np.full(len(self.total), np.nan)
        found: NDArray[np.float64] = np.divide(self.total, self.classes, out=nothing, where=self.classes > 0)
        return found


@dataclass(frozen=True, slots=True)
class WeightedRanking:
    """The rankings of all classes with a positive, or of some of them."""

    classes: tuple[ClassRanking, ...]

    def mean_average_precision(self, weights: Weights, kind: ApKind) -> NDArray[np.float64]:
        """Return mAP of kind ``kind`` under each weighting; a class without a counted positive is left out.

        NaN where there is no class with one.
        """
        sums = Sums.empty(weights.shape[1])
        self.add(weights, kind, sums)
        return sums.mean

    def add(self, weights: Weights, kind: ApKind, sums: Sums) -> None:
        """Add these classes to ``sums``, one after another, so that parts give what all at once do."""
        exact = _exact(weights)
        for ranking in self.classes:
            area, positives = _average_precision(ranking, exact, kind)
            sums.total += np.where(positives > 0, area, 0.0)
            sums.classes += positives > 0


def build(truth: Mask, scores: NDArray[np.float32], ignore: Mask | None) -> WeightedRanking:
    """Return the rankings; all arrays are (images, labels), and images in ``ignore`` are out of a class's ranking."""
    return WeightedRanking(tuple(_rankings(truth, scores, ignore)))


def parts(truth: Mask, scores: NDArray[np.float32], ignore: Mask | None) -> Iterator[WeightedRanking]:
    """Yield the rankings of ``build``, each part with as many classes as ``PART_BYTES`` hold."""
    together = max(1, PART_BYTES // max(1, 4 * truth.shape[0]))
    rankings = _rankings(truth, scores, ignore)
    while some := tuple(islice(rankings, together)):
        yield WeightedRanking(some)


def _rankings(truth: Mask, scores: NDArray[np.float32], ignore: Mask | None) -> Iterator[ClassRanking]:
    from scipy.sparse import csr_matrix

    images = truth.shape[0]
    # One array of ones for all classes: a class's are its beginning.
    ones = np.ones(images, dtype=_segment_type(images))
    for label, of_class, column in columns(truth, scores, ignore):
        if not of_class.any():
            continue
        order = _descending(column)
        values = -column[order]
        hit = np.flatnonzero(of_class[order])
        # Images of equal score enter together: precision is that of the last of each group.
        last = np.searchsorted(values, values[hit], side="right") - 1
        at = np.searchsorted(hit, last, side="right") - 1
        rows = order if ignore is None else np.flatnonzero(~ignore[:, label : label + 1])[order]
        retrieved = rows[: last[-1] + 1].astype(np.int32)
        pointers = np.concatenate([[0], last + 1]).astype(np.int32)
        segments = csr_matrix((ones[: len(retrieved)], retrieved, pointers), shape=(len(hit), images))
        differ = bool((at == np.arange(len(at))).all())
        yield ClassRanking(segments, rows[hit], None if differ else at)


def _segment_type(images: int) -> type[np.uint16] | type[np.float32]:
    """Return in what segments are added up: no sum exceeds the images drawn, and half the bytes take half the time."""
    return np.uint16 if images < 2**16 else np.float32


def _exact(weights: Weights) -> NDArray[np.uint16] | Weights:
    """Return ``weights`` as segments are added up; those of another sum than the images' stay as they are."""
    small = weights.sum(axis=0, dtype=np.float64).max(initial=0.0) < 2**16
    return weights.astype(np.uint16) if small and len(weights) < 2**16 else weights


def _descending(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the order of ``scores`` (images,) from the highest on; equal ones stay in the order of images."""
    if scores.dtype != np.float32:
        return np.argsort(-scores, kind="stable")
    # Bits of a float compare as whole numbers once negative ones are turned around; with the image below them, a
    # plain sort, which NumPy has in vector code, is a stable one. Adding 0 makes -0 the 0 that it equals.
    bits = (-scores + np.float32(0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    keys = np.sort(rising << np.uint64(32) | np.arange(len(scores), dtype=np.uint64))
    return (keys & np.uint64(2**32 - 1)).astype(np.int64)


def running(step: np.ufunc, *parts: NDArray[np.generic]) -> Weights:
    """Return ``step.accumulate`` down the columns of ``parts``, each (n, some), side by side and as float32.

    For sums of whole numbers below 2**24 and for maxima, which do not depend on the order of steps: NumPy goes down
    each column by itself; here whole rows are joined, in about sqrt(n) blocks at once and then from block to block.
    """
    count, widths = len(parts[0]), [part.shape[1] for part in parts]
    length = max(1, int(np.sqrt(count)))
    blocks = -(-count // length)
    result = np.zeros((blocks, length, sum(widths)), dtype=np.float32)
    flat = result.reshape(blocks * length, -1)[:count]
    np.concatenate(parts, axis=1, out=flat, casting="unsafe")
    for row in range(1, length):
        step(result[:, row - 1], result[:, row], out=result[:, row])
    for block in range(1, blocks):
        step(result[block - 1, -1], result[block, -1], out=result[block, -1])
    if length > 1:
        step(result[:-1, -1:], result[1:, :-1], out=result[1:, :-1])
    return flat


def _average_precision(
    ranking: ClassRanking, weights: NDArray[np.uint16] | Weights, kind: ApKind
) -> tuple[NDArray[np.float64], Weights]:
    """Return one class's average precision and its number of positives under each weighting."""
    hits = weights[ranking.hit]
    # Whole numbers up to 2**24 are exact in float32.
    sums = running(np.add, hits, np.asarray(ranking.segments @ weights))
    positives = sums[-1, : hits.shape[1]]
    reached, drawn = np.split(sums if ranking.at is None else sums[ranking.at], 2, axis=1)
    # Where nothing is drawn, nothing is reached: 0 / 1.
    precision: Weights = np.divide(reached, np.maximum(drawn, 1), dtype=np.float32)
    if kind != "non_interpolated":
        precision = running(np.maximum, precision[::-1])[::-1]
    if kind == "11_point":
        return _eleven_points(precision, reached, positives), positives
    area = (precision * hits.astype(np.float32)).sum(axis=0, dtype=np.float64)
    return np.divide(area, positives, out=np.zeros_like(area), where=positives > 0), positives


def _eleven_points(precision: Weights, reached: Weights, positives: Weights) -> NDArray[np.float64]:
    """Return the mean of the best precision at recall 0, 0.1, ..., 1 or higher; ``precision`` never rises."""
    total = np.zeros(precision.shape[1])
    for tenth in range(11):
        enough = 10 * reached >= tenth * positives
        first = enough.argmax(axis=0)
        total += np.where(enough.any(axis=0), np.take_along_axis(precision, first[None], axis=0)[0], 0.0)
    return total / 11
