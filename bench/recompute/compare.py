"""How far what is computed again may be from what is stored, and whether it is further."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.system.room import blocks

TOLERANCE = {"same": 1e-3, "other": 2e-2}
"""Largest difference of scores, relative to the largest magnitude, and of log-probabilities: same device or another.

On the machine that made a run the difference is 0. The second is what a GPU's shorter floats (TF32) may take.
"""

MEASURES = 0.005
"""Largest difference of a measure or a validation score, as a fraction: half a point in percent."""

SHOWN = 0.02
"""Largest difference of what exhibits show, relative to the largest magnitude; attention is stored as float16."""


def relative_difference(stored: NDArray[Any], again: NDArray[Any]) -> float:
    """Return the largest difference, relative to the largest finite magnitude of ``again``; infinite where none fits.

    >>> relative_difference(np.array([1.0, -np.inf]), np.array([2.0, -np.inf]))
    0.5
    """
    if stored.shape != again.shape:
        return math.inf
    largest = apart = 0.0
    stored, again = np.atleast_1d(stored), np.atleast_1d(again)
    for rows in blocks(again):
        one, other = (np.asarray(values[rows], dtype=np.float64) for values in (stored, again))
        finite = np.isfinite(other)
        if not np.array_equal(np.isfinite(one), finite) or not np.array_equal(one[~finite], other[~finite]):
            return math.inf
        largest = max(largest, float(np.abs(other[finite]).max(initial=0.0)))
        apart = max(apart, float(np.abs(one[finite] - other[finite]).max(initial=0.0)))
    return apart / max(largest, 1e-12)


def alike(one: Any, other: Any) -> bool:
    """Return whether two nested values are equal, numbers and arrays up to ``SHOWN``."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, (float, np.ndarray)):
        return relative_difference(np.asarray(one), np.asarray(other)) <= SHOWN
    return bool(one == other)
