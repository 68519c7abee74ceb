"""A table in Markdown, for whatever shows Markdown: files, terminals, trackers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return the lines of a Markdown table, without a line break at the end.

    The first column is a name, the others are numbers, set to the right. A line break in a cell becomes a space and
    a pipe is escaped, so that every row is one line of as many cells as it has.

    >>> print(markdown_table(["model", "C-F1"], [["a|b", "60.4"]]))
    | model | C-F1 |
    | --- | ---: |
    | a\|b | 60.4 |
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in (header, rule, *rows))


def one_line(text: str) -> str:
    """Return ``text`` with every run of white space, line breaks too, as one space."""
    return " ".join(text.split())


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
