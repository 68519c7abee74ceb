"""Whether stored runs are what they claim: files, key, and every measure computed again from stored predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.evaluation import metric_table, protocols
from bench.evaluation.bits import row_blocks
from bench.evaluation.measure import measure
from bench.records import Measures
from bench.store.run_folder import RunFolder

TOLERANCE = 1e-9
"""Largest difference between a stored measure and the one computed again; both are float64 of the same arrays."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run and what is wrong with it; ``faults`` is empty for an honest one.

    ``unmeasured`` are the metrics that it was stored without: it is older than they are, which is no fault.
    """

    folder: Path
    state: str
    faults: tuple[str, ...]
    unmeasured: tuple[str, ...] = ()


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
        if state != "done":
            return Verdict(folder.path, state, ())
        stored = folder.read_measures()
        unmeasured = tuple(name for name in metric_table.by_name() if name not in stored.values)
        unmeasured += tuple(f"the classes' {name}" for name in metric_table.PER_CLASS if name not in stored.per_class)
        return Verdict(folder.path, state, tuple(_lies(folder, stored)), unmeasured)
    except BenchError as error:
        return Verdict(folder.path, "damaged", (str(error),))


def _lies(folder: RunFolder, stored: Measures) -> list[str]:
    """Return the measures that do not follow from the stored truth, predictions and scores."""
    masks = folder.read_masks()
    faults = []
    if stored.protocol != folder.config["protocol"]:
        faults.append(f"measured by {stored.protocol}, its config says {folder.config['protocol']}")
    protocol = protocols.get(stored.protocol)
    predicted, scores = masks.predicted, folder.read_scores()
    sequences = folder.read_label_sets() if folder.has("label_sets") else None
    again = measure(protocol, masks.labels, masks.truth, masks.ignore, predicted, scores, sequences=sequences)
    if sequences is not None:
        counted, labels = protocols.cut(protocol, sequences), predicted.labels
        blocks = row_blocks(*predicted.shape)
        if any((counted.as_matrix(labels, rows) != predicted[rows]).any() for rows in blocks):
            faults.append("its predicted label sets are not those of its label sequences")
    return faults + _different(stored, again)


def _different(stored: Measures, again: Measures) -> list[str]:
    """Return what is stored and does not equal what is measured again; what is not stored cannot be wrong."""
    faults, unnamed = [], []
    for name, claimed in stored.values.items():
        metric = metric_table.by_name().get(name)
        if metric is None:
            unnamed.append(f"{name} is stored, and no metric of the protocol")
        elif not _equal(claimed, again.values[name]):
            found = metric.shown(again.values[name], 1)
            faults.append(f"{name} is stored as {metric.shown(claimed, 1)}, its predictions give {found}")
    for name, claimed_row in stored.per_class.items():
        row = again.per_class.get(name)
        if row is None:
            unnamed.append(f"the classes' {name} are stored, and nothing that is measured of a class")
        elif len(claimed_row) != len(row) or not all(map(_equal, claimed_row, row)):
            faults.append(f"the classes' {name} are not those of its predictions")
    return [*unnamed, *faults]


def _equal(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= TOLERANCE
