"""Fields of a record that allow certain values alone, by their type hints: nobody runs a type checker on plugins."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints


def misfit(record: Any) -> str:
    """Return in words which field of a dataclass has none of the values of its ``Literal``, or is no whole number.

    >>> from bench.contracts.protocols import Protocol
    >>> misfit(Protocol(name="pairs@1", summary="", k=2))
    ''
    """
    for name, (allowed, whole) in _limits(type(record)).items():
        value = getattr(record, name)
        if allowed and value not in allowed:
            return f"{name} {value!r}, allowed: {', '.join(map(str, allowed))}"
        if whole and (isinstance(value, bool) or not isinstance(value, int)):
            return f"{name} {value!r}, allowed: a whole number"
    return ""


@cache
def _limits(kind: type[Any]) -> dict[str, tuple[tuple[Any, ...], bool]]:
    hints = get_type_hints(kind)
    limits = {field.name: hints[field.name] for field in fields(kind)}
    return {name: (get_args(hint) if get_origin(hint) is Literal else (), hint is int) for name, hint in limits.items()}
