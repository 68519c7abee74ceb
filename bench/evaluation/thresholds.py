"""Thresholds for a goal: of the scores of the validation part, those that keep it and give the most beside it.

    precision>=p    the threshold with the highest recall of those whose precision is p or more
    recall>=r       the one with the highest precision of those whose recall is r or more
    f1              the one with the highest F1

Every threshold that divides the scores is tried. A threshold lies half-way to the next lower score, so that rounding
turns no label. Of equal ones the highest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import Goal, PolicyState, ScoredPart, ThresholdGoals
from bench.errors import unknown
from bench.evaluation import calibration
from bench.records import BoolArray, FloatArray

NEVER = np.float32(np.finfo(np.float32).max)
"""The threshold of a label that is never predicted: no score is above it, and an infinite one counts as it."""

SLACK = 1e-12
"""Of a share of two whole numbers against the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold, whether it keeps its goal, and how many pairs reach it, are true among these, and true in all."""

    threshold: np.float32
    reached: bool
    predicted: int
    hits: int
    positives: int

    @property
    def precision(self) -> float:
        """Return the share of the predicted pairs that are true; NaN where none is predicted."""
        return self.hits / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """Return the share of the true pairs that are predicted; NaN where none is true."""
        return self.hits / self.positives if self.positives else float("nan")


def curve(scores: FloatArray, truth: BoolArray) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the scores (n,) that differ, descending, and how many reach each and how many of these are true."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(truth[order], dtype=np.int64)
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, dtype=np.int64)
    return ranked[last], last + 1, hits[last]


def choose(goal: Goal, scores: FloatArray, truth: BoolArray, *, best: bool = False) -> Point | None:
    """Return the threshold for ``goal`` of scores (n,); ``None`` where nothing is true, so that nothing can be chosen.

    Where no threshold keeps a precision, nothing is predicted, or with ``best`` what comes nearest to it.
    """
    values, predicted, hits = curve(scores, truth)
    positives = int(hits[-1]) if len(hits) else 0
    if not positives:
        return None
    precision, recall = hits / predicted, hits / positives
    f1 = 2.0 * hits / (predicted + positives)
    measure = {"precision": precision, "recall": recall, "f1": f1}[goal.name]
    enough = measure >= goal.value - SLACK if goal.relation else np.ones(len(values), dtype=np.bool_)
    reached = bool(enough.any())
    if goal.name == "precision" and not reached and not best:
        return Point(NEVER, False, 0, 0, positives)
    # What is asked for is had by all of ``enough``: of these, what is had beside it decides.
    wanted = {"precision": recall, "recall": precision, "f1": f1}[goal.name] if reached else measure
    place = int(np.where(enough, wanted, -1.0).argmax() if reached else wanted.argmax())
    return Point(half_way(values, place), reached, int(predicted[place]), int(hits[place]), positives)


def at(threshold: np.float32, scores: FloatArray, truth: BoolArray, *, reached: bool) -> Point:
    """Return what a threshold that was chosen elsewhere gives of scores (n,)."""
    found = _reaching(scores, threshold)
    return Point(threshold, reached, int(found.sum()), int((found & truth).sum()), int(truth.sum()))


def fit(goals: ThresholdGoals, part: ScoredPart, labels: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return ``thresholds`` and what they give of each label on the validation part, all (labels,).

    ``reached`` says whether the goal is kept there: the label's own, or the one of all others together. Asked of each
    alone, a label of which nothing is true takes the threshold of all, and keeps nothing; by a precision it is never
    predicted. With them stand ``predicted``, ``hits`` and ``positives``, and the calibration's arrays.
    Raises ``UsageError`` for a goal of a label that there is not, and for a calibration that the scores do not allow.
    """
    counted = np.ones(part.truth.shape, dtype=np.bool_) if part.ignore is None else ~part.ignore
    of_label = {goal.label: goal for goal in goals.own}
    for name in of_label:
        if name not in labels:
            raise unknown("label", name, labels)
    best = goals.unreached == "best"
    shared = counted & np.array([name not in of_label for name in labels] or [True])
    common = choose(goals.common, part.scores[shared], part.truth[shared], best=best)
    points = []
    for place in range(part.truth.shape[1]):
        mask = counted[:, place]
        scores, truth = part.scores[mask, place], part.truth[mask, place]
        alone = goals.per_label or bool(labels and labels[place] in of_label)
        goal = of_label.get(labels[place], goals.common) if labels else goals.common
        found = choose(goal, scores, truth, best=best) if alone else None
        if found is None:
            off = common is None or (alone and goal.name == "precision")
            threshold = NEVER if off or common is None else common.threshold
            found = at(threshold, scores, truth, reached=not alone and common is not None and common.reached)
        points.append(found)
    arrays: dict[str, NDArray[Any]] = {
        "thresholds": np.array([point.threshold for point in points], dtype=np.float32),
        "reached": np.array([point.reached for point in points], dtype=np.bool_),
    }
    for name in ("predicted", "hits", "positives"):
        arrays[name] = np.array([getattr(point, name) for point in points], dtype=np.int64)
    return arrays | calibration.fit(goals.calibration, part, counted, per_label=goals.per_label)


def label_sets(scores: FloatArray, state: PolicyState | Mapping[str, NDArray[Any]]) -> BoolArray:
    """Return the labels whose scores (n, labels) reach their thresholds."""
    return _reaching(scores, np.asarray(state["thresholds"], dtype=np.float32))


def _reaching(scores: FloatArray, thresholds: Any) -> BoolArray:
    return np.asarray((scores >= thresholds) & (np.asarray(thresholds) < NEVER))


def half_way(ranked: NDArray[np.float32], place: int) -> np.float32:
    """Return a threshold between the score at ``place`` of descending scores (n,) and the next one, if there is one.

    Rounding turns no label then. Where float32 has nothing between the two it is the score itself.

    >>> float(half_way(np.array([0.75, 0.25, 0.0], dtype=np.float32), 0))
    0.5
    """
    here = np.float32(ranked[place])
    if place + 1 == len(ranked):
        return here
    between = np.float32((float(here) + float(ranked[place + 1])) / 2)
    return between if between > ranked[place + 1] else here
