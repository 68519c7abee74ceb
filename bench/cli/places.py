"""Paths on the command line: refused are empty ones, and addresses as ``s3://bucket/x`` where only a path can stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def anywhere(place: Path | None) -> Path | None:
    """Return ``place``: the callback of options that take addresses and need nothing done before the command."""
    return place


def refuse_addresses(command: Any) -> Any:
    """Return ``command``, or a group of them, that refuses an address for a path that has no callback, and empty paths.

    Those that take one have it: ``anywhere``, or what finds the folder of this machine for it.
    """
    for each in getattr(command, "commands", {}).values():
        refuse_addresses(each)
    for parameter in command.params:
        _refuse_empty(parameter)
    invoke = command.invoke

    def checked(ctx: Any) -> Any:
        from bench.errors import UsageError
        from bench.remote.address import is_remote, normal

        for parameter in command.params:
            value = ctx.params.get(parameter.name)
            for place in value if isinstance(value, list) else [value]:
                if isinstance(place, Path) and parameter.callback is None and is_remote(place):
                    raise UsageError(f"{_called(parameter)}: found {normal(place)}, allowed: a path of this machine")
        return invoke(ctx)

    command.invoke = checked
    return command


def _refuse_empty(parameter: Any) -> None:
    """Let ``parameter`` refuse an empty text for a path, as of a variable that is not set: pathlib's is the folder."""
    process = parameter.process_value

    def checked(ctx: Any, value: Any) -> Any:
        from bench.errors import UsageError

        found = process(ctx, value)
        pairs = zip(value, found, strict=True) if isinstance(found, list) and value else [(value, found)]
        if any(given == "" and isinstance(place, Path) for given, place in pairs):
            raise UsageError(f"{_called(parameter)}: found an empty name, allowed: a path. Is a variable not set?")
        return found

    parameter.process_value = checked


def _called(parameter: Any) -> str:
    return str(parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar)
