"""What a check is, and how one is run: alone, behind the border to plugins, each at most once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bench.errors import BenchError, NotRun, PluginError
from bench.guard import calling
from bench.plugins import Origin
from bench.testing.sandbox import sandboxed

Run = Callable[[Any], str | None]
"""Looks at a part of a plugin; returns what it measured, if anything. Raises for what does not hold."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that holds of a sound plugin. ``needs`` are checks without which this one says nothing."""

    name: str
    claim: str
    remedy: str
    run: Run
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended; ``told`` is the reason why it failed or was not run, or what a passed one measured."""

    part: str
    check: Check
    state: Literal["passed", "failed", "not run"]
    told: str = ""

    def __str__(self) -> str:
        remedy = f". Try: {self.check.remedy}" if self.state == "failed" else ""
        return f"{self.part}, {self.check.name} {self.state}: {self.told or self.check.claim}{remedy}"


class CheckFailed(AssertionError):  # noqa: N818 - as pytest shows it
    """Checks of a plugin do not hold; its words are a line for each, with reason and remedy."""


class Part(Protocol):
    """A part of a plugin under its checks: its kind and name as users know them, and where it comes from."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> Origin | str: ...


class Table(list[Check]):
    """The checks of one kind, in the order in which they are run; also what makes a function one of them."""

    def check(self, claim: str, *, remedy: str, needs: Sequence[str] = ()) -> Callable[[Run], Run]:
        """Add the decorated function under its own name. It is given the part, and raises ``PluginError``."""

        def added(run: Run) -> Run:
            name = run.__name__.replace("_", "-")
            self.append(Check(name, claim, remedy, run, tuple(need.replace("_", "-") for need in needs)))
            return run

        return added


@dataclass(slots=True)
class Examination:
    """One part and its checks. Each is run once, after those that it needs."""

    part: Part
    checks: Sequence[Check]
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    def outcome(self, name: str) -> Outcome:
        """Return how the check ``name`` ends."""
        if name not in self._outcomes:
            check = next(check for check in self.checks if check.name == name)
            lacking = [need for need in check.needs if self.outcome(need).state != "passed"]
            self._outcomes[name] = (
                Outcome(self._title, check, "not run", f"it needs {lacking[0]}") if lacking else self._run(check)
            )
        return self._outcomes[name]

    def outcomes(self) -> list[Outcome]:
        """Return how every check ends."""
        return [self.outcome(check.name) for check in self.checks]

    @property
    def _title(self) -> str:
        return f"{self.part.kind} '{self.part.name}'"

    def _run(self, check: Check) -> Outcome:
        stage = f"check of {self._title}"
        try:
            with sandboxed(), calling(self.part.origin, "check", self._title, seed=0):
                return Outcome(self._title, check, "passed", check.run(self.part) or "")
        except NotRun as error:
            return Outcome(self._title, check, "not run", _words(error, stage))
        except BenchError as error:
            return Outcome(self._title, check, "failed", _words(error, stage))


def require(holds: object, told: str) -> None:
    """Raise ``PluginError`` with what was found, unless it holds."""
    if not holds:
        raise PluginError(told)


def must_hold(outcomes: Sequence[Outcome]) -> None:
    """Raise ``CheckFailed`` where one has failed."""
    failed = [str(outcome) for outcome in outcomes if outcome.state == "failed"]
    if failed:
        raise CheckFailed("\n".join(failed))


def _words(error: BenchError, stage: str) -> str:
    """Return an error without what the table says already: the plugin and the part. The place in its code stays."""
    place = error.where.partition(stage)[2].lstrip(", ") if error.where else ""
    words = " ".join(Exception.__str__(error).split()) or type(error).__name__
    return f"{place}: {words}" if re.search(r" at .+:\d+$", place) and not place.startswith("bench.") else words
