"""Fields of a record that allow certain values alone, by their type hints: nobody runs a type checker on plugins."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints


def misfit(record: Any) -> str:
    """Return in words which field of a dataclass has none of the values of its ``Literal``, or is no int or bool.

    >>> from bench.contracts.protocols import Protocol
    >>> misfit(Protocol(name="pairs@1", summary="", k=2))
    ''
    """
    for name, hint in _limits(type(record)).items():
        value, allowed = getattr(record, name), get_args(hint)
        if allowed and value not in allowed:
            return f"{name} {value!r}, allowed: {', '.join(map(str, allowed))}"
        if not allowed and type(value) is not hint:
            return f"{name} {value!r}, allowed: {'a whole number' if hint is int else 'True or False'}"
    return ""


def _limits(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    limited = {field.name: hints[field.name] for field in fields(kind)}
    return {name: hint for name, hint in limited.items() if get_origin(hint) is Literal or hint in {int, bool}}
