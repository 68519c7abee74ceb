"""Pairs of labels that a model predicts together far more or far less often than they are true together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    truth, keep = evidence.truth.truth, ~evidence.ignore
    chosen = np.sort(np.argsort(-truth.sum(axis=0), kind="stable")[:MOST_LABELS])
    names = [evidence.truth.labels[label] for label in chosen]
    first = next(iter(evidence.predicted.values()))
    together = _together((first & keep)[:, chosen])
    true = _together(truth[:, chosen])
    both = _together((truth & first)[:, chosen])
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
        counted = keep[:, a] & keep[:, b]
        predicted = tuple(int((sets[:, a] & sets[:, b] & counted).sum()) for sets in evidence.predicted.values())
        found.append(LabelPair((names[i], names[j]), int(true[i, j]), predicted, float(off[i, j])))
    return found


def _together(sets: BoolArray) -> NDArray[np.float32]:
    """Return how many images hold both of each two labels, (labels, labels); exact below 16 million."""
    values = sets.astype(np.float32)
    found: NDArray[np.float32] = values.T @ values
    return found
