"""Each image's ranking of the labels: the k best, and mean average precision at k."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.average_precision import columns, from_thresholds, thresholds
from bench.records import BoolArray

BLOCK_ENTRIES = 4 * 2**20
"""Image-label pairs worked on at once; bounds the working memory."""


def top_k(scores: NDArray[np.floating], k: int) -> BoolArray:
    """Return the ``k`` best labels of each image, (images, labels) bool, exactly ``k`` per row.

    Ties go to the lower label index, so results do not depend on the sort. ``k`` is at most the
    number of labels. Source: Gong et al., 2013 ("annotate each image with the top k").

    >>> top_k(np.array([[0.2, 0.5, 0.5]]), 1).tolist()
    [[False, True, False]]
    """
    images, labels = scores.shape
    if k >= labels:
        return np.ones((images, labels), dtype=np.bool_)
    chosen = np.empty((images, labels), dtype=np.bool_)
    step = max(1, BLOCK_ENTRIES // labels)
    for first in range(0, images, step):
        chosen[first : first + step] = _top_k_block(scores[first : first + step], k)
    return chosen


def top_k_above(scores: NDArray[np.floating], k: int, threshold: float) -> BoolArray:
    """Return the labels that are among the ``k`` best *and* score at least ``threshold``.

    Source: ML-GCN's ``util.py`` (logit >= 0). Fewer than ``k`` labels per image and higher precision: not
    comparable to exact top k.

    >>> top_k_above(np.array([[0.2, 0.5, 0.6]]), 2, 0.55).tolist()
    [[False, False, True]]
    """
    return top_k(scores, k) & (scores >= threshold)


def ranked(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the ``k`` best labels of each image, best first, (images, k); ties go to the lower label index.

    >>> ranked(np.array([[0.2, 0.5, 0.5, 0.9]]), 3).tolist()
    [[3, 1, 2]]
    """
    k = min(k, scores.shape[1])
    labels = np.nonzero(top_k(scores, k))[1].reshape(-1, k)
    # Labels come in ascending order, so a stable sort leaves the lower index first among equals.
    order = np.argsort(-np.take_along_axis(scores, labels, axis=1), axis=1, kind="stable")
    return np.take_along_axis(labels, order, axis=1)


def map_at_k_image(
    truth: BoolArray, scores: NDArray[np.floating], k: int = 10, ignore: BoolArray | None = None
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
    step = max(1, BLOCK_ENTRIES // labels)
    for first in range(0, images, step):
        block = slice(first, first + step)
        block_truth, block_scores = truth[block], scores[block]
        if ignore is not None:
            block_truth = block_truth & ~ignore[block]
            block_scores = np.where(ignore[block], -np.inf, block_scores)
        hit = np.take_along_axis(block_truth, ranked(block_scores, k), axis=1)
        precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
        positives = block_truth.sum(axis=1)
        np.divide((precision * hit).sum(axis=1), np.minimum(positives, k), out=result[block], where=positives > 0)
    return result


def map_at_k_class(
    truth: BoolArray, scores: NDArray[np.floating], k: int = 10, ignore: BoolArray | None = None
) -> NDArray[np.float64]:
    """Return each class's average precision over the images whose ``k`` best labels hold it, (labels,).

    The non-interpolated AP in which an image retrieves only its ``k`` best labels: a positive that is not
    among them adds nothing. In [0, 1]; MAP@k per class is ``mean_defined`` of it. Ties between images as
    in ``average_precision``, between labels to the lower index. Empty: NaN for a class without a positive.

    >>> truth = np.array([[True, False], [True, False]])
    >>> map_at_k_class(truth, np.array([[0.9, 0.1], [0.3, 0.7]]), k=1).tolist()
    [0.5, nan]
    """
    kept = top_k(scores if ignore is None else np.where(ignore, -np.inf, scores), k)
    # What an image does not retrieve is taken out of the ranking, but its positives stay in the denominator.
    absent = ~kept if ignore is None else ~kept | ignore
    positives = (truth if ignore is None else truth & ~ignore).sum(axis=0)
    result = np.full(truth.shape[1], np.nan)
    for label, column_truth, column_scores in columns(truth, scores, absent):
        hits, retrieved = thresholds(column_truth, column_scores)
        result[label] = from_thresholds(hits, retrieved, "non_interpolated", int(positives[label]))
    return result


def _top_k_block(scores: NDArray[np.floating], k: int) -> BoolArray:
    labels = scores.shape[1]
    cut = np.partition(scores, labels - k, axis=1)[:, labels - k, None]
    chosen: BoolArray = scores >= cut
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(tied):
        above = scores[tied] > cut[tied]
        equal = scores[tied] == cut[tied]
        room = k - above.sum(axis=1, keepdims=True)
        chosen[tied] = above | (equal & (np.cumsum(equal, axis=1) <= room))
    return chosen
