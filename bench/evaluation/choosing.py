"""The best of several models for goals, by what each is worth on validation images: bounds are kept, one value decides.

Nothing here knows of runs or files: a candidate is its values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.contracts import Goal, ThresholdGoals
from bench.contracts.goals import OF_THRESHOLDS, share, threshold_goals
from bench.errors import UsageError, unknown
from bench.evaluation import metric_table

COSTS = {"latency": "ms", "size": "MB"}
"""What is not a metric and can be asked for, with the unit that it is told in; less is better."""

MAIN = {"voc2007": "mAP"}
"""The main metric of a protocol where it is not O-F1."""

BESIDE = {"precision": "O-R", "recall": "O-P", "f1": "O-F1"}
"""What is best among those that keep a goal of thresholds."""

RANKINGS = ("mAP", "MAP@10")
"""Metrics of these beginnings depend on scores alone, and on no label set."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a choice is made by: ``objective``, the metric or cost that decides, ``bounds`` that are kept, ``policy``.

    ``policy`` are the thresholds that every candidate is given, ``None``: its own label sets are taken as they are.
    ``typed`` are the goals as they were asked for.
    """

    objective: str
    bounds: tuple[Goal, ...]
    policy: ThresholdGoals | None
    typed: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the wish in words."""
        return ", ".join(self.typed) or self.objective

    @property
    def ranking(self) -> bool:
        """Return whether label sets play no part in it."""
        names = (self.objective, *(goal.name for goal in self.bounds))
        return self.policy is None and all(name.startswith(RANKINGS) or name in COSTS for name in names)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model: ``values`` on validation by metric, and its costs; ``kept``: its thresholds keep their goal there.

    ``missing`` says why it cannot be chosen; empty: it can.
    """

    name: str
    values: Mapping[str, float] = field(default_factory=dict)
    kept: bool = True
    missing: str = ""


def main_metric(protocol: str) -> str:
    """Return the metric that a protocol's models are chosen by where nothing is asked for.

    >>> main_metric("voc2007@1"), main_metric("top3@1")
    ('mAP', 'O-F1')
    """
    return MAIN.get(protocol.partition("@")[0], "O-F1")


def wish(goals: Sequence[Goal], protocol: str) -> Wish:
    """Return what ``goals`` ask for. Raises ``UsageError`` for what is neither metric nor cost, and two objectives."""
    metrics = {name: metric for name, metric in metric_table.by_name().items() if metric.direction != "none"}
    known = {name.lower(): name for name in (*metrics, *COSTS)}
    of_thresholds, bounds, objectives = [], [], []
    for goal in goals:
        if goal.name in OF_THRESHOLDS:
            of_thresholds.append(share(goal))
            continue
        name = known.get(goal.name.lower())
        if name is None or goal.label:
            raise unknown("goal", goal.text, [*OF_THRESHOLDS, *COSTS, *metrics], "Try: --for mAP")
        named = Goal(name, goal.relation, goal.value, "", goal.unit)
        if not goal.relation:
            objectives.append(name)
            continue
        bounds.append(_checked(named))
    if len(objectives) > 1:
        raise UsageError(
            f"--for: found {' and '.join(objectives)}, allowed: one to be as good as can be; others need a bound, as in"
            f" --for '{objectives[1]}>=0.5'"
        )
    policy = threshold_goals(of_thresholds) if of_thresholds else None
    default = BESIDE[policy.common.name] if policy else main_metric(protocol)
    return Wish(objectives[0] if objectives else default, tuple(bounds), policy, tuple(goal.text for goal in goals))


def order(candidates: Iterable[Candidate], wished: Wish) -> list[Candidate]:
    """Return the candidates that can be chosen and keep every bound, best first; of equal ones the cheaper."""
    sign = 1.0 if lower_is_better(wished.objective) else -1.0

    def rank(one: Candidate) -> tuple[float, float, float]:
        latency, o_f1 = one.values.get("latency", math.nan), one.values.get("O-F1", 0.0)
        # What is not known is no less than anything.
        return sign * one.values[wished.objective], -o_f1, math.inf if math.isnan(latency) else latency

    return sorted((one for one in candidates if not faults(one, wished)), key=rank)


def faults(candidate: Candidate, wished: Wish) -> list[str]:
    """Return why ``candidate`` cannot be recommended: nothing is known of it, or a bound is not kept."""
    if candidate.missing:
        return [candidate.missing]
    found = []
    if wished.policy is not None and not candidate.kept:
        found.append(f"no threshold gives {wished.policy.text} on validation")
    for goal in wished.bounds:
        value = candidate.values.get(goal.name, math.nan)
        if math.isnan(value):
            found.append(f"its {goal.name} is not known")
        elif not (value >= goal.value if goal.relation == ">=" else value <= goal.value):
            least, asked = "at least" if goal.relation == ">=" else "at most", shown(goal.name, goal.value)
            found.append(f"its {goal.name} is {shown(goal.name, value)}, asked {least} {asked}")
    if math.isnan(candidate.values.get(wished.objective, math.nan)):
        found.append(f"its {wished.objective} is not known")
    return found


def lower_is_better(name: str) -> bool:
    """Return whether less of a metric or cost is better."""
    return name in COSTS or metric_table.by_name()[name].direction == "lower"


def shown(name: str, value: float) -> str:
    """Return a metric's or a cost's value as it is told.

    >>> shown("latency", 0.0123), shown("size", 16_800), shown("O-F1", 0.5834)
    ('12.3 ms', '16.8 kB', '58.3')
    """
    if math.isnan(value):
        return "unknown"
    if name == "latency":
        return f"{1e3 * value:.3g} ms"
    if name == "size":
        unit, scale = next((pair for pair in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if value >= pair[1]), ("B", 1.0))
        return f"{value / scale:.3g} {unit}"
    metric = metric_table.by_name()[name]
    return f"{metric.scale * value:.{metric.digits}f}"


def _checked(goal: Goal) -> Goal:
    """Return a bound, or raise ``UsageError`` where its unit or its direction is not that of what it bounds."""
    units = {"latency": ("us", "µs", "ms", "s"), "size": ("b", "kb", "mb", "gb", "kib", "mib", "gib")}
    allowed = units.get(goal.name, ())
    if goal.unit.lower() not in (allowed or ("",)):
        wanted = f"a unit of {', '.join(allowed)}, as in {goal.name}<20{COSTS[goal.name]}" if allowed else "no unit"
        raise UsageError(f"--for: found '{goal.text}', allowed: {wanted}")
    metric = None if allowed else metric_table.by_name()[goal.name]
    if metric is not None and metric.scale == 100.0 and not 0.0 <= goal.value <= 1.0:
        raise UsageError(f"--for: found '{goal.text}', allowed: from 0 to 1, or percent, as in {goal.name}>=60%")
    if goal.relation == ">=" and lower_is_better(goal.name):
        most = goal.text.replace(">=", "<")
        raise UsageError(f"--for: found '{goal.text}', allowed: at most a value. Try: --for '{most}'")
    return goal
