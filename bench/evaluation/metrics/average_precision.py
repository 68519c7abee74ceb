"""Average precision of one class's ranking of images, in the three forms the literature uses.

All three need precision and recall only at the thresholds that equal a positive's score: between two
such thresholds recall stands still and precision falls. So a class costs one value sort of its scores
and one binary search per positive; no argsort of all images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind
from bench.evaluation.bits import Mask

BLOCK_BYTES = 384 * 2**20
"""The most memory for classes turned from image-major to class-major at once: 67 of a million images."""

BLOCK_LABELS = 128
"""The most classes turned at once: whole cache lines of an image's scores are used, and few classes wait in memory."""

TILE = 256
"""Images turned at once: their part of the scores stays in the cache while it is read across."""


def average_precision(
    truth: NDArray[np.bool_], scores: NDArray[np.floating], kind: ApKind, ignore: NDArray[np.bool_] | None = None
) -> float:
    """Return the average precision of one class, in [0, 1], higher is better. All arrays are (images,).

    With P(t) and R(t) the precision and recall of "score >= t", over the thresholds t set by the scores:

    * ``non_interpolated``: sum_t (R(t) - R(t')) P(t), t' the next higher threshold (scikit-learn).
    * ``all_point``: the same with max over R(u) >= R(t) of P(u) for P(t) (VOC 2010-2012 devkit).
    * ``11_point``: mean over r in 0, 0.1, ..., 1 of max over R(u) >= r of P(u), 0 where there is none
      (VOC 2007 devkit). R >= r is decided in whole numbers, 10 TP >= j positives, so no rounding enters.

    Ties: images of equal score enter together, so the order of images never matters. Empty: NaN
    without a positive. Images marked in ``ignore`` are taken out of the ranking altogether.

    >>> truth = np.array([True, False, True, False])
    >>> scores = np.array([0.9, 0.8, 0.7, 0.6])
    >>> round(average_precision(truth, scores, "non_interpolated"), 4)  # (1/1 + 2/3) / 2
    0.8333
    >>> round(average_precision(truth, scores, "11_point"), 4)  # (6 * 1 + 5 * 2/3) / 11
    0.8485
    >>> average_precision(truth, np.zeros(4), "non_interpolated")  # all tied: precision 2/4 at recall 1
    0.5
    """
    if ignore is not None:
        truth, scores = truth[~ignore], scores[~ignore]
    hits, retrieved = thresholds(truth, scores)
    return from_thresholds(hits, retrieved, kind)


def average_precisions(
    truth: Mask,
    scores: NDArray[np.floating],
    kinds: tuple[ApKind, ...],
    ignore: Mask | None = None,
) -> dict[ApKind, NDArray[np.float64]]:
    """Return ``average_precision`` of every class for every kind, each (labels,); arrays are (images, labels).

    ``scores`` may be memory-mapped: they are read in passes, of whose classes at most ``BLOCK_BYTES`` are in memory.

    >>> truth = np.array([[True, False], [False, False]])
    >>> average_precisions(truth, np.array([[0.9, 0.1], [0.8, 0.2]]), ("all_point",))["all_point"].tolist()
    [1.0, nan]
    """
    results = {kind: np.full(truth.shape[1], np.nan) for kind in kinds}
    for label, column_truth, column_scores in columns(truth, scores, ignore):
        hits, retrieved = thresholds(column_truth, column_scores)
        for kind in kinds:
            results[kind][label] = from_thresholds(hits, retrieved, kind)
    return results


def mean_defined(values: NDArray[np.float64]) -> float:
    """Return the mean of the entries that are not NaN; NaN where there is none. mAP is this over classes.

    >>> mean_defined(np.array([1.0, np.nan, 0.5]))
    0.75
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def columns(
    truth: Mask, scores: NDArray[np.floating], ignore: Mask | None
) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.floating]]]:
    """Yield label, truth and scores of each class over its images that are not ignored, valid until the next.

    Classes are turned in blocks: a column of an image-major array touches one cache line per entry.
    """
    images, labels = truth.shape
    scores = np.asarray(scores)
    width = max(1, min(labels, BLOCK_LABELS, BLOCK_BYTES // max(1, images * (scores.itemsize + 2))))
    block_truth, block_ignore = np.empty((2, width, images), dtype=np.bool_)
    block_scores = np.empty((width, images), dtype=scores.dtype)
    for first in range(0, labels, width):
        _turn(truth, first, block_truth)
        _turn(scores, first, block_scores)
        if ignore is not None:
            _turn(ignore, first, block_ignore)
        for row in range(min(width, labels - first)):
            if ignore is not None and block_ignore[row].any():
                kept = ~block_ignore[row]
                yield first + row, block_truth[row][kept], block_scores[row][kept]
            else:
                yield first + row, block_truth[row], block_scores[row]


def _turn(source: Mask | NDArray[np.floating], first: int, block: NDArray[np.generic]) -> None:
    """Fill the rows of ``block`` with the columns of ``source`` from ``first`` on, as many as there are."""
    columns = slice(first, first + len(block))
    for start in range(0, block.shape[1], TILE):
        rows = slice(start, start + TILE)
        part = source[rows, columns].T
        block[: len(part), rows] = part


def thresholds(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return TP and retrieved images of "score >= s" for s the score of each positive, descending.

    Both are (positives,); positives of equal score have equal entries. The last of ``hits`` is the
    number of positives.
    """
    positive = np.sort(scores[truth])
    everything = np.sort(scores)
    hits = len(positive) - np.searchsorted(positive, positive, side="left")
    retrieved = len(everything) - np.searchsorted(everything, positive, side="left")
    return hits[::-1], retrieved[::-1]


def from_thresholds(
    hits: NDArray[np.int64], retrieved: NDArray[np.int64], kind: ApKind, positives: int | None = None
) -> float:
    """Return the average precision of kind ``kind`` from what ``thresholds`` returns.

    ``positives`` is larger than ``len(hits)`` where some positives were never retrieved.
    """
    total = len(hits) if positives is None else positives
    if total == 0:
        return float("nan")
    if len(hits) == 0:
        return 0.0
    exact = hits / retrieved
    if kind == "non_interpolated":
        return float(exact.sum() / total)
    best = np.maximum.accumulate(exact[::-1])[::-1]
    if kind == "all_point":
        return float(best.sum() / total)
    first = np.searchsorted(10 * hits, np.arange(11) * total, side="left")
    reached = first[first < len(best)]
    return float(best[reached].sum() / 11)
