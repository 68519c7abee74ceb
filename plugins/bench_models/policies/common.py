"""What several policies need: pairs that count, the best single threshold, the k best labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")


def best_threshold(scores: NDArray[np.float32], truth: NDArray[np.bool_], positives: int) -> np.float32:
    """Return the threshold for which 2 TP / (predicted + ``positives``) is largest of the pairs (n,), those >= it.

    Of equal ones the highest. It lies half-way to the next lower score, so that rounding turns no label. Without a true
    pair nothing is predicted.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # between equal scores there is no threshold
    if not len(ranked) or not hits[-1]:
        return np.float32(np.finfo(np.float32).max)
    f1 = np.where(last, 2.0 * hits / (np.arange(1, len(ranked) + 1) + max(positives, 1)), -1.0)
    return bench.half_way(ranked, int(f1.argmax()))


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Return the ``k`` best labels of each image, (n, labels) bool; ties go to the lower label index."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


def counting(part: bench.ScoredPart) -> NDArray[np.bool_]:
    """Return which pairs count, (images, labels)."""
    return np.ones(part.truth.shape, dtype=np.bool_) if part.ignore is None else ~part.ignore
