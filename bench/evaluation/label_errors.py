"""Labels of a part that are likely wrong, by confident learning: what models that never saw the images say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records import BoolArray


@dataclass(frozen=True, slots=True)
class LikelyError:
    """Image ``row`` is said to hold ``label`` (``given``) or not to; ``doubt`` is the chance that it is otherwise."""

    row: int
    label: int
    given: bool
    doubt: float


def likely_errors(
    truth: BoolArray, chances: NDArray[np.floating], ignore: BoolArray | None = None
) -> Sequence[LikelyError]:
    """Return the labels that confident learning doubts, the most doubtful first; each label is a question of its own.

    ``truth`` and ``chances`` (the chance that a label is there) are (images, labels), of images that no model was
    trained on. A label is there with confidence where its chance is at least the mean chance of the images that are
    said to have it, absent likewise; where both hold, the larger of the two decides. Doubted is a label that is given
    otherwise, unless the chance is on its side. Pairs of ``ignore`` are left out. Source: C. Northcutt, L. Jiang,
    I. Chuang, Confident learning, JAIR 70, 2021; labels one by one as cleanlab's ``multilabel_classification``.
    """
    found: list[LikelyError] = []
    for label in range(truth.shape[1]):
        rows = np.arange(len(truth)) if ignore is None else np.flatnonzero(~ignore[:, label])
        given, chance = truth[rows, label], chances[rows, label].astype(np.float64)
        if given.all() or not given.any():
            continue  # nothing to compare with
        there = chance >= chance[given].mean() - 1e-6
        absent = 1 - chance >= (1 - chance[~given]).mean() - 1e-6
        guess = np.where(there & absent, chance > 0.5, there)
        doubted = (there | absent) & (guess != given) & ((chance > 0.5) != given)
        doubts = np.where(given, 1 - chance, chance)
        found += [
            LikelyError(int(rows[place]), label, bool(given[place]), float(doubts[place]))
            for place in np.flatnonzero(doubted)
        ]
    return sorted(found, key=lambda one: (-one.doubt, one.row, one.label))
