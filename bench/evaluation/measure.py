"""The stage that measures: what a test part's predictions are worth, by every metric there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.contracts import Protocol
from bench.errors import DataError
from bench.evaluation import metric_table
from bench.evaluation.bits import Mask, count
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.protocols import counted, packed_from_scores
from bench.records import LabelSets, Measures, Scores

KNOWN = "{:,} true labels were known beforehand to the model, and are left out of every metric"


def measure(  # noqa: PLR0917 - the same order everywhere: what is true, what is predicted
    protocol: Protocol,
    labels: Sequence[str],
    truth: Mask,
    ignore: Mask | None,
    predicted: Mask | None,
    scores: Scores,
    *,
    sequences: LabelSets | None = None,
    known: Mask | None = None,
) -> Measures:
    """Return every metric under ``protocol``; ``predicted=None`` reads the label sets off the scores.

    ``values`` are those of ``metric_table.METRICS``, ``per_class`` those of ``metric_table.PER_CLASS``. ``sequences``
    are a sequence model's labels in the order emitted, for metrics of that order. ``known`` are true labels that the
    model was told beforehand: they count not at all.
    With packed masks and memory-mapped scores, a million images of 1,000 labels take less than 1 GiB of memory.
    Raises ``DataError`` where shapes differ.
    """
    _check_shapes(labels, truth, ignore, predicted, scores)
    if predicted is None:
        predicted = packed_from_scores(protocol, scores, known)
    truth, counting_not = counted(protocol, truth, ignore, known)
    evaluation = Evaluation(protocol, labels, truth, counting_not, predicted, scores, sequences)
    return Measures(
        protocol.name,
        {name: float(metric.function(evaluation)) for name, metric in metric_table.by_name().items()},
        {name: tuple(map(float, row(evaluation))) for name, row in metric_table.PER_CLASS.items()},
        (*_notes(evaluation), *(() if known is None else (KNOWN.format(count(known)),))),
    )


def _check_shapes(
    labels: Sequence[str], truth: Mask, ignore: Mask | None, predicted: Mask | None, scores: Scores
) -> None:
    shape = (len(scores.ids), len(labels))
    if shape[0] == 0 or shape[1] == 0:
        raise DataError(f"nothing to measure: {shape[0]} images, {shape[1]} labels; allowed: at least 1 of each")
    parts = {"truth": truth, "ignore": ignore, "predicted": predicted, "scores": scores.values}
    for name, array in parts.items():
        if array is not None and array.shape != shape:
            raise DataError(f"{name} is {array.shape}, must be {shape}, images by labels")


def _notes(evaluation: Evaluation) -> tuple[str, ...]:
    """Return how many classes and images are left out of means, and which classes."""
    labels, images = evaluation.labels, evaluation.image_counts.positives
    notes = []
    dropped = np.flatnonzero(evaluation.class_counts.positives == 0)
    if len(dropped):
        names = ", ".join(labels[index] for index in dropped[:8]) + (", ..." if len(dropped) > 8 else "")
        notes.append(
            f"{len(dropped)} of {len(labels)} classes have no positive image; left out of class means: {names}"
        )
    unlabelled = int(np.count_nonzero(images == 0))
    if unlabelled:
        notes.append(f"{unlabelled} of {len(images)} images have no label; left out of image means")
    return tuple(notes)
