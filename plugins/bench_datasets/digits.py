"""The real handwritten digits that scikit-learn bundles, divided once into sources for train, validation and test."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import bench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")

Part = Literal["train", "validation", "test"]

SHARES: dict[Part, tuple[float, float]] = {"train": (0.0, 0.6), "validation": (0.6, 0.75), "test": (0.75, 1.0)}
"""Of each class's digits, in an order drawn once: from which fraction to which."""


@lru_cache(maxsize=3)
def digits(part: Part) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the digits of ``part``: opacity of the ink, (n, 8, 8) in [0, 1], and their classes, (n,) 0-9.

    The parts share no digit. Source: UCI ML optical recognition of handwritten digits, 1,797 digits.
    """
    from sklearn.datasets import load_digits

    bundled = load_digits()
    rng = np.random.default_rng(20160626)  # the split's seed never changes, whatever a data set's seed
    low, high = SHARES[part]
    rows = []
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(bundled.target == digit))
        rows.append(members[int(low * len(members)) : int(high * len(members))])
    chosen = np.concatenate(rows)
    return (bundled.images[chosen] / 16.0).astype(np.float32), bundled.target[chosen].astype(np.int64)
