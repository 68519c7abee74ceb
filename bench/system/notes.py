"""Words to people about what went on beside the work: one line on standard error, never among results."""

from __future__ import annotations

import contextlib
import sys


def note(text: str) -> None:
    """Print one line, as in ``note: waiting for another process``; signs that are not printable are escaped."""
    line = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    # A word that nobody can hear any more must not end the work.
    with contextlib.suppress(OSError, ValueError):
        print(f"note: {line}", file=sys.stderr, flush=True)
