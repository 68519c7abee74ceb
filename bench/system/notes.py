"""Words to people about what went on beside the work: one line on standard error, never among results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from bench.system.text import for_stream, one_line

LISTENERS: list[Callable[[str], None]] = []
"""Told of each note, too."""


def note(text: str) -> None:
    """Print one line, as in ``note: waiting for another process``; signs that are not printable are escaped."""
    for tell in tuple(LISTENERS):
        tell(one_line(text))
    # A word that nobody can hear any more must not end the work.
    with contextlib.suppress(OSError, ValueError):
        # In one write, break and all, so that words of several threads are lines of their own.
        print(f"{for_stream(f'note: {one_line(text)}', sys.stderr)}\n", end="", file=sys.stderr, flush=True)


def say_all(text: str) -> None:
    """Print text of several lines, as a traceback, with what steers a terminal escaped."""
    with contextlib.suppress(OSError, ValueError):
        print(for_stream(text, sys.stderr), file=sys.stderr, flush=True)
