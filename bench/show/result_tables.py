"""Result tables as commands print them: in blocks that fit the window, or in a format for machines and papers."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from bench.show.console import put, put_raw

if TYPE_CHECKING:
    from bench.show.rendering import Grid
    from bench.show.tables import Table


def print_tables(built: Sequence[Table], style: str) -> None:
    """Print tables in ``style``; on a terminal their remarks follow each one."""
    from bench.show import rendering

    if style == "terminal":
        print_grids([rendering.grid(one) for one in built])
    else:
        put_raw(rendering.render(built, style))


def plain_text(printed: Grid) -> str:
    """Return what ``print_grids`` shows of one table, without colours."""
    buffer = io.StringIO()
    print_grids([printed], file=buffer)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def print_grids(grids: Iterable[Grid], texts: Collection[str] = (), file: TextIO | None = None) -> None:
    """Print tables for people, a blank line between them; ``texts`` are the columns that hold no numbers."""
    from rich.text import Text

    from bench.show.console import print_table, say

    for number, one in enumerate(grids):
        if number:
            put(file=file)
        rows = [[Text(cell.text, style="bold" if cell.bold else "") for cell in row] for row in one.rows]
        print_table(one.header, rows, title=one.title, texts=texts, file=file)
        if one.remarks:
            put(file=file)
        for remark in one.remarks:
            say(remark, "dim", file=file)
