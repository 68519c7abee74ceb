"""One row of the lens: a definition of a metric, its value on a run, and who uses it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.evaluation import protocols
from bench.evaluation.bits import Mask
from bench.evaluation.lens.sources import User
from bench.evaluation.outcome import Outcome


@dataclass(frozen=True, slots=True)
class View:
    """One definition of one metric: its value on the run, a fraction in [0, 1] or NaN, and who uses it.

    ``read_in`` says for each public source of ``used_by`` where it was read: repository, commit, file and line.
    ``own`` marks the definition that the run's protocol takes; ``note`` says why a value is undefined, or what else
    a reader must know.
    """

    metric: str
    definition: str
    used_by: str
    value: float
    own: bool = False
    note: str = ""
    read_in: tuple[str, ...] = ()


def view(
    metric: str,
    definition: str,
    users: tuple[User, ...],
    value: float,
    own: bool = False,
    *,
    note: str = "",
    others: str = "",
) -> View:
    """Return one row; ``others`` use the definition too and have no code that could be read."""
    names = "; ".join(filter(None, [others, *map(str, users)]))
    return View(metric, definition, names, value, own, note, tuple(f"{user}: {user.place}" for user in users))


def mask_by(outcome: Outcome, difficult: Literal["ignore", "negative"]) -> Mask | None:
    """Return the pairs that count not at all where difficult ones are such, or where they are negatives."""
    protocol = replace(outcome.protocol, difficult=difficult)
    return protocols.counted(protocol, outcome.truth, outcome.difficult, outcome.known)[1]


def to_json(row: View) -> dict[str, Any]:
    """Return the view as JSON values."""
    return {name: getattr(row, name) for name in View.__slots__}
