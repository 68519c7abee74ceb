"""The kit in pytest: a test for each check of each part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.testing.checks import Examination, must_hold
from bench.testing.parts import examinations


@dataclass(frozen=True, slots=True)
class BoundCheck:
    """One check of one part; called, it passes, raises ``CheckFailed``, or skips where it could not be run."""

    examination: Examination
    name: str

    def __call__(self) -> None:
        """Run the check, once: a check that others need is not run again for each of them."""
        import pytest

        outcome = self.examination.outcome(self.name)
        must_hold([outcome])
        if outcome.state == "not run":
            pytest.skip(outcome.told)

    def __str__(self) -> str:
        return f"{self.examination.part.name}-{self.name}"


def parametrize_with_checks(things: Iterable[Any]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator of a test that is given ``check`` and calls it, once for each check of each of ``things``.

    ``things`` are what ``bench.testing.examinations`` takes (a module with hooks, a spec, a file, a name as users type
    it), or what it returns, where options or a folder of data are to be set::

        @parametrize_with_checks([bench_asl])
        def test_it_keeps_its_contract(check):
            check()
    """
    import pytest

    parts: list[Examination] = []
    for thing in things:
        parts += [thing] if isinstance(thing, Examination) else examinations(thing)
    bound = [BoundCheck(part, check.name) for part in parts for check in part.checks]
    return pytest.mark.parametrize("check", bound, ids=str)
