"""Chosen thresholds in words and as a table: what was asked for, and what was had on validation and on test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.contracts import Goal
from bench.evaluation.thresholds import SLACK, Point
from bench.show.console import print_table, put
from bench.store.goal_thresholds import LabelThreshold, Thresholds, value_of, wilson
from bench.system.text import first_few

MOST_NAMED = 12

Ends = tuple[float, float] | None
"""The ends of an interval, where there is one."""


def table(found: Thresholds, title: str) -> None:
    """Print one row for each label whose threshold is its own, and one for all."""
    header, rows = grid(found)
    print_table(header, rows, title=title)
    put()


def grid(found: Thresholds) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of ``table``. What the goal asks for has its 95 % interval on test beside it."""
    calibrated, f1 = bool(found.goals.calibration), any(one.goal.name == "f1" for one in found.labels)
    names = [("precision", "P"), ("recall", "R"), *([("f1", "F1")] if f1 else [])]
    header = ["label", "threshold", *(["probability"] if calibrated else [])]
    header += [f"{short} {part}" for part in ("val", "test") for _, short in names]
    own, common = ([one for one in found.labels if one.alone == alone] for alone in (True, False))

    def row(name: str, goal: Goal, like: LabelThreshold | None, points: Sequence[Point], ends: Ends) -> list[str]:
        cells = [name, "" if like is None else "never" if like.never else f"{like.threshold:.4g}"]
        if calibrated:
            cells.append("" if like is None or like.probability is None else f"{like.probability:.2f}")
        for place, point in enumerate(points):
            for measure, _ in names:
                value = value_of(replace(goal, name=measure), point)
                shown, bar = _shown(value), ends if place and measure == goal.name and not math.isnan(value) else None
                cells.append(f"{shown} [{_shown(bar[0])}, {_shown(bar[1])}]" if bar else shown)
        return cells

    rows = [row(one.label, one.goal, one, (one.validation, one.test), wilson(one.goal, one.test)) for one in own]
    if found.interval is not None:
        interval = (found.interval.low, found.interval.high)
        name, like = found.name, common[0] if common else None
        rows.append(row(name, found.goals.common, like, (found.validation, found.test), interval))
    return header, rows


def lines(found: Thresholds) -> list[str]:
    """Return what a reader must be told: what the goal gave on test, where it was not kept, what rests on little."""
    goal = found.goals.common
    told = []
    if found.interval is not None and found.validation.predicted == 0:
        told.append(f"no threshold gives {goal.bound} on validation, so none of {found.name} is ever predicted")
    elif found.interval is not None and goal.name == "precision" and found.test.predicted == 0:
        told.append(f"on test, over {found.name}: nothing reaches its threshold, asked {goal.bound}")
    elif found.interval is not None:
        shown = [_shown(getattr(found.interval, name)) for name in ("value", "low", "high")]
        reached = f"{goal.name.replace('f1', 'F1')} {shown[0]} [{shown[1]}, {shown[2]}]"
        asked = f"asked {goal.value:g}" if goal.relation else "asked for the highest"
        told.append(f"on test, over {found.name}: {reached}, {asked}")
    own = [one for one in found.labels if one.alone and one.goal.relation and one.validation.reached]
    if own:
        values = [(one, value_of(one.goal, one.test)) for one in own]
        kept = sum(value >= one.goal.value - SLACK for one, value in values)
        line = f"labels whose goal was reached on validation: {len(own)}, of which on test too: {kept}"
        lost = [one for one, value in values if math.isnan(value)]
        told.append(line + (f"; undefined there: {_named(lost)}" if lost else ""))
    told += _unreached(found)
    if found.few:
        told.append(f"fewer than 10 true validation images, so other images would move it far: {_named(found.few)}")
    told.append("nothing was chosen on test; the intervals are for other test images, not for other validation images")
    return told


def _unreached(found: Thresholds) -> list[str]:
    """Return which labels do not keep their goal on validation, by what is done with them."""
    told = []
    empty = [one for one in found.unreached if not one.validation.positives]
    lost = [one for one in found.unreached if one.validation.positives]
    for some, why in ((empty, "no true validation image"), (lost, "goal not reached on validation")):
        for never in (True, False):
            if group := [one for one in some if one.never == never]:
                done = "the best threshold there is" if why.startswith("goal") else "the threshold of all labels"
                told.append(f"{why}, {'never predicted' if never else f'given {done}'}: {_named(group)}")
    return told


def _named(labels: Sequence[LabelThreshold]) -> str:
    return first_few([one.label for one in labels], MOST_NAMED)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
