"""CSV whose texts no spreadsheet takes for formulas.

A text that begins with = + - @, a tab or a carriage return gets an apostrophe before it, as spreadsheets themselves
mark such texts (OWASP, CSV injection). Numbers are numbers and stay.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from bench.system.text import plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    r"""Return a table as CSV; ``None`` is an empty cell.

    >>> csv_text(["label", "AP"], [["=1+1", 0.5]])
    "label,AP\n'=1+1,0.5\n"
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in (header, *rows))
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
