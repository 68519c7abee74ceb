"""What in somebody's own scores is more likely a mistake than a result: told beside the row, which stays as it is."""

from __future__ import annotations

import numpy as np

from bench.evaluation.bits import row_blocks
from bench.records import Measures, Scores

FEW = 0.01
"""The share of images of which so many ties are no matter: scores in half precision have some."""


def doubts(scores: Scores, k: int, measures: Measures) -> tuple[str, ...]:
    """Return lines on labels that only their order chooses, and on scores that rank worse than none.

    Each image has its ``k`` best labels; 0: label sets are chosen otherwise.
    """
    if not scores.rank:
        return ()
    notes = []
    cut = _cut_at_ties(scores, k)
    if cut > FEW * len(scores.ids):
        notes.append(
            f"in {cut:,} of {len(scores.ids):,} images the {k} best labels are chosen by the labels' order, as others"
            " have the same score: were low ones left out or set to one value?"
        )
    support = np.asarray(measures.per_class["support"])
    chance = float((support[support > 0] / len(scores.ids)).mean()) if support.any() else 0.0
    ranked = measures.values["mAP_non_interpolated"]
    if ranked < chance * (1 - 1e-9):
        notes.append(
            f"non-interpolated mAP {100 * ranked:.1f} is less than equal scores would have, {100 * chance:.1f}: are"
            " these distances, or ranks of which 1 is the best, or are images or labels mixed up?"
        )
    return tuple(notes)


def _cut_at_ties(scores: Scores, k: int) -> int:
    """Return in how many images the ``k``-th best score is that of the next one, too."""
    images, labels = scores.values.shape
    if not 0 < k < labels:
        return 0
    places, count = (labels - k - 1, labels - k), 0
    for rows in row_blocks(images, labels):
        below, last = np.partition(scores.values[rows], places, axis=1)[:, places].T
        count += int(np.count_nonzero(below == last))
    return count
