"""Test images on which a model errs: the mistakes that the best models are surest of come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.evaluation.bits import Mask, row_blocks
from bench.show.report.evidence import Evidence

RIGHT, WRONG, MISSED, ABSENT = "rwm."
"""Letters of a card's matrix: predicted and true, predicted and not true, true and not predicted, neither."""
MOST_WRONG = 8
"""Columns of wrong labels on a card, those of most models first; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Card:
    """One test image with its truth, and a matrix of what each model says.

    ``columns`` are label names, the true ones first; ``lines`` has a line for each row of the table: a letter for each
    column (see ``RIGHT``) and how many wrong labels have no column. ``labels`` are the numbers of the true labels and
    of those that some model takes for true; ``certainty`` says how sure the best models are of their worst mistake.
    """

    row: int
    id: str
    truth: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[str, int], ...]
    labels: tuple[int, ...]
    disagree: bool
    certainty: float


def cards(evidence: Evidence, most: int) -> tuple[list[Card], int]:
    """Return at most ``most`` cards and how many test images have an error of any model."""
    part = evidence.truth
    errors = np.zeros(len(part.ids), dtype=np.int64)
    for block in row_blocks(*part.truth.shape):
        truth, counted = part.truth[block], ~part.ignored(block)
        for sets in evidence.predicted.values():
            errors[block] += ((sets[block] != truth) & counted).sum(axis=1)
    rows = np.flatnonzero(errors)
    # Of equal certainty, as where no model has scores, the images with most mistakes come first.
    order = rows[np.lexsort((rows, -errors[rows], -evidence.certainty[rows].round(6)))]
    said = list(evidence.predicted.values())
    return [_card(evidence, said, int(row)) for row in order[:most]], len(rows)


def _card(evidence: Evidence, predicted: Sequence[Mask], row: int) -> Card:
    own = slice(row, row + 1)
    names, truth, skipped = evidence.truth.labels, evidence.truth.truth[own][0], evidence.truth.ignored(own)[0]
    said = np.array([sets[own][0] for sets in predicted])
    votes = (said & ~truth & ~skipped).sum(axis=0)
    true = np.flatnonzero(truth).tolist()
    wrong = sorted(np.flatnonzero(votes).tolist(), key=lambda label: (-votes[label], label))
    shown = [*true, *wrong[:MOST_WRONG]]
    lines = []
    for sets in said:
        letters = "".join(
            (RIGHT if sets[label] else MISSED) if truth[label] else WRONG if sets[label] else ABSENT for label in shown
        )
        lines.append((letters, int(sets[wrong[MOST_WRONG:]].sum())))
    return Card(
        row,
        evidence.truth.ids[row],
        tuple(names[label] for label in true),
        tuple(names[label] for label in shown),
        tuple(lines),
        tuple(sorted([*true, *wrong])),
        bool((said[:, ~skipped] != said[0, ~skipped]).any()),
        float(evidence.certainty[row]),
    )
