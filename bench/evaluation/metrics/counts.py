"""True positives, predictions and positives, per class or per image: all that precision and recall need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.bits import Mask, row_blocks
from bench.records import BoolArray
from bench.records.checks import freeze

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

    def __post_init__(self) -> None:
        for array in (self.true_positives, self.predicted, self.positives):
            freeze(array)


def class_counts(truth: Mask, predicted: Mask, ignore: Mask | None = None) -> Counts:
    """Return the counts per class; a pair marked in ``ignore`` is neither a prediction nor a true positive.

    >>> truth = np.array([[True, False], [True, True]])
    >>> predicted = np.array([[True, True], [False, True]])
    >>> counts = class_counts(truth, predicted)
    >>> counts.true_positives.tolist(), counts.predicted.tolist(), counts.positives.tolist()
    ([1, 1], [1, 2], [2, 1])
    """
    totals = np.zeros((3, truth.shape[1]), dtype=np.int64)
    for _, parts in counted_blocks(truth, predicted, ignore):
        totals += [count_columns(part) for part in parts]
    return Counts(*totals)


def image_counts(truth: Mask, predicted: Mask, ignore: Mask | None = None) -> Counts:
    """Return the counts per image; a pair marked in ``ignore`` is neither a prediction nor a true positive.

    >>> truth = np.array([[True, False], [True, True]])
    >>> predicted = np.array([[True, True], [False, True]])
    >>> counts = image_counts(truth, predicted)
    >>> counts.true_positives.tolist(), counts.predicted.tolist(), counts.positives.tolist()
    ([1, 1], [2, 1], [1, 2])
    """
    counts = np.empty((3, truth.shape[0]), dtype=np.int64)
    for rows, parts in counted_blocks(truth, predicted, ignore):
        for count, part in zip(counts, parts, strict=True):
            count[rows] = _count_rows(part)
    return Counts(*counts)


def counted_blocks(truth: Mask, predicted: Mask, ignore: Mask | None) -> Iterator[tuple[slice, tuple[BoolArray, ...]]]:
    """Yield images with their true positives, predictions and positives."""
    for rows in row_blocks(*truth.shape):
        true, chosen = truth[rows], predicted[rows]
        if ignore is not None:
            kept = ~ignore[rows]
            true, chosen = true & kept, chosen & kept
        yield rows, (true & chosen, chosen, true)


def count_columns(mask: BoolArray) -> CountArray:
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
