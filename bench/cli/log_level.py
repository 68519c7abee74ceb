"""``--log-level LEVEL``, which may stand before or behind any command."""

from __future__ import annotations

import os
from collections.abc import Sequence


def taken_out(arguments: Sequence[str], option: str) -> list[str]:
    """Return ``arguments`` without ``option LEVEL``, and have this process and those it starts log from it on.

    What stands behind ``--`` is left as it is. Raises ``UsageError`` for a level that there is not.
    """
    from bench.errors import unknown
    from bench.system.journal import LEVELS
    from bench.system.progress import LEVEL_VARIABLE

    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    rest, waiting = [], iter(arguments[:end])
    for argument in waiting:
        name, equals, level = argument.partition("=")
        if name != option:
            rest.append(argument)
            continue
        level = level if equals else next(waiting, "")
        if level not in LEVELS:
            raise unknown("log level", level, LEVELS, "Try: --log-level info")
        os.environ[LEVEL_VARIABLE] = level
    return rest + list(arguments[end:])
