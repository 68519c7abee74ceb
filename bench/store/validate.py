"""Whether stored runs are what they claim: files, key, and every measure computed again from stored predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.evaluation import protocols
from bench.evaluation.bits import row_blocks
from bench.records import Measures
from bench.store.run_folder import RunFolder

TOLERANCE = 1e-9
"""Largest difference between a stored measure and the one computed again; both are float64 of the same arrays."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run and what is wrong with it; ``faults`` is empty for an honest one."""

    folder: Path
    state: str
    faults: tuple[str, ...]


def validate(folders: Iterable[RunFolder]) -> list[Verdict]:
    """Return a verdict on every run, in their order."""
    return [_verdict(folder) for folder in folders]


def _verdict(folder: RunFolder) -> Verdict:
    try:
        state = folder.status.state
        damaged = folder.verify()
        if damaged:
            return Verdict(folder.path, state, tuple(f"{name} is not what was written" for name in damaged))
        _ = folder.config  # the store refuses one that the run's key is not the hash of
        return Verdict(folder.path, state, tuple(_lies(folder)) if state == "done" else ())
    except BenchError as error:
        return Verdict(folder.path, "damaged", (str(error),))


def _lies(folder: RunFolder) -> list[str]:
    """Return the measures that do not follow from the stored truth, predictions and scores."""
    stored, masks = folder.read_measures(), folder.read_masks()
    faults = []
    if stored.protocol != folder.config["protocol"]:
        faults.append(f"measured by {stored.protocol}, its config says {folder.config['protocol']}")
    protocol = protocols.get(stored.protocol)
    predicted = masks.predicted
    again = protocols.measure(protocol, masks.labels, masks.truth, masks.ignore, predicted, folder.read_scores())
    if folder.has("label_sets"):
        sequences, labels = protocols.cut(protocol, folder.read_label_sets()), predicted.labels
        blocks = row_blocks(*predicted.shape)
        if any((sequences.as_matrix(labels, rows) != predicted[rows]).any() for rows in blocks):
            faults.append("its predicted label sets are not those of its label sequences")
    return faults + _different(stored, again)


def _different(stored: Measures, again: Measures) -> list[str]:
    faults = []
    for name, value in again.values.items():
        claimed = stored.values.get(name, math.nan)
        if not _equal(claimed, value):
            faults.append(f"{name} is stored as {100 * claimed:.2f}, its predictions give {100 * value:.2f}")
    faults += [
        f"{name} is stored, and no metric of the protocol" for name in sorted(set(stored.values) - set(again.values))
    ]
    for name, row in again.per_class.items():
        claimed_row = stored.per_class.get(name, ())
        if len(claimed_row) != len(row) or not all(map(_equal, claimed_row, row)):
            faults.append(f"the classes' {name} are not those of its predictions")
    return faults


def _equal(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= TOLERANCE
