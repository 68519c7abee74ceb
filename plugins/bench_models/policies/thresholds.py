"""One threshold for each label, drawn towards the common one as far as cross-validation within the part says.

Of the labels alone, the best thresholds are those of the largest sum of TP - f/2 x predicted, f being the O-F1 that
they reach (Dinkelbach 1967); of a label with three true images they are chance. So each label's sum has ``weight``
times the mean label's added to it: 0 leaves it alone, and with much of it all labels share one threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench
from bench_models.policies.common import counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]
else:
    np = bench.lazy_import("numpy")

WEIGHTS = (0.25, 1.0, 4.0, 16.0, 1e6)
"""What is tried: how many labels' worth of the mean label's counts each label has beside its own."""

FOLDS = 5
MOST_THRESHOLDS = 1024
ROUNDS = 30


def fit(part: bench.ScoredPart) -> dict[str, NDArray[np.float32]]:
    """Return a threshold for each label, (labels,)."""
    thresholds = _candidates(part)
    if not len(thresholds):
        return {"thresholds": np.full(part.truth.shape[1], np.finfo(np.float32).max, dtype=np.float32)}
    folds = [_counts(part, thresholds, slice(fold, None, FOLDS)) for fold in range(FOLDS)]
    predicted, hits = (np.sum([fold[place] for fold in folds], axis=0) for place in (0, 1))
    positives = part.truth.sum(axis=0).astype(np.float64)

    def held_out_f1(weight: float) -> float:
        found = right = 0.0
        for fold, (own_predicted, own_hits) in enumerate(folds):
            true = positives - part.truth[fold::FOLDS].sum(axis=0)
            places = _best_places(predicted - own_predicted, hits - own_hits, float(true.sum()), weight)
            found += float(_at(own_predicted, places).sum())
            right += float(_at(own_hits, places).sum())
        return 2.0 * right / max(found + float(positives.sum()), 1.0)

    weight = max(WEIGHTS, key=held_out_f1) if len(part.truth) >= 2 * FOLDS else WEIGHTS[-1]
    return {"thresholds": thresholds[_best_places(predicted, hits, float(positives.sum()), weight)]}


def label_sets(scores: NDArray[np.float32], state: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Return the labels that reach their thresholds."""
    return np.asarray(scores >= state["thresholds"])


def _candidates(part: bench.ScoredPart) -> NDArray[np.float32]:
    """Return the thresholds that are tried, descending: the more, the fewer labels reach them, up to 8 x the true."""
    ranked = np.sort(part.scores[counting(part)])[::-1]
    most = min(len(ranked), max(8 * int(part.truth.sum()), 1))
    if not part.truth.any():
        return np.zeros(0, dtype=np.float32)
    ranks = np.unique(np.geomspace(1, most, MOST_THRESHOLDS).round().astype(np.int64)) - 1
    following = ranked[np.minimum(ranks + 1, len(ranked) - 1)]
    between = ((ranked[ranks].astype(np.float64) + following) / 2).astype(np.float32)
    # Half-way between two scores, so that rounding turns no label; where nothing lies between, the higher of them.
    return np.unique(np.where(between > following, between, ranked[ranks]))[::-1]


def _counts(part: bench.ScoredPart, thresholds: NDArray[np.float32], rows: slice) -> tuple[Counts, Counts]:
    """Return how many images of ``rows`` reach each threshold, and how many of these are true, (labels, thresholds)."""
    counted = counting(part)[rows]
    labels, width = part.truth.shape[1], len(thresholds) + 1
    bins = np.searchsorted(-thresholds, -part.scores[rows], side="left") + width * np.arange(labels)

    def cumulated(mask: NDArray[np.bool_]) -> Counts:
        found = np.bincount(bins[mask], minlength=labels * width).reshape(labels, width)
        return np.cumsum(found[:, :-1], axis=1).astype(np.float64)

    return cumulated(counted), cumulated(counted & part.truth[rows])


def _best_places(predicted: Counts, hits: Counts, positives: float, weight: float) -> NDArray[np.int64]:
    """Return for each label which threshold is best, (labels,)."""
    f1, places = 0.0, np.zeros(len(hits), dtype=np.int64)
    for _ in range(ROUNDS):
        gain = hits - f1 / 2 * predicted
        places = (gain + weight * gain.mean(axis=0)).argmax(axis=1)
        found = 2.0 * float(_at(hits, places).sum()) / max(float(_at(predicted, places).sum()) + positives, 1.0)
        if found <= f1:
            break
        f1 = found
    return places


def _at(counts: Counts, places: NDArray[np.int64]) -> Counts:
    return np.take_along_axis(counts, places[:, None], axis=1)[:, 0]


POLICY = bench.LabelSetPolicy(
    name="thresholds",
    summary="the labels that reach thresholds of their own, drawn towards a common one, chosen on the validation part",
    fit=fit,
    label_sets=label_sets,
    source="W. Dinkelbach, On nonlinear fractional programming, Management Science 1967",
)
