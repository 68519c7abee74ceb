"""What the bootstrap cannot see of rare classes: how far a class's value moves when its few units are other ones.

A class of n test images of its own has a value that is a mean over them: recall of hits, average precision of the
precision at each. Resampling shows (n - 1) / n of that mean's variance, and nothing where n is 1. What is missing is
var / n**2 of each class, with var the variance between a class's units; for classes with fewer than two it is taken
from the mean of the others. Precision is a mean over a class's predictions in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ZeroDivision
from bench.evaluation import metrics
from bench.evaluation.bits import Mask
from bench.evaluation.metrics.average_precision import columns, thresholds

Numbers = NDArray[np.float64]


def unseen_variance(
    truth: Mask,
    predicted: Mask,
    scores: NDArray[np.float32] | None,
    ignore: Mask | None = None,
    no_predictions: ZeroDivision = "zero",
) -> dict[str, float]:
    """Return for each class mean the variance that resampling the images leaves out; all arrays (images, labels).

    Names are those of measures.json; without ``scores`` there is no mAP.
    """
    counts = metrics.class_counts(truth, predicted, ignore)
    there = counts.positives > 0
    hits, positives, chosen = (
        part[there].astype(np.float64) for part in (counts.true_positives, counts.positives, counts.predicted)
    )
    of_recall, of_precision = _unseen(hits, hits, positives), _unseen(hits, hits, chosen)
    precision, recall, _ = metrics.macro(counts, no_predictions)
    found = {"C-P": of_precision, "C-R": of_recall, "C-F1": 0.0}
    if precision + recall > 0:
        # The harmonic mean's slopes, and about those of a mean of F1; precision and recall move together, for they
        # share their hits.
        slopes = 2 * np.array([recall, precision]) ** 2 / (precision + recall) ** 2
        found["C-F1"] = float(slopes @ np.sqrt([of_precision, of_recall])) ** 2
    if scores is not None:
        found["mAP"] = _unseen(*_precision_at_positives(truth, scores, ignore))
    return found


def widen(values: Numbers, unseen: float, factor: float = 1.0) -> Numbers:
    """Return resamples (1 + n,) of which the last n spread about their mean as much as their variance plus ``unseen``.

    And ``factor`` times that; NaN: they are undefined. The first, the value itself, stays. Resamples that are all equal
    have no spread to widen, and stay too.
    """
    defined = values[1:][~np.isnan(values[1:])]
    centre, spread = (float(defined.mean()), float(np.var(defined))) if len(defined) else (0.0, 0.0)
    if spread > 0 and unseen > 0:
        factor *= float(np.sqrt(1 + unseen / spread))
    wider: Numbers = np.concatenate([values[:1], centre + (values[1:] - centre) * factor])
    return wider


def _unseen(total: Numbers, squares: Numbers, units: Numbers) -> float:
    """Return the unseen variance of a mean over classes; each class has ``units`` with this sum and sum of squares."""
    known = units >= 2
    if not known.any():
        return 0.0
    within = (squares[known] - total[known] ** 2 / units[known]) / (units[known] - 1)
    some = units[units > 0]
    return float(within.mean() * (1 / some**2).sum() / len(units) ** 2)


def _precision_at_positives(
    truth: Mask, scores: NDArray[np.float32], ignore: Mask | None
) -> tuple[Numbers, Numbers, Numbers]:
    """Return of each class with a positive the sum, and sum of squares, of the precision at its positives, and them."""
    rows = []
    for _, of_class, ranked in columns(truth, scores, ignore):
        if of_class.any():
            hits, retrieved = thresholds(of_class, ranked)
            precision = hits / retrieved
            rows.append((precision.sum(), (precision**2).sum(), len(precision)))
    total, squares, units = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return total, squares, units
