"""Addresses as ``s3://bucket/x`` on the command line: refused, before any work, where only a path can stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def anywhere(place: Path | None) -> Path | None:
    """Return ``place``: the callback of options that take addresses and need nothing done before the command."""
    return place


def refuse_addresses(command: Any) -> Any:
    """Return ``command``, or a group of them, that refuses an address for a path that has no callback.

    Those that take one have it: ``anywhere``, or what finds the folder of this machine for it.
    """
    for each in getattr(command, "commands", {}).values():
        refuse_addresses(each)
    invoke = command.invoke

    def checked(ctx: Any) -> Any:
        from bench.errors import UsageError
        from bench.remote.address import is_remote, normal

        for parameter in command.params:
            value = ctx.params.get(parameter.name)
            for place in value if isinstance(value, list) else [value]:
                if isinstance(place, Path) and parameter.callback is None and is_remote(place):
                    called = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
                    raise UsageError(f"{called}: found {normal(place)}, allowed: a path of this machine")
        return invoke(ctx)

    command.invoke = checked
    return command
