"""Precision, recall and F1: overall (O), averaged over classes (C) or over images (I)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ZeroDivision
from bench.evaluation.metrics.counts import Counts

Fractions = NDArray[np.float64]


def precision(counts: Counts, no_predictions: ZeroDivision = "zero") -> Fractions:
    """Return TP / predicted per class or image, in [0, 1], higher is better.

    Empty: with nothing predicted it is 0 (or 1, by ``no_predictions``) and stays in a mean over classes.
    Source: the paper's tables; it says of "toaster" and "hair drier", almost never predicted, that their
    precision is zero.

    >>> precision(Counts(np.array([1, 0]), np.array([4, 0]), np.array([2, 3]))).tolist()
    [0.25, 0.0]
    """
    empty = 0.0 if no_predictions == "zero" else 1.0
    result = np.full(counts.predicted.shape, empty)
    np.divide(counts.true_positives, counts.predicted, out=result, where=counts.predicted > 0)
    return result


def recall(counts: Counts) -> Fractions:
    """Return TP / positives per class or image, in [0, 1], higher is better.

    Empty: without positives it is NaN, and means leave it out.

    >>> recall(Counts(np.array([1, 0]), np.array([4, 0]), np.array([2, 0]))).tolist()
    [0.5, nan]
    """
    result = np.full(counts.positives.shape, np.nan)
    np.divide(counts.true_positives, counts.positives, out=result, where=counts.positives > 0)
    return result


def harmonic_mean(first: float, second: float) -> float:
    """Return 2ab / (a + b), in [0, 1]; 0 where both are 0.

    >>> harmonic_mean(0.5, 1.0)
    0.6666666666666666
    >>> harmonic_mean(0.0, 0.0)
    0.0
    """
    return 0.0 if first + second == 0 else 2 * first * second / (first + second)


def macro(counts: Counts, no_predictions: ZeroDivision = "zero") -> tuple[float, float, float]:
    """Return mean precision, mean recall and *their* harmonic mean: C-P, C-R, C-F1 (or I-P, I-R, I-F1).

    C-P = mean_c TP_c / PRED_c, C-R = mean_c TP_c / GT_c, C-F1 = 2 C-P C-R / (C-P + C-R), each in [0, 1],
    higher is better. This is not the mean of per-class F1; that is ``mean_of_f1``.
    Empty: classes (images) without positives are left out of both means; one without predictions counts 0.
    Source: the printed F1 of Wang et al., CVPR 2016, Tables 1-3, follow from printed P and R this way.

    >>> [round(value, 3) for value in macro(Counts(np.array([1, 1]), np.array([1, 2]), np.array([2, 1])))]
    [0.75, 0.75, 0.75]
    """
    kept = counts.positives > 0
    if not kept.any():
        return float("nan"), float("nan"), float("nan")
    mean_precision = float(precision(counts, no_predictions)[kept].mean())
    mean_recall = float(recall(counts)[kept].mean())
    return mean_precision, mean_recall, harmonic_mean(mean_precision, mean_recall)


def micro(counts: Counts, no_predictions: ZeroDivision = "zero") -> tuple[float, float, float]:
    """Return overall precision, recall and their harmonic mean: O-P, O-R, O-F1.

    O-P = sum TP / sum PRED, O-R = sum TP / sum GT, O-F1 = 2 sum TP / (sum PRED + sum GT), each in [0, 1],
    higher is better. Empty: O-P is 0 (or 1) where nothing is predicted; all are NaN without any positive.
    Source: Wang et al., CVPR 2016; Zhu et al. (SRN), CVPR 2017. The same per class or per image counts.

    >>> [round(value, 3) for value in micro(Counts(np.array([1, 1]), np.array([1, 2]), np.array([2, 1])))]
    [0.667, 0.667, 0.667]
    """
    hits, predicted, positives = (
        int(part.sum()) for part in (counts.true_positives, counts.predicted, counts.positives)
    )
    if positives == 0:
        return float("nan"), float("nan"), float("nan")
    empty = 0.0 if no_predictions == "zero" else 1.0
    overall_precision = hits / predicted if predicted else empty
    return overall_precision, hits / positives, harmonic_mean(overall_precision, hits / positives)


def mean_of_f1(counts: Counts) -> float:
    """Return the mean over classes (or images) of F1_c = 2 TP_c / (PRED_c + GT_c), in [0, 1], higher is better.

    Empty: classes (images) without positives are left out; without predictions F1 is 0.
    Source: SRN's ``precision_recall_f1.m``, image-to-set's ``c_f1``, scikit-learn's ``average="macro"``.

    >>> round(mean_of_f1(Counts(np.array([1, 1]), np.array([1, 2]), np.array([2, 1]))), 3)
    0.667
    """
    kept = counts.positives > 0
    if not kept.any():
        return float("nan")
    return float((2 * counts.true_positives[kept] / (counts.predicted[kept] + counts.positives[kept])).mean())
