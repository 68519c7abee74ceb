"""True positives, predictions and positives, per class or per image: all that precision and recall need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records import BoolArray

CountArray = NDArray[np.int64]

ROWS = 255
"""Rows summed in one byte: the most ones that a uint8 can count."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Whole numbers per class, (labels,), or per image, (images,).

    ``true_positives`` are predicted and true, ``predicted`` all predictions, ``positives`` all true labels.
    """

    true_positives: CountArray
    predicted: CountArray
    positives: CountArray


def class_counts(truth: BoolArray, predicted: BoolArray, ignore: BoolArray | None = None) -> Counts:
    """Return the counts per class; a pair marked in ``ignore`` is neither a prediction nor a true positive.

    >>> truth = np.array([[True, False], [True, True]])
    >>> predicted = np.array([[True, True], [False, True]])
    >>> counts = class_counts(truth, predicted)
    >>> counts.true_positives.tolist(), counts.predicted.tolist(), counts.positives.tolist()
    ([1, 1], [1, 2], [2, 1])
    """
    return _counts(truth, predicted, ignore, axis=0)


def image_counts(truth: BoolArray, predicted: BoolArray, ignore: BoolArray | None = None) -> Counts:
    """Return the counts per image; a pair marked in ``ignore`` is neither a prediction nor a true positive.

    >>> truth = np.array([[True, False], [True, True]])
    >>> predicted = np.array([[True, True], [False, True]])
    >>> counts = image_counts(truth, predicted)
    >>> counts.true_positives.tolist(), counts.predicted.tolist(), counts.positives.tolist()
    ([1, 1], [2, 1], [1, 2])
    """
    return _counts(truth, predicted, ignore, axis=1)


def _counts(truth: BoolArray, predicted: BoolArray, ignore: BoolArray | None, axis: int) -> Counts:
    count = _count_columns if axis == 0 else _count_rows
    if ignore is not None:
        predicted = predicted & ~ignore
        truth = truth & ~ignore
    return Counts(count(truth & predicted), count(predicted), count(truth))


def _count_columns(mask: BoolArray) -> CountArray:
    """Return the number of true entries per column, adding bytes: numpy's own bool sum widens each entry first."""
    whole = len(mask) // ROWS * ROWS
    bytes_ = np.ascontiguousarray(mask).view(np.uint8)
    blocks = bytes_[:whole].reshape(-1, ROWS, mask.shape[1])
    total: CountArray = blocks.sum(axis=1, dtype=np.uint8).sum(axis=0, dtype=np.int64)
    total += bytes_[whole:].sum(axis=0, dtype=np.int64)
    return total


def _count_rows(mask: BoolArray) -> CountArray:
    narrow = np.uint8 if mask.shape[1] <= ROWS else np.uint16 if mask.shape[1] < 2**16 else np.uint32
    count: CountArray = mask.view(np.uint8).sum(axis=1, dtype=narrow).astype(np.int64)
    return count
