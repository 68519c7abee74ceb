r"""A user's text on its way out: labels, file names and messages of others, wherever they are shown.

Characters that would steer a terminal, hide or reorder text, or that no encoding can write, are shown as ``\uXXXX``:
control characters, bidirectional overrides, and the halves of surrogate pairs that stand for bytes in a file's name.
In JSON that is the same character escaped, so nothing is lost there.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

ESCAPE = "bench-escape"
r"""Name of the error handler for ``str.encode`` that writes what an encoding lacks as ``\uXXXX``."""

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb"
    "\ufffe\uffff\U000e0000-\U000e007f]"
)

_PLAINER = str.maketrans(
    {"±": "+-", "≈": "~", "†": "+", "…": "...", "—": "-", "\N{EN DASH}": "-", "\N{MULTIPLICATION SIGN}": "x"}
)
"""Signs of this project's own tables, in ASCII."""


def escaped(sign: str) -> str:
    r"""Return ``sign`` as JSON escapes it.

    >>> escaped("\x1b"), escaped("\N{GRINNING FACE}")
    ('\\u001b', '\\ud83d\\ude00')
    """
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def plain(text: str) -> str:
    r"""Return ``text`` with what steers or hides escaped; line breaks and tabs stay.

    >>> plain("\x1b[31mred [b]")
    '\\u001b[31mred [b]'
    """
    return _STEERING.sub(lambda found: escaped(found[0]), text)


def one_line(text: str) -> str:
    """Return ``text`` as ``plain`` has it, every run of white space, line breaks too, as one space."""
    return plain(" ".join(text.split()))


def first_few(names: Sequence[str], most: int) -> str:
    """Return the first ``most`` of ``names``, and how many more there are.

    >>> first_few(["dog", "cat", "car"], 2), first_few(["dog"], 2)
    ('dog, cat and 1 more', 'dog')
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def for_stream(text: str, stream: TextIO) -> str:
    """Return ``text`` as ``plain`` has it, in signs that ``stream`` can write."""
    text = plain(text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAINER)
        # A letter with an accent is better without it than as a number.
        text = "".join(_written(sign, encoding) for sign in text)
    except LookupError:
        pass
    return text


def _written(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        simpler = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
        return simpler or escaped(sign)
    return sign


def prepare_streams() -> None:
    """Make standard output and error of this process such that no text fails on them.

    What their encoding lacks is escaped; a stream that was closed before the start swallows what is written. Its number
    would else be that of the next file opened, into which libraries would write their messages.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPE)


def _escape_what_fails(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(escaped, error.object[error.start : error.end])), error.end


codecs.register_error(ESCAPE, _escape_what_fails)
