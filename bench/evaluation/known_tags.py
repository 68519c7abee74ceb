"""Tags of an image that a model is told beforehand: drawn once for all runs, and left out of whatever is measured."""

from __future__ import annotations

import numpy as np

from bench.evaluation.bits import BitMatrix, Mask, row_blocks
from bench.records import BoolArray

SEED = 0
"""What the known tags are drawn from, whatever a run's seed: every model and every run is told the same ones."""


def draw(truth: BoolArray, share: float) -> BoolArray:
    """Return which true labels are known, (images, labels) bool: ``share`` of each image's, rounded down, at random.

    Below a share of 1, an image that has labels keeps one at least that is not known, so that it is measured.

    >>> draw(np.array([[1, 1, 1], [1, 0, 0]], dtype=bool), 0.5).sum(axis=1).tolist()
    [1, 0]
    """
    generator, known = np.random.default_rng(SEED), np.zeros_like(truth)
    # Drawn in the order of the images, so that blocks of them change nothing.
    for rows in row_blocks(*truth.shape):
        held = truth[rows]
        order = np.where(held, generator.random(held.shape), np.inf).argsort(axis=1, kind="stable")
        counts = np.floor(share * held.sum(axis=1)).astype(np.int64)
        np.put_along_axis(known[rows], order, np.arange(truth.shape[1]) < counts[:, None], axis=1)
    return known


def left_out(truth: Mask, ignore: Mask | None, known: Mask) -> tuple[Mask, Mask]:
    """Return truth and ignore mask with the ``known`` pairs neither true nor false, packed where ``truth`` is."""
    if isinstance(truth, BitMatrix):
        told = _bits(known)
        kept = BitMatrix(truth.bits & ~told, truth.labels)
        return kept, BitMatrix(told if ignore is None else told | _bits(ignore), truth.labels)
    return truth & ~known[:], known[:] if ignore is None else known[:] | ignore[:]


def without(predicted: BoolArray, known: BoolArray | None) -> BoolArray:
    """Return label sets without what was known beforehand."""
    return predicted if known is None else predicted & ~known


def _bits(mask: Mask) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return mask.bits if isinstance(mask, BitMatrix) else np.packbits(mask, axis=1)
