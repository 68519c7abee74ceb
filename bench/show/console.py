"""Standard output for people: one console, one width, tables that fit it and text that is never read as markup.

The width is the terminal's, or ``COLUMNS``, or 80 where there is neither. Formats for machines are printed as they are.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from bench.system.text import for_stream

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NO_TERMINAL = (80, 24)
"""Columns and lines where standard output is no terminal."""

GAP = 2
"""Blanks between two columns."""

HELD = "\0"
"""A blank at which no line is broken; it is in no text that ``for_stream`` returns."""

READABLE = 20
"""A column of texts is folded to this width before a table is split; to a quarter of a window that is narrow."""


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a disk behind standard output."""


def console(at_least: int = 0, file: TextIO | None = None) -> Console:
    """Return the console of standard output as wide as it is now; square brackets and colons are only characters.

    With ``file``, text goes there, without colours.
    """
    from rich.console import Console

    size = shutil.get_terminal_size(NO_TERMINAL)
    plain: dict[str, Any] = {"file": file, "force_terminal": False, "force_jupyter": False} if file else {}
    width, height = max(size.columns, at_least), size.lines
    return Console(width=width, height=height, markup=False, emoji=False, highlight=False, **plain)


def window() -> int:
    """Return the width of standard output in columns, as it is now."""
    return shutil.get_terminal_size(NO_TERMINAL).columns


def put(text: str = "", *, file: TextIO | None = None) -> None:
    """Print ``text`` as it is, line breaks too: no markup, nothing that steers a terminal, no sign it cannot write."""
    stream = file or sys.stdout
    print(for_stream(text, stream), file=stream)


def put_raw(text: str) -> None:
    """Print text for machines, as JSON or CSV, unchanged and without a line break of its own."""
    print(text, end="")


def is_full(stream: TextIO | None, error: OSError) -> bool:
    """Return whether ``error`` may be that of ``stream``, which takes no more, not even a line break."""
    if stream is None or error.errno not in NO_ROOM:
        return False
    try:
        put(file=stream)
        stream.flush()
    except OSError:
        return True
    return False


def say(text: str, style: str = "", indent: int = 0, file: TextIO | None = None, *, command: str = "") -> None:
    """Print a sentence, broken between words, lines after the first with ``indent`` blanks before them.

    A path longer than the line stays whole, and so does ``command``, the sentence's end: they can be copied.
    """
    stream, below = file or sys.stdout, " " * indent
    held = for_stream(command, stream).replace(" ", HELD)
    text = f"{for_stream(text, stream)} {held}"
    wrapped = textwrap.wrap(text, window(), subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
    lines = [line.replace(HELD, " ") for line in wrapped]
    if _shows_no_style(stream):
        for line in lines:
            print(line, file=stream)
        return
    one = console(file=file)
    for line in lines:
        one.print(line, style=style or None, soft_wrap=True)


def _shows_no_style(stream: TextIO) -> bool:
    """Return whether Rich would write the text alone: then it is not imported, which takes longer than most tables."""
    asked = any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"))
    return not (stream.isatty() or asked or "IPython" in sys.modules)


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    title: str = "",
    names: int = 1,
    texts: Collection[str] = (),
    numbers: Collection[str] = (),
    file: TextIO | None = None,
) -> None:
    """Print a table; where it is too wide, its columns stand in several blocks, each beside the rows' names.

    The first ``names`` columns and those in ``texts`` are texts, folded between words where they must be. The others,
    and ``numbers`` among the names, are numbers: set to the right and never folded or cut.
    """
    from rich.text import Text

    columns = []
    for position, name in enumerate(header):
        given = [row[position] for row in rows]
        cells = [_shown(cell if isinstance(cell, Text) else Text(cell), file or sys.stdout) for cell in given]
        is_text = (position < names or name in texts) and name not in numbers
        columns.append(_Column(Text(name), cells, is_text, "cyan" if position < names else ""))
    if title:
        say(title, "bold", file=file)
    width = console().width
    least = [column.least(width) for column in columns]
    for number, positions in enumerate(split_columns(least, names, width)):
        if number:
            put(file=file)
        block = [columns[one] for one in positions]
        widths = share_width([least[one] for one in positions], [column.natural for column in block], width)
        _draw(block, widths, file)


def split_columns(least: Sequence[int], names: int, width: int) -> list[list[int]]:
    """Return the positions of each block's columns: the first ``names`` in every block, the others in one each.

    ``least`` are the columns' smallest widths. No block is wider than ``width`` unless it holds a single other column.

    >>> split_columns([8, 9, 9, 9], 1, 30)
    [[0, 1, 2], [0, 3]]
    """
    leading = list(range(names))
    blocks: list[list[int]] = []
    for position in range(names, len(least)):
        if not blocks or (len(blocks[-1]) > names and _total([least[one] for one in (*blocks[-1], position)]) > width):
            blocks.append([*leading])
        blocks[-1].append(position)
    return blocks or [leading]


def share_width(least: Sequence[int], natural: Sequence[int], width: int) -> list[int]:
    """Return the columns' widths, from ``least`` to ``natural``: what is left widens the narrowest that need it.

    >>> share_width([4, 20, 20], [4, 25, 60], 80)
    [4, 25, 47]
    """
    shared = list(least)
    for _ in range(width - _total(shared)):
        folded = [one for one, given in enumerate(shared) if given < natural[one]]
        if not folded:
            break
        shared[min(folded, key=shared.__getitem__)] += 1
    return shared


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


@dataclass(frozen=True, slots=True)
class _Column:
    title: Text
    cells: Sequence[Text]
    is_text: bool
    style: str

    @property
    def natural(self) -> int:
        """Return the width in which nothing is folded."""
        return max(cell.cell_len for cell in (self.title, *self.cells))

    def least(self, width: int) -> int:
        """Return the smallest width: a number's own, or that of a text's words, half the window at most."""
        if not self.is_text:
            return self.natural
        from rich.cells import cell_len

        words = max(cell_len(word) for cell in (self.title, *self.cells) for word in (cell.plain.split() or [""]))
        return min(self.natural, max(min(READABLE, width // 4), min(words, width // 2)))


def _shown(cell: Text, stream: TextIO) -> Text:
    """Return ``cell`` with its style, in signs that ``stream`` can write."""
    from rich.text import Text

    return Text(for_stream(cell.plain, stream), cell.style) if not cell.spans else cell


def _draw(columns: Sequence[_Column], widths: Sequence[int], file: TextIO | None) -> None:
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if column.is_text else "right"
        drawn.add_column(column.title, justify=justify, style=column.style, width=width, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        drawn.add_row(*row)
    # A window narrower than a name and one number: the terminal folds the line, which misleads less than a cut number.
    console(_total(widths), file).print(drawn)
