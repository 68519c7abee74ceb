"""Every metric of what a run has stored."""

from __future__ import annotations

from bench.contracts import Protocol
from bench.evaluation.bits import Mask
from bench.evaluation.measure import measure
from bench.records import LabelSets, Measures, Scores
from bench.store.stored import Masks


def measured(
    protocol: Protocol, masks: Masks, predicted: Mask, scores: Scores, sequences: LabelSets | None
) -> Measures:
    """Return the metrics of ``predicted`` label sets against ``masks``; ``sequences`` as in ``measure``."""
    return measure(
        protocol,
        masks.labels,
        masks.truth,
        masks.ignore,
        predicted,
        scores,
        sequences=sequences,
        known=masks.known,
    )
