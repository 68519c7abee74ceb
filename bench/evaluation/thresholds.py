"""Thresholds for a goal: of the scores of the validation part, those that keep it and give the most beside it.

    precision>=p    the threshold with the highest recall of those whose precision is p or more
    recall>=r       the one with the highest precision of those whose recall is r or more
    f1              the one with the highest F1

Every threshold that divides the scores is tried. A threshold lies half-way to the next lower score, or below the
lowest, so that rounding turns no label. Of equal ones the highest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

BLOCK = 1 << 20
"""Pairs that are looked at together: what is held of all of them is eight bytes each."""

SIGN = np.uint32(1 << 31)

ROUNDING = 1e-4
"""How far an exported model's scores may be from the stored ones, of the largest."""

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
    positives = int(np.count_nonzero(truth))
    if not positives:
        return None
    # The best of the thresholds that keep the goal, and the one nearest to it: what decides, pairs predicted, hits.
    keeping, nearest = (-1.0, 0, 0), (-1.0, 0, 0)
    keys = _ranked(scores, truth)
    for predicted, hits in _curve(keys):
        precision, recall = hits / predicted, hits / positives
        f1 = 2.0 * hits / (predicted + positives)
        measure = {"precision": precision, "recall": recall, "f1": f1}[goal.name]
        # What is asked for is had by all of these: of them, what is had beside it decides.
        wanted = {"precision": recall, "recall": precision, "f1": f1}[goal.name]
        if goal.relation:
            wanted = np.where(measure >= goal.value - SLACK, wanted, -1.0)
        keeping, nearest = (
            # Of equal ones the first, whose threshold is the highest.
            max(found, (float(by[place]), int(predicted[place]), int(hits[place])), key=lambda one: one[0])
            for found, by, place in ((keeping, wanted, int(wanted.argmax())), (nearest, measure, int(measure.argmax())))
        )
    reached = keeping[0] >= 0.0
    if goal.name == "precision" and not reached and not best:
        return Point(NEVER, False, 0, 0, positives)
    _, count, right = keeping if reached else nearest
    return Point(_below(keys, count), reached, count, right, positives)


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
    """Return a threshold between the score at ``place`` of descending scores (n,) and the next one.

    Rounding turns no label then. Below the last it is by 1e-4 of the largest score, ``ROUNDING``, and never below 0
    where no score is. Where float32 has nothing between the two it is the score itself.

    >>> ranked = np.array([0.75, 0.25], dtype=np.float32)
    >>> float(half_way(ranked, 0)), round(float(half_way(ranked, 1)), 6)
    (0.5, 0.249925)
    """
    here, lowest = np.float32(ranked[place]), -float(NEVER)
    if place + 1 < len(ranked):
        lower = float(ranked[place + 1])
    else:
        largest = max((abs(float(score)) for score in (ranked[0], here) if abs(score) < NEVER), default=0.0)
        lower = max(float(here) - 2 * ROUNDING * largest, 0.0 if here >= 0 else lowest)
    between = np.float32((float(here) + lower) / 2)
    return between if between > lower else here


def _ranked(scores: FloatArray, truth: BoolArray) -> NDArray[np.uint64]:
    """Return the pairs (n,), the highest score first, in eight bytes each: score, as ``_scores`` reads it, and truth.

    Bits of a float compare as whole numbers once negative ones are turned around. Adding 0 makes -0 the 0 it equals.
    """
    keys = np.empty(len(scores), dtype=np.uint64)
    for start in range(0, len(scores), BLOCK):
        some = slice(start, start + BLOCK)
        bits = np.subtract(np.float32(0), scores[some], dtype=np.float32).view(np.uint32)
        keys[some] = np.where(bits >> np.uint32(31), ~bits, bits | SIGN)
        keys[some] <<= np.uint64(1)
        keys[some] |= truth[some]
    keys.sort()
    return keys


def _scores(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    bits = (keys >> np.uint64(1)).astype(np.uint32)
    return np.float32(0) - np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float32)


def _curve(keys: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield, of scores that differ, how many pairs reach each and how many of these are true, a block at a time."""
    true = 0
    for start in range(0, len(keys), BLOCK):
        here, following = keys[start : start + BLOCK], keys[start + 1 : start + 1 + BLOCK] >> np.uint64(1)
        hits = true + np.cumsum(here & np.uint64(1), dtype=np.int64)
        true = int(hits[-1])
        differ = np.ones(len(here), dtype=np.bool_)
        differ[: len(following)] = following != here[: len(following)] >> np.uint64(1)
        last = np.flatnonzero(differ)
        if len(last):
            yield start + last + 1, hits[last]


def _below(keys: NDArray[np.uint64], count: int) -> np.float32:
    """Return a threshold between the score of the ``count``-th of ranked pairs and the next lower one, if any."""
    return half_way(_scores(np.concatenate((keys[:1], keys[count - 1 : count + 1]))), 1)
