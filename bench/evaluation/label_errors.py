"""Labels of a part that are likely wrong, by confident learning: what models that never saw the images say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT = 1 << 16
"""Doubted labels that wait until those beyond the most doubtful are dropped."""


@dataclass(frozen=True, slots=True)
class LikelyError:
    """Image ``row`` is said to hold ``label`` (``given``) or not to; ``doubt`` is the chance that it is otherwise."""

    row: int
    label: int
    given: bool
    doubt: float


Columns = Iterable[tuple[int, NDArray[np.int64], NDArray[np.bool_], NDArray[np.floating]]]
"""Of each label the images that count, whether they are said to hold it, and the chance that they do."""


def most_likely(columns: Columns, most: int) -> tuple[list[LikelyError], int]:
    """Return the ``most`` doubtful of the labels that confident learning doubts, and how many it doubts.

    ``columns`` are of images that no model was trained on; each label is a question of its own. A label is there with
    confidence where its chance is at least the mean chance of the images that are said to have it, absent likewise;
    where both hold, the larger of the two decides. Doubted is a label that is given otherwise, unless the chance is on
    its side. Source: C. Northcutt, L. Jiang, I. Chuang, Confident learning, JAIR 70, 2021; labels one by one as
    cleanlab's ``multilabel_classification``.
    """
    # Doubt, image, label and what is given, of the most doubtful so far.
    kept = (np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    count = 0
    for label, rows, given, column in columns:
        if given.all() or not given.any():
            continue  # nothing to compare with
        chance = column.astype(np.float64)
        there = chance >= chance[given].mean() - 1e-6
        absent = 1 - chance >= (1 - chance[~given]).mean() - 1e-6
        guess = np.where(there & absent, chance > 0.5, there)
        doubted = np.flatnonzero((there | absent) & (guess != given) & ((chance > 0.5) != given))
        doubts = np.where(given[doubted], 1 - chance[doubted], chance[doubted])
        count += len(doubted)
        new = (doubts, rows[doubted], np.full(len(doubted), label), given[doubted])
        kept = tuple(map(np.concatenate, zip(kept, new, strict=True)))  # type: ignore[assignment]
        if len(kept[0]) > most + KEPT:
            kept = tuple(part[_order(*kept[:3])[:most]] for part in kept)  # type: ignore[assignment]
    doubt, row, number, said = (part[_order(*kept[:3])[:most]] for part in kept)
    found = zip(row.tolist(), number.tolist(), said.tolist(), doubt.tolist(), strict=True)
    return [LikelyError(*one) for one in found], count


def _order(doubt: NDArray[np.float64], row: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.lexsort((label, row, -doubt))
