"""A table as text for a terminal, Markdown, LaTeX (booktabs), CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bench.tables import Cell, Column, Row, Table

if TYPE_CHECKING:
    import rich.table

FORMATS = ("terminal", "markdown", "latex", "csv", "json")


def render(tables: Sequence[Table], style: str) -> str:
    """Return ``tables`` as text in a format of ``FORMATS`` other than terminal."""
    if style == "json":
        return json.dumps([as_json(table) for table in tables], indent=1, ensure_ascii=False) + "\n"
    if style == "csv":
        return _csv(tables)
    one: Callable[[Table], str] = {"markdown": markdown, "latex": latex}[style]
    return "\n".join(one(table) for table in tables)


def shown(cell: Cell | None, column: Column, plus_minus: str = " ±") -> str:
    """Return a cell as printed: the mean, and the spread where there are several seeds.

    >>> shown(Cell(60.44, 0.26, 3), Column("C-F1", "C-F1"))
    '60.4 ±0.3'
    """
    if cell is None:
        return "-"
    spread = "" if cell.spread is None else f"{plus_minus}{cell.spread:.{column.digits}f}"
    return f"{cell.mean:.{column.digits}f}{spread}"


def terminal(table: Table) -> rich.table.Table:
    """Return the table for ``rich.console.Console.print``; the best value of a column is bold."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    drawn.add_column("model", style="cyan", no_wrap=True)
    for column in table.columns:
        drawn.add_column(column.name, justify="right", no_wrap=True)
    drawn.add_column("seeds", justify="right")
    for row in table.rows:
        cells = [
            Text(shown(row.cells.get(column.name), column), style="bold" if table.is_best(row, column) else "")
            for column in table.columns
        ]
        drawn.add_row(Text(row.label), *cells, Text(str(len(row.seeds))))
    return drawn


def remarks(table: Table) -> list[str]:
    """Return what is printed below a table: why rows have no numbers, then the notes."""
    reasons = [f"{row.label}: {failure}" for row in table.rows if not row.cells for failure in row.failures]
    return [*reasons, *table.notes]


def markdown(table: Table) -> str:
    """Return the table in Markdown; a failed row carries its reason in its first column."""
    header = ["model", *(column.name for column in table.columns), "seeds"]
    lines = [f"**{_escape_pipes(table.title)}**", "", _pipes(header), _pipes(["---", *["---:"] * (len(header) - 1)])]
    for row in table.rows:
        cells = []
        for column in table.columns:
            text = shown(row.cells.get(column.name), column)
            cells.append(f"**{text}**" if table.is_best(row, column) else text)
        lines.append(_pipes([_escape_pipes(_with_reason(row)), *cells, str(len(row.seeds))]))
    lines += ["", *(f"* {note}" for note in table.notes)] if table.notes else []
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """Return a LaTeX ``table`` with booktabs rules; notes go below it in small type."""
    header = " & ".join([_tex(name) for name in ("model", *(column.name for column in table.columns), "seeds")])
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_tex(table.title)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(table.columns) + 1)}}}",
        "\\toprule",
        f"{header} \\\\",
        "\\midrule",
    ]
    for row in table.rows:
        cells = []
        for column in table.columns:
            text = shown(row.cells.get(column.name), column, " $\\pm$")
            cells.append(f"\\textbf{{{text}}}" if table.is_best(row, column) else text)
        lines.append(" & ".join([_tex(_with_reason(row)), *cells, str(len(row.seeds))]) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\smallskip{{\\footnotesize {_tex('; '.join(table.notes))}}}"] if table.notes else []
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """Return the table as JSON: values unrounded, in the units shown (percent, or labels per image)."""
    return {
        "title": table.title,
        "columns": [column.name for column in table.columns],
        "rows": [
            {
                "label": row.label,
                "model": row.model,
                "seeds": row.seeds,
                "runs": row.keys,
                "cells": {
                    name: {"mean": cell.mean, "spread": cell.spread, "n": cell.n} for name, cell in row.cells.items()
                },
                "failures": row.failures,
            }
            for row in table.rows
        ],
        "notes": table.notes,
    }


def _csv(tables: Sequence[Table]) -> str:
    """Return one CSV of all tables, whose title is the first column; a spread is empty for a single seed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = list(dict.fromkeys(column.name for table in tables for column in table.columns))
    spreads = [f"{name} sd" for name in columns]
    writer.writerow(["table", "model", "seeds", *columns, *spreads, "failures"])
    for table in tables:
        for row in table.rows:
            cells = [row.cells.get(name) for name in columns]
            means = [cell.mean if cell else "" for cell in cells]
            deviations = [cell.spread if cell and cell.spread is not None else "" for cell in cells]
            seeds = " ".join(map(str, row.seeds))
            writer.writerow([table.title, row.label, seeds, *means, *deviations, "; ".join(row.failures)])
    return buffer.getvalue()


def _with_reason(row: Row) -> str:
    return row.label if row.cells else f"{row.label} ({'; '.join(row.failures)})"


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape_pipes(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


TEX_SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(TEX_SPECIAL.get(character, character) for character in text)
