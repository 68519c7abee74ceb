"""Each label by itself: how many images hold it, every model's average precision, and how the best model finds it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import metrics
from bench.evaluation.metrics.average_precision import columns, thresholds
from bench.show.report.evidence import Evidence
from bench.store.stored import RunSummary

POINTS = 24
"""Points of a curve of precision over recall."""
MOST_CURVES = 200


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label. ``ap`` is in the order of the table's rows, a mean over seeds, NaN where it is not defined.

    ``precision`` and ``recall`` are of the first row's label sets, ``curve`` its precision at evenly spaced recalls
    from 0 to 1 by its scores, empty where it has none.
    """

    label: str
    images: int
    ap: tuple[float, ...]
    precision: float
    recall: float
    curve: tuple[float, ...]

    @property
    def best(self) -> float:
        """Return the highest AP as shown, rounded, so that equal looks share the mark."""
        return max((round(value, 3) for value in self.ap if not math.isnan(value)), default=math.nan)


def label_rows(evidence: Evidence, runs: Mapping[str, Sequence[RunSummary]]) -> list[LabelRow]:
    """Return the labels, those of lowest AP by the first row first, then those without; ``runs`` by row."""
    truth, ignore = evidence.truth.truth, evidence.truth.ignore
    first = next(iter(evidence.predicted))
    counts = metrics.class_counts(truth, evidence.predicted[first], ignore)
    kinds = (counts.true_positives, counts.predicted, counts.positives)
    ap = {label: _mean_ap(runs[label], truth.shape[1]) for label in evidence.predicted}
    scores = evidence.folders[first].read_scores().values
    most = set(np.argsort(-evidence.truth.support, kind="stable")[:MOST_CURVES].tolist())
    rows = []
    for (number, of_label, ranked), name in zip(columns(truth, scores, ignore), evidence.truth.labels, strict=True):
        curve = _curve(of_label, ranked) if number in most else ()
        hits, guesses, held = (int(part[number]) for part in kinds)
        values = tuple(float(own[number]) for own in ap.values())
        precision = hits / guesses if guesses else math.nan
        rows.append(LabelRow(name, held, values, precision, hits / held if held else math.nan, curve))
    return sorted(rows, key=lambda row: (math.isnan(row.ap[0]), row.ap[0] if not math.isnan(row.ap[0]) else 0))


def _mean_ap(runs: Sequence[RunSummary], labels: int) -> NDArray[np.float64]:
    """Return the mean over seeds of each label's AP; NaN where a run has none."""
    stored = [run.measures.per_class.get("ap", ()) for run in runs if run.measures]
    values = [one for one in stored if len(one) == labels]
    return np.mean(values, axis=0) if values else np.full(labels, np.nan)


def _curve(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> tuple[float, ...]:
    """Return the largest precision at each of ``POINTS`` recalls or higher; () for a label without images."""
    if not truth.any():
        return ()
    hits, retrieved = thresholds(truth, scores)
    best = np.maximum.accumulate((hits / retrieved)[::-1])[::-1]
    recalls = np.linspace(0, 1, POINTS)
    reached = np.searchsorted(hits, recalls * truth.sum(), side="left")
    return tuple(float(value) for value in best[np.minimum(reached, len(best) - 1)])
