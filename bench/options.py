"""Options that plugins declare and users set with ``--set name=value``."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from bench.errors import UsageError, unknown

OptionValue = bool | int | float | str
"""What an option can hold; the type of an option's default is the option's type."""

NAME = re.compile(r"[A-Za-z_][\w+-]*")
"""What can be typed before the = of ``--set``, where a dot says whose option it is."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, default (which fixes its type), help, and allowed range or choices."""

    name: str
    default: OptionValue
    help: str
    choices: tuple[OptionValue, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    blanks: bool = False
    """Whether blanks around a text are a part of it, as of one that separates names."""

    @property
    def fault(self) -> str:
        """Return why a user could not set the option, or a run's config not hold it; empty: both can.

        >>> Option("a.b", 1, "").fault, Option("hidden", 0, "units", minimum=1).fault
        ('allowed are letters, digits and _ + -', 'its default is 0, allowed: a whole number >= 1')
        """
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            return "allowed are letters, digits and _ + -"
        if not isinstance(self.default, bool | int | float | str):
            return f"its default is a {type(self.default).__name__}, must be a number or text"
        if not isinstance(self.choices, tuple):  # of a text, each part of it would be one
            return f"its choices are a {type(self.choices).__name__}, must be a tuple, as ({self.default!r},)"
        try:
            taken = self.check(self.default)
        except UsageError:
            return f"its default is {self.default!r}, allowed: {self.allowed}"
        return "" if taken == self.default else f"its default is {self.default!r}, which is taken as {taken!r}"

    @property
    def allowed(self) -> str:
        """Return the allowed values in words, as error messages and ``--help`` print them."""
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[type(self.default)]
        low = f" >= {self.minimum:g}" if self.minimum is not None else ""
        high = f" <= {self.maximum:g}" if self.maximum is not None else ""
        return f"{kind}{low}{' and' if low and high else ''}{high}"

    def check(self, value: OptionValue) -> OptionValue:
        """Return ``value`` in this option's type, or raise ``UsageError``."""
        converted = self._convert(value)
        in_choices = not self.choices or converted in self.choices
        in_range = isinstance(converted, str) or (
            (self.minimum is None or converted >= self.minimum) and (self.maximum is None or converted <= self.maximum)
        )
        if not in_choices or not in_range:
            raise self._error(value)
        return converted

    def _convert(self, value: OptionValue) -> OptionValue:
        text = str(value).strip()
        try:
            if isinstance(self.default, bool):
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
            if isinstance(self.default, int | float) and "_" in text:
                raise ValueError  # Python leaves underscores between digits out, and makes 1 of 0_1
            if isinstance(self.default, int):
                return int(text)
            if isinstance(self.default, float):
                number = float(text)
                if not math.isfinite(number):
                    raise ValueError
                return number
        except (KeyError, ValueError):
            raise self._error(value) from None
        return str(value) if self.blanks else text

    def _error(self, value: OptionValue) -> UsageError:
        typed = shlex.quote(f"{self.name}={self.default}")
        return UsageError(f"option {self.name}: found '{value}', allowed: {self.allowed}. Try: --set {typed}")


class GivenOptions(Mapping[str, OptionValue]):
    """Options as a plugin is given them: it cannot change them, and the host knows which it has read."""

    def __init__(self, values: Mapping[str, OptionValue]) -> None:
        self._values, self._read = dict(values), set[str]()

    def __getitem__(self, name: str) -> OptionValue:
        value = self._values[name]
        self._read.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def unread(self, options: Iterable[Option], owner: str) -> tuple[str, ...]:
        """Return a note on each of ``options`` with another value than its default that its ``owner`` never read.

        >>> given = GivenOptions({"hidden": 128, "margin": 1.0})
        >>> given.get("hiden", 64)
        64
        >>> given.unread((Option("hidden", 64, "units"), Option("margin", 1.0, "")), "model 'mine'")
        ("option 'hidden' of model 'mine' was never read: 128 changes nothing",)
        """
        changed = [one.name for one in options if self._values.get(one.name, one.default) != one.default]
        return tuple(
            f"option '{name}' of {owner} was never read: {self._values[name]} changes nothing"
            for name in changed
            if name not in self._read
        )


def given(values: Mapping[str, OptionValue]) -> GivenOptions:
    """Return ``values`` as ``GivenOptions``: the same ones where they are so already."""
    return values if isinstance(values, GivenOptions) else GivenOptions(values)


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """Return ``{"cell": "gru"}`` for ``["cell=gru"]``; a later one wins. An option itself strips what it is given."""
    assigned: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set: found '{text}', allowed: NAME=VALUE. Try: --set beam_width=5")
        assigned[name.strip()] = value
    return assigned


def resolve(
    options: Iterable[Option], given: Mapping[str, OptionValue], owner: str, prefix: str = ""
) -> dict[str, OptionValue]:
    """Return every option's value: the given one, checked, or its default.

    ``owner`` names whose options they are in errors, as in ``model 'cnn-rnn'``; ``prefix`` is what ``--set`` wants
    before their names, as in ``backbone.``. Raises ``UsageError`` for a name of none of them, and for a value that is
    not of its option's type, range or choices.
    """
    table = {option.name: option for option in options}
    for name in given:
        if name not in table:
            raise unknown(f"option of {owner}", name, table, "See: bench list --options")
    return {
        name: replace(option, name=prefix + name).check(given.get(name, option.default))
        for name, option in table.items()
    }
