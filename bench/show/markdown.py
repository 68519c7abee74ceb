"""A table in Markdown, for whatever shows Markdown: files, terminals, trackers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.system.text import one_line

_SPECIAL = re.compile(r"[\\`*\[\]<]")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return the lines of a Markdown table, without a line break at the end.

    Cells are Markdown: of a user's text, as a label, signs such as ``*`` need a backslash before them. The first column
    is a name, the others are numbers, set to the right. A line break in a cell becomes a space and a pipe is escaped,
    so that every row is one line of as many cells as it has.

    >>> print(markdown_table(["model", "C-F1"], [["a|b", "60.4"]]))
    | model | C-F1 |
    | --- | ---: |
    | a\|b | 60.4 |
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in (header, rule, *rows))


def markdown_text(text: str) -> str:
    r"""Return ``text`` on one line, shown by Markdown as it is: no emphasis, link, code or HTML of its own.

    >>> markdown_text("[red] <b> `x`")
    '\\[red\\] \\<b> \\`x\\`'
    """
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", one_line(text))


def _cell(markdown: str) -> str:
    return one_line(markdown).replace("|", "\\|")
