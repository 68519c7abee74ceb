"""What thresholds that were chosen on validation give there, and what they gave on test, of a stored run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.contracts import Goal, ThresholdGoals
from bench.contracts.goals import made_of_goals, parse_goals
from bench.errors import StoreError
from bench.evaluation import bootstrap, calibration, significance
from bench.evaluation.bootstrap import Interval
from bench.evaluation.metrics import class_counts
from bench.evaluation.outcome import Outcome
from bench.evaluation.significance import Draw
from bench.evaluation.thresholds import NEVER, Point
from bench.records import BoolArray, Scores
from bench.store.following import of_store
from bench.store.resamples import affordable
from bench.store.run_folder import RunFolder

METRIC = {"precision": "O-P", "recall": "O-R", "f1": "O-F1"}
"""What a goal of all labels together is by its name among the metrics."""

FEW = 10
"""A label of fewer true validation images has a threshold that other images would move far."""

DEVIATIONS = 1.959963984540054
"""How many standard deviations hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """One label's threshold, and what it gives on validation and on test; ``never``: it is never predicted.

    ``alone``: the goal was asked of this label by itself. ``threshold`` is a score, ``probability`` what the
    calibration makes of it, ``None`` without one.
    """

    label: str
    goal: Goal
    alone: bool
    threshold: float
    probability: float | None
    validation: Point
    test: Point

    @property
    def never(self) -> bool:
        """Return whether the label is never predicted."""
        return self.threshold >= float(NEVER)

    @property
    def unreached(self) -> bool:
        """Return whether the label's own goal is not kept on validation."""
        return self.alone and not self.validation.reached


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of one run. ``validation`` and ``test`` are of all labels together that the common goal is of.

    ``interval`` is the common goal's metric of these on test, with its 95 % interval; ``None`` where every label has a
    goal of its own.
    """

    goals: ThresholdGoals
    score_kind: str
    images: int
    validation: Point
    test: Point
    labels: tuple[LabelThreshold, ...]
    interval: Interval | None

    @property
    def name(self) -> str:
        """Return what the labels that the common goal is of are called together."""
        return "other labels" if self.goals.own else "all labels"

    @property
    def unreached(self) -> tuple[LabelThreshold, ...]:
        """Return the labels whose own goal no threshold kept on validation."""
        return tuple(one for one in self.labels if one.unreached)

    @property
    def few(self) -> tuple[LabelThreshold, ...]:
        """Return the labels whose own threshold rests on few true images of validation."""
        return tuple(one for one in self.labels if one.alone and 0 < one.validation.positives < FEW)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON; what is undefined is ``None``."""
        goals = {"policy": self.goals.text, "for": self.goals.common.text, "per_label": self.goals.per_label}
        ends = ("value", "low", "high")
        interval = None if self.interval is None else {name: _number(getattr(self.interval, name)) for name in ends}
        return goals | {
            "calibration": self.goals.calibration or None,
            "score_kind": self.score_kind,
            "validation_images": self.images,
            "validation": _point(self.validation),
            "test": _point(self.test) | {"metric": METRIC[self.goals.common.name], "interval": interval},
            "labels": [
                {
                    "label": one.label,
                    "for": one.goal.bound,
                    "threshold": None if one.never else one.threshold,
                    "probability": one.probability,
                    "reached": one.validation.reached,
                    "never_predicted": one.never,
                    "validation": _point(one.validation),
                    "test": _point(one.test) | {"interval": list(wilson(one.goal, one.test) or ()) or None},
                }
                for one in self.labels
            ],
        }


def of_run(folder: RunFolder, draw: Draw = significance.draw) -> Thresholds:
    """Return the thresholds of a finished run whose policy is made of goals. Raises ``StoreError`` for another run."""
    name = str(folder.config["policy"]["name"])
    if not made_of_goals(folder.config["policy"]):
        command = f"bench thresholds {folder.key} --for f1{of_store(folder.path)}"
        raise StoreError(f"{folder.path} has no thresholds for a goal. Try: {command}")
    goals, state = parse_goals(name), folder.read_policy()
    outcome = folder.read_outcome()
    counts = class_counts(outcome.truth, outcome.predicted, outcome.ignore)
    of_test = {"predicted": counts.predicted, "hits": counts.true_positives, "positives": counts.positives}
    kind = outcome.scores.kind
    shown = calibration.calibrated(np.asarray(state["thresholds"], dtype=np.float32)[None], kind, state)
    own = {goal.label: goal for goal in goals.own}
    labels = tuple(
        LabelThreshold(
            label,
            own.get(label, goals.common),
            goals.per_label or label in own,
            float(state["thresholds"][place]),
            None if shown is None or state["thresholds"][place] >= NEVER else float(shown[0, place]),
            _at(state, place),
            _at(of_test, place),
        )
        for place, label in enumerate(outcome.labels)
    )
    shared = np.array([label not in own for label in outcome.labels])
    interval = None
    if shared.any():
        resamples = affordable(math.prod(outcome.truth.shape))
        drawn = draw(outcome if shared.all() else _of(outcome, shared), resamples)
        interval = bootstrap.interval(drawn.distribution(resamples)[METRIC[goals.common.name]], 0.0)
    return Thresholds(
        goals,
        kind,
        len(folder.read_validation().truth.ids),
        replace(_sum(state, shared), reached=bool(np.asarray(state["reached"])[shared].all())),
        _sum(of_test, shared),
        labels,
        interval,
    )


def wilson(goal: Goal, point: Point) -> tuple[float, float] | None:
    """Return the 95 % interval of a label's share (Wilson 1927); ``None`` of an F1, which is none, and of no pairs.

    >>> low, high = wilson(Goal("precision", ">=", 0.9), Point(np.float32(0), True, 10, 9, 20))
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    n = {"precision": point.predicted, "recall": point.positives}.get(goal.name, 0)
    if not n:
        return None
    z, share = DEVIATIONS, point.hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def f1_of(point: Point) -> float:
    """Return the F1 of a point; 0 where nothing is true or predicted."""
    return 2.0 * point.hits / max(point.predicted + point.positives, 1)


def value_of(goal: Goal, point: Point) -> float:
    """Return what ``point`` has of what the goal asks; NaN where it is undefined."""
    return {"precision": point.precision, "recall": point.recall, "f1": f1_of(point)}[goal.name]


def _at(counts: Mapping[str, Any], place: int) -> Point:
    threshold = np.float32(counts["thresholds"][place]) if "thresholds" in counts else np.float32(np.nan)
    reached = bool(counts["reached"][place]) if "reached" in counts else False
    return Point(threshold, reached, *(int(counts[name][place]) for name in ("predicted", "hits", "positives")))


def _of(outcome: Outcome, labels: BoolArray) -> Outcome:
    """Return the outcome of these labels alone; it is of no files."""
    scores = Scores(outcome.scores.ids, np.asarray(outcome.scores.values)[:, labels], outcome.scores.kind)
    names = tuple(name for name, chosen in zip(outcome.labels, labels, strict=True) if chosen)
    truth, predicted = outcome.truth[:][:, labels], outcome.predicted[:][:, labels]
    ignore = None if outcome.ignore is None else outcome.ignore[:][:, labels]
    return Outcome(outcome.name, outcome.fingerprint, outcome.protocol, names, truth, ignore, predicted, scores)


def _sum(counts: Mapping[str, Any], labels: BoolArray) -> Point:
    sums = (int(np.asarray(counts[name])[labels].sum()) for name in ("predicted", "hits", "positives"))
    return Point(np.float32(np.nan), False, *sums)


def _point(point: Point) -> dict[str, float | int | None]:
    return {
        "precision": _number(point.precision),
        "recall": _number(point.recall),
        "f1": _number(f1_of(point)),
        "predicted": point.predicted,
        "hits": point.hits,
        "positives": point.positives,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
