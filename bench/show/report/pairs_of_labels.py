"""Pairs of labels that a model predicts together far more or far less often than they are true together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.bits import Mask, row_blocks
from bench.records import BoolArray
from bench.show.report.evidence import Evidence

FAR = 3.0
"""Standard errors (McNemar) from which a difference is shown."""
MOST = 12
"""Pairs that are shown of those predicted too often, and of those predicted too rarely."""
MOST_LABELS = 300
"""Labels whose pairs are counted, those of most images."""


@dataclass(frozen=True, slots=True)
class LabelPair:
    """Two labels: images that hold both, images that each row predicts both for, how far the first row is off.

    ``off`` is in standard errors, positive where the first row predicts the pair too often.
    """

    labels: tuple[str, str]
    true: int
    predicted: tuple[int, ...]
    off: float


def label_pairs(evidence: Evidence) -> list[LabelPair]:
    """Return the pairs that the first row is far off in, predicted too often first, each kind by how far."""
    part = evidence.truth
    chosen = np.sort(np.argsort(-part.support, kind="stable")[:MOST_LABELS])
    names = [part.labels[label] for label in chosen]
    first = next(iter(evidence.predicted.values()))
    together, true, both = np.zeros((3, len(chosen), len(chosen)), dtype=np.float32)
    for block in row_blocks(*part.truth.shape):
        truth, sets = part.truth[block], first[block]
        together += _together((sets & ~part.ignored(block))[:, chosen])
        true += _together(truth[:, chosen])
        both += _together((truth & sets)[:, chosen])
    # Images on which prediction and truth of a pair differ, either way: what is equal in both says nothing.
    more, less = together - both, true - both
    off = (more - less) / np.sqrt(np.maximum(more + less, 1))
    rows, columns = np.triu_indices(len(chosen), k=1)
    order = np.argsort(-off[rows, columns], kind="stable")
    far = [place for place in order if abs(off[rows[place], columns[place]]) >= FAR]
    often = [place for place in far if off[rows[place], columns[place]] > 0][:MOST]
    rarely = [place for place in far[::-1] if off[rows[place], columns[place]] < 0][:MOST]
    found = []
    for place in (*often, *rarely):
        i, j = int(rows[place]), int(columns[place])
        a, b = chosen[i], chosen[j]
        ignored = None if part.ignore is None else _column(part.ignore, a) | _column(part.ignore, b)
        held = (_column(sets, a) & _column(sets, b) for sets in evidence.predicted.values())
        predicted = tuple(int((pair if ignored is None else pair & ~ignored).sum()) for pair in held)
        found.append(LabelPair((names[i], names[j]), int(true[i, j]), predicted, float(off[i, j])))
    return found


def _column(mask: Mask, label: int) -> BoolArray:
    return mask[:, label : label + 1][:, 0]


def _together(sets: BoolArray) -> NDArray[np.float32]:
    """Return how many images hold both of each two labels, (labels, labels); exact below 16 million."""
    values = sets.astype(np.float32)
    found: NDArray[np.float32] = values.T @ values
    return found
