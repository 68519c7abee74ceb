"""The real handwritten digits that scikit-learn bundles, divided once into sources for train, validation and test."""

from __future__ import annotations

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path
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
    images, target = _bundled()
    rng = np.random.default_rng(20160626)  # the split's seed never changes, whatever a data set's seed
    low, high = SHARES[part]
    rows = []
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(target == digit))
        rows.append(members[int(low * len(members)) : int(high * len(members))])
    chosen = np.concatenate(rows)
    return (images[chosen] / 16.0).astype(np.float32), target[chosen].astype(np.int64)


def _bundled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return all digits as scikit-learn's ``load_digits`` does, (1797, 8, 8) in 0-16, and their classes, (1797,).

    Read from its file: importing scikit-learn takes as long as importing torch.
    """
    found = importlib.util.find_spec("sklearn")
    place = Path(found.origin).parent if found is not None and found.origin else Path()
    file = place / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():  # a version that keeps it elsewhere
        from sklearn.datasets import load_digits

        bundled = load_digits()
        return bundled.images, bundled.target
    with gzip.open(file, "rt", encoding="ascii") as text:
        table = np.loadtxt(text, delimiter=",")
    return table[:, :64].reshape(-1, 8, 8), table[:, 64].astype(np.int64)
