"""What is asked for in ``--for``: goals for choosing a model and thresholds, and label-set policies made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import unquote

from bench.errors import UsageError

OF_THRESHOLDS = ("precision", "recall", "f1")
"""What a threshold can be set for."""

EXAMPLES = "precision>=0.9, recall>=0.8, f1, dog:precision>=0.95"

Calibration = Literal["", "temperature", "isotonic"]
Relation = Literal["", ">=", "<="]

RELATIONS: dict[str, Relation] = {
    ">=": ">=",
    "=>": ">=",
    "≥": ">=",
    ">": ">=",
    "<=": "<=",
    "=<": "<=",
    "≤": "<=",
    "<": "<=",
}
UNITS = {
    **{"%": 0.01, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
    **{"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30},
}
"""What a value with this unit is multiplied by: shares, seconds and bytes come out."""

_BOUND = re.compile(r"(?s)(.*[^<>=≤≥\s])\s*(>=|=>|<=|=<|≥|≤|>|<)\s*([0-9.]+(?:e-?[0-9]+)?)\s*(%|[A-Za-zµ]*)")
_ALIASES = {"p": "precision", "prec": "precision", "r": "recall", "rec": "recall", "f1-score": "f1"}
_MOST = re.compile(r"(?:max|best|highest)[- _]|max\((.*)\)$")


@dataclass(frozen=True, slots=True)
class Goal:
    """A quantity that is to be as good as can be, or to keep ``value``: shares, seconds or bytes.

    ``label`` is the one that it is asked of; empty: all. ``unit`` is the unit as typed. ``relation`` is empty, and
    ``value`` 0, where the quantity is only to be as good as can be. (NaN is not equal to itself, nor was such a goal.)
    """

    name: str
    relation: Relation = ""
    value: float = 0.0
    label: str = ""
    unit: str = ""

    @property
    def bound(self) -> str:
        """Return the goal in words without its label, as it is typed: ``precision>=0.9``."""
        scale = UNITS.get(self.unit.lower(), 1.0)
        return f"{self.name}{self.relation}{self.value / scale:.10g}{self.unit}" if self.relation else self.name

    @property
    def text(self) -> str:
        """Return the goal as it is typed."""
        return f"{self.label}:{self.bound}" if self.label else self.bound


def parse_goal(text: str) -> Goal:
    """Return the goal that ``text`` says, as ``precision>=0.9``, ``mAP`` or ``latency<20ms``. Raises ``UsageError``.

    >>> parse_goal("dog: P > 70%")
    Goal(name='precision', relation='>=', value=0.7, label='dog', unit='')
    >>> parse_goal("latency<20ms").value
    0.02
    """
    bound = _BOUND.fullmatch(text.strip())
    head, relation, number, unit = bound.groups() if bound else (text.strip(), "", "", "")
    label, _, name = (part.strip() for part in head.rpartition(":"))
    name = _MOST.sub(lambda found: found[1] or "", name) if not relation else name
    name = _ALIASES.get(name.lower(), name)
    name = name.lower() if name.lower() in OF_THRESHOLDS else name
    if not name or any(sign in name for sign in "<>=≤≥"):
        raise UsageError(f"--for: found '{text}', allowed: a name, or NAME>=VALUE, as in {EXAMPLES}")
    if not relation:
        return Goal(name, label=label)
    try:
        # 70 * 0.01 is more than 0.7, which seven of ten would not keep.
        value = float(number) / 100 if unit == "%" else float(number) * UNITS[unit.lower()] if unit else float(number)
    except (ValueError, KeyError):
        allowed = ", ".join(UNITS)
        raise UsageError(f"--for: found '{text}', allowed: a number, with a unit of {allowed} or none") from None
    return Goal(name, RELATIONS[relation], value, label, "" if unit == "%" else unit)


def share(goal: Goal) -> Goal:
    """Return ``goal``, whose value is a share. Raises ``UsageError`` where it is none."""
    if goal.relation == "<=":
        raise UsageError(f"--for: found '{goal.text}', allowed: at least a value. Try: --for '{goal.name}>=0.9'")
    if goal.relation and (goal.unit or not 0.0 < goal.value <= 1.0):
        raise UsageError(
            f"--for: found '{goal.text}', allowed: above 0 and at most 1, or percent, as in {goal.name}>=90%"
        )
    return goal


@dataclass(frozen=True, slots=True)
class ThresholdGoals:
    """A label-set policy that is made of goals: those labels whose scores reach thresholds chosen for them.

    ``common`` is asked of all labels together, or of each alone where ``per_label``; ``own`` of single labels by name.
    ``unreached`` says what is done with a label whose precision no threshold reaches: it is ``never`` predicted, or
    takes the ``best`` that there is. ``calibration`` makes probabilities of scores. The policy's name is its ``text``.
    """

    common: Goal
    own: tuple[Goal, ...] = ()
    per_label: bool = False
    calibration: Calibration = ""
    unreached: Literal["never", "best"] = "never"

    @property
    def text(self) -> str:
        """Return the policy's name, as ``--policy`` takes it: ``precision>=0.9;per-label;isotonic``."""
        flags = ["per-label"] * self.per_label + ["best-if-unreached"] * (self.unreached == "best")
        return ";".join(
            (self.common.text, *(_written(goal) for goal in self.own), *flags, *filter(None, [self.calibration]))
        )


def is_goals(text: str) -> bool:
    """Return whether the name of a policy says goals.

    >>> is_goals("precision>=0.9"), is_goals("f1;per-label"), is_goals("threshold")
    (True, True, False)
    """
    first = text.partition(";")[0].strip().lower()
    return any(sign in text for sign in "<>≤≥;") or first in {"f1", "max-f1"}


def made_of_goals(policy: Mapping[str, object]) -> bool:
    """Return whether the policy that a run's config holds is made of goals, and no plugin's of such a name."""
    return "distribution" not in policy and is_goals(str(policy.get("name", "")))


def policy_named(text: str) -> str:
    """Return the name of the policy that ``text`` asks for: goals as their ``text``, others without a distribution.

    >>> policy_named("P > 90%; per-label"), policy_named("multilabel-bench:threshold")
    ('precision>=0.9;per-label', 'threshold')
    """
    return parse_goals(text).text if is_goals(text) else text.rpartition(":")[-1]


def parse_goals(text: str) -> ThresholdGoals:
    """Return the policy whose name ``text`` is. Raises ``UsageError``."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    flags = {"per-label", "best-if-unreached", *filter(None, get_args(Calibration))}
    given = [part for part in parts if part in flags]
    kinds = [kind for kind in get_args(Calibration) if kind and kind in given]
    if len(kinds) > 1:
        raise UsageError(f"'{text}': found two calibrations, allowed: {' or '.join(kinds)}")
    try:
        return threshold_goals(
            [_read(part) for part in parts if part not in flags],
            per_label="per-label" in given,
            calibration=kinds[0] if kinds else "",
            best="best-if-unreached" in given,
        )
    except UsageError as error:  # what several options say is one policy's name
        raise UsageError(str(error).replace("' --for '", ";").replace("--for", "--policy")) from None


def threshold_goals(
    goals: Iterable[Goal], *, per_label: bool = False, calibration: str = "", best: bool = False
) -> ThresholdGoals:
    """Return the policy of ``goals``, of which one at most names no label; without one that is ``f1``.

    Raises ``UsageError`` for a goal that no threshold is set for, for two of the same labels, and for a ``calibration``
    that there is not.
    """
    goals = list(goals)
    for goal in goals:
        if goal.name not in OF_THRESHOLDS:
            raise UsageError(f"--for: found '{goal.text}', thresholds are set for one of: {EXAMPLES}")
        if goal.name != "f1" and not goal.relation:
            raise UsageError(f"--for: found '{goal.text}', allowed: a least value. Try: --for '{goal.text}>=0.9'")
        share(goal)
    common, own = [goal for goal in goals if not goal.label], [goal for goal in goals if goal.label]
    if len(common) > 1:
        found = " and ".join(goal.text for goal in common)
        raise UsageError(
            f"--for: found {found}, allowed: one for all labels, and one for each label named. Try: --for"
            f" '{common[0].text}' --for 'LABEL:{common[1].text}'"
        )
    names = [goal.label for goal in own]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"--for: found two goals of label '{twice[0]}', allowed: one")
    if calibration not in get_args(Calibration):
        allowed = ", ".join(filter(None, get_args(Calibration)))
        raise UsageError(f"--calibrate: found '{calibration}', allowed: {allowed}")
    return ThresholdGoals(
        common[0] if common else Goal("f1"),
        tuple(sorted(own, key=lambda goal: goal.label)),
        per_label,
        calibration,  # type: ignore[arg-type]
        "best" if best else "never",
    )


def _written(goal: Goal) -> str:
    """Return a label's goal, the signs that a policy's name is taken apart by written as in addresses."""
    label = goal.label.replace("%", "%25").replace(";", "%3B").replace(",", "%2C")
    return f"{label}:{goal.bound}"


def _read(text: str) -> Goal:
    goal = parse_goal(text)
    return Goal(goal.name, goal.relation, goal.value, unquote(goal.label), goal.unit)
