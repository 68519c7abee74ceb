"""What a reader asks first of a split: counts, label cardinality, imbalance, co-occurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.fingerprint import fingerprint, fingerprint_over
from bench.records import BoolArray, Split

BLOCK = 1 << 14
"""Images whose truth is held as numbers at once."""


def statistics(split: Split) -> dict[str, Any]:
    """Return what a reader asks first of a split, as JSON values.

    ``label_cardinality`` is labels per image; ``imbalance`` the most over the least frequent label's count;
    ``cooccurrence`` the pairs of labels that are together most often, with their count and lift, which is
    how many times more often than if they were independent.
    """
    truth = split.truth
    counts = truth.sum(axis=0)
    per_image = truth.sum(axis=1)
    together = cooccurrence(truth)
    pairs = np.triu(together, 1)
    # A stable sort: pairs that are together equally often stand in the labels' order.
    best = [divmod(int(place), len(split.labels)) for place in np.argsort(-pairs, axis=None, kind="stable")[:10]]
    return {
        "dataset": split.dataset,
        "split": split.name,
        "images": len(split),
        "labels": len(split.labels),
        "label_cardinality": float(per_image.mean()),
        "unlabelled_images": int((per_image == 0).sum()),
        "ignored_pairs": 0 if split.ignore is None else int(split.ignore.sum()),
        "imbalance": float(counts.max() / max(int(counts.min()), 1)),
        "cardinality_histogram": np.bincount(per_image).tolist(),
        "label_counts": {name: int(count) for name, count in zip(split.labels, counts, strict=True)},
        "ignored_counts": {}
        if split.ignore is None
        else {name: int(count) for name, count in zip(split.labels, split.ignore.sum(axis=0), strict=True)},
        "cooccurrence": [
            {
                "labels": [split.labels[first], split.labels[second]],
                "images": int(together[first, second]),
                "lift": float(together[first, second] * len(split) / (counts[first] * counts[second])),
            }
            for first, second in best
            if pairs[first, second]
        ],
        "fingerprint": fingerprint(split),
        "fingerprint_over": fingerprint_over(split),
    }


def cooccurrence(truth: BoolArray) -> NDArray[np.int64]:
    """Return how many images hold both labels, (labels, labels); the diagonal counts each label's images."""
    counts = np.zeros((truth.shape[1], truth.shape[1]), dtype=np.int64)
    for start in range(0, len(truth), BLOCK):
        # float32 is exact up to 2**24 images, and has a fast matrix product where integers have none.
        values = truth[start : start + BLOCK].astype(np.float32)
        counts += np.rint(values.T @ values).astype(np.int64)
    return counts
