"""Each image's ranking of the labels: the k best, and mean average precision at k."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.evaluation.bits import BitMatrix, Mask, row_blocks
from bench.evaluation.metrics.average_precision import from_thresholds, thresholds
from bench.evaluation.metrics.counts import count_columns
from bench.records import BoolArray

NOT_RANKED = "scores hold NaN, which cannot be ranked; allowed: numbers, infinite ones included"


def top_k(scores: NDArray[np.floating], k: int) -> BoolArray:
    """Return the ``k`` best labels of each image, (images, labels) bool, exactly ``k`` per row.

    By score, infinite ones included; ties go to the lower label index, so results do not depend on the sort. Where
    there are no more than ``k`` labels, all. Raises ``DataError`` for NaN, which is no rank.
    Source: Gong et al., 2013 ("annotate each image with the top k").

    >>> top_k(np.array([[0.2, 0.5, 0.5]]), 1).tolist()
    [[False, True, False]]
    """
    images, labels = scores.shape
    if k >= labels:
        if np.isnan(scores.max(initial=-np.inf)):
            raise DataError(NOT_RANKED)
        return np.ones((images, labels), dtype=np.bool_)
    chosen = np.empty((images, labels), dtype=np.bool_)
    for rows in row_blocks(images, labels):
        chosen[rows] = _top_k_block(scores[rows], k)
    return chosen


def top_k_above(scores: NDArray[np.floating], k: int, threshold: float) -> BoolArray:
    """Return the labels that are among the ``k`` best *and* score at least ``threshold``.

    Source: ML-GCN's ``util.py`` (logit >= 0). Fewer than ``k`` labels per image and higher precision: not
    comparable to exact top k.

    >>> top_k_above(np.array([[0.2, 0.5, 0.6]]), 2, 0.55).tolist()
    [[False, False, True]]
    """
    return top_k(scores, k) & (scores >= threshold)


def packed_top_k(scores: NDArray[np.floating], k: int, threshold: float = -np.inf) -> BitMatrix:
    """Return what ``top_k_above`` does, packed; without ``threshold``, what ``top_k`` does."""
    blocks = (top_k_above(scores[rows], k, threshold) for rows in row_blocks(*scores.shape))
    return BitMatrix.pack(blocks, scores.shape[1])


def ranked(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the ``k`` best labels of each image, best first, (images, k); ties go to the lower label index.

    >>> ranked(np.array([[0.2, 0.5, 0.5, 0.9]]), 3).tolist()
    [[3, 1, 2]]
    """
    k = min(k, scores.shape[1])
    best = np.empty((len(scores), k), dtype=np.intp)
    for rows in row_blocks(*scores.shape):
        block = scores[rows]
        labels = np.nonzero(top_k(block, k))[1].reshape(-1, k)
        # Labels come in ascending order, so a stable sort leaves the lower index first among equals.
        order = np.argsort(-np.take_along_axis(block, labels, axis=1), axis=1, kind="stable")
        best[rows] = np.take_along_axis(labels, order, axis=1)
    return best


def map_at_k_image(
    truth: Mask, scores: NDArray[np.floating], k: int = 10, ignore: Mask | None = None
) -> NDArray[np.float64]:
    """Return each image's average precision at ``k``, (images,), in [0, 1]; MAP@k is ``mean_defined`` of it.

    AP@k = (sum over ranks r <= k of hit_r * precision at r) / min(positives, k). Ignored labels are taken
    out of the ranking. Ties go to the lower label index. Empty: NaN for an image without a true label.
    Source: Weston et al., WSABIE, 2011; the paper cites MAP@10 without a formula, this one is our reading.

    >>> truth = np.array([[True, False, True]])
    >>> round(float(map_at_k_image(truth, np.array([[0.9, 0.5, 0.1]]))[0]), 4)  # (1/1 + 2/3) / 2
    0.8333
    """
    images, labels = truth.shape
    result = np.full(images, np.nan)
    for rows in row_blocks(images, labels):
        true, values, _ = _ranks(truth, scores, ignore, rows)
        hit = np.take_along_axis(true, ranked(values, k), axis=1)
        precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
        positives = np.count_nonzero(true, axis=1)
        np.divide((precision * hit).sum(axis=1), np.minimum(positives, k), out=result[rows], where=positives > 0)
    return result


def map_at_k_class(
    truth: Mask, scores: NDArray[np.floating], k: int = 10, ignore: Mask | None = None
) -> NDArray[np.float64]:
    """Return each class's average precision over the images whose ``k`` best labels hold it, (labels,).

    The non-interpolated AP in which an image retrieves only its ``k`` best labels: a positive that is not
    among them adds nothing. In [0, 1]; MAP@k per class is ``mean_defined`` of it. Ties between images as
    in ``average_precision``, between labels to the lower index. Empty: NaN for a class without a positive.

    >>> truth = np.array([[True, False], [True, False]])
    >>> map_at_k_class(truth, np.array([[0.9, 0.1], [0.3, 0.7]]), k=1).tolist()
    [0.5, nan]
    """
    images, labels = truth.shape
    positives = np.zeros(labels, dtype=np.int64)
    retrieved: list[tuple[NDArray[np.generic], ...]] = []
    for rows in row_blocks(images, labels):
        true, ranks, ignored = _ranks(truth, scores, ignore, rows)
        values = scores[rows]
        positives += count_columns(true)
        best = top_k(ranks, k)
        if ignored is not None:
            best &= ~ignored
        # Sixteen bits, where they do, are sorted in linear time.
        label = np.nonzero(best)[1].astype(np.uint16 if labels <= 2**16 else np.int64)
        retrieved.append((label, true[best], values[best]))
    label, hit, value = (np.concatenate(parts) for parts in zip(*retrieved, strict=True))
    by_label = np.argsort(label, kind="stable")
    hit, value = hit[by_label], value[by_label]
    ends = np.cumsum(np.bincount(label, minlength=labels))
    result = np.full(labels, np.nan)
    # What an image does not retrieve is not in the ranking, but its positives stay in the denominator.
    for index, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        hits, found = thresholds(hit[first:last], value[first:last])
        result[index] = from_thresholds(hits, found, "non_interpolated", int(positives[index]))
    return result


def _ranks(
    truth: Mask, scores: NDArray[np.floating], ignore: Mask | None, rows: slice
) -> tuple[BoolArray, NDArray[np.floating], BoolArray | None]:
    """Return truth, what ranks the labels, and ignore mask of some images; an ignored pair is not true and ranks last.

    What ranks them are the scores, but in images that have -inf beside an ignored pair: there, whole numbers.
    """
    if ignore is None:
        return truth[rows], scores[rows], None
    ignored, values = ignore[rows], scores[rows]
    ranks = np.where(ignored, -np.inf, values)
    if values.min(initial=np.inf) == -np.inf:
        beside = ((values == -np.inf) & ~ignored).any(axis=1) & ignored.any(axis=1)
        for row in np.flatnonzero(beside):
            _, order = np.unique(values[row], return_inverse=True)
            ranks[row] = np.where(ignored[row], -np.inf, order)
    return truth[rows] & ~ignored, ranks, ignored


def _top_k_block(scores: NDArray[np.floating], k: int) -> BoolArray:
    labels = scores.shape[1]
    best = np.partition(scores, labels - k, axis=1)[:, labels - k :]
    # NaN is sorted behind all numbers, so it is here if it is anywhere.
    if np.isnan(best.max(initial=-np.inf)):
        raise DataError(NOT_RANKED)
    cut = best[:, :1]
    chosen: BoolArray = scores >= cut
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(tied):
        above = scores[tied] > cut[tied]
        equal = scores[tied] == cut[tied]
        room = k - above.sum(axis=1, keepdims=True)
        chosen[tied] = above | (equal & (np.cumsum(equal, axis=1) <= room))
    return chosen
