"""A table as the texts of its cells, and as Markdown, LaTeX (booktabs), CSV or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import plugins
from bench.errors import PluginError, UsageError, unknown
from bench.evaluation.metric_table import by_name
from bench.evaluation.significance import Difference
from bench.guard import calling
from bench.show.csv_text import csv_text
from bench.show.markdown import markdown_table, markdown_text
from bench.show.tables import TIE, Cell, Column, Row, Table
from bench.store.sealed import to_json
from bench.system.text import plain


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one cell, and whether it is set in bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table ready to print: texts only. The first column is a name; the others are numbers, set to the right.

    ``remarks`` stand below it: notes, and why a row has no numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    remarks: tuple[str, ...] = ()


FORMATS = ("terminal", "markdown", "latex", "csv", "json")
"""The host's own; plugins add to them."""


def check_format(style: str, significance: bool = False) -> None:
    """Raise ``UsageError`` for a format that neither the host nor a plugin has, or that has no room for differences."""
    if significance and style == "csv":
        raise UsageError("--format csv: has no place for what --significance tells apart. Try: --format json")
    added = plugins.installed().all(plugins.TABLE_FORMATS)
    if style not in {*FORMATS, *added}:
        raise unknown("format of tables", style, [*FORMATS, *added], "Try: --format markdown")


def render(tables: Sequence[Table], style: str) -> str:
    """Return ``tables`` as text: ``style`` is markdown, latex, csv, json or a plugin's.

    Raises ``PluginError`` where a plugin's fails or gives no text.
    """
    if style not in FORMATS:
        found = plugins.installed().named(plugins.TABLE_FORMATS, style)
        with calling(found.origin, "table format", style):
            text = found.spec.render([as_json(table) for table in tables])
            if not isinstance(text, str):
                raise PluginError(f"render gave a {type(text).__name__}, must be text")
        return text
    if style == "json":
        return to_json([as_json(table) for table in tables])
    if style == "csv":
        return _csv(tables)
    one: Callable[[Grid], str] = {"markdown": markdown, "latex": latex}[style]
    grids = [
        part for table in tables for part in (grid(table), *([pairs(table.differences)] if table.differences else ()))
    ]
    return "\n".join(map(one, grids))


def grid(table: Table) -> Grid:
    """Return the texts of ``table``: means with spreads, the best of each column bold, reasons below."""
    rows = []
    for row in table.rows:
        cells = [
            Text(
                shown(row.cells.get(column.name), column) + (TIE if table.is_tied(row, column) else ""),
                table.is_best(row, column),
            )
            for column in table.columns
        ]
        rows.append((Text(row.label), *cells, Text(str(len(row.seeds)))))
    header = ("model", *(column.name for column in table.columns), "seeds")
    return Grid(table.title, header, tuple(rows), (*_reasons(table.rows), *table.notes))


def pairs(found: Sequence[Difference]) -> Grid:
    """Return the texts of the difference of every pair of rows with its interval."""
    rows = []
    for entry in found:
        metric = by_name()[entry.metric]
        low, value, high = (
            f"{metric.scale * part:+.{metric.digits}f}" for part in (entry.low, entry.value, entry.high)
        )
        mark = "" if entry.distinguishable else "not distinguishable"
        texts = (entry.metric, f"{entry.first} - {entry.second}", value, f"[{low}, {high}]", mark)
        rows.append(tuple(map(Text, texts)))
    resamples = found[0].resamples if found else 0
    title = f"pairwise differences, seeds averaged; 95 % of {resamples:,} paired resamples of the test images"
    if len(found) > 1:  # of pairs that are alike, one in twenty is told apart
        title += f", not corrected for comparing {len(found)} pairs"
    return Grid(title, ("metric", "models", "difference", "95 %", ""), tuple(rows))


def _reasons(rows: Sequence[Row]) -> list[str]:
    """Return why rows have no numbers. Rows that have some tell of a failed seed in the table's notes."""
    return [f"{row.label}: {failure}" for row in rows if not row.cells for failure in row.failures]


def shown(cell: Cell | None, column: Column) -> str:
    """Return a cell as printed: the mean, and the spread where there are several seeds.

    >>> shown(Cell(60.44, 0.26, 3), Column("C-F1", "C-F1"))
    '60.4 ±0.3'
    """
    if cell is None:
        return "-"
    spread = "" if cell.spread is None else f" ±{cell.spread:.{column.digits}f}"
    return f"{cell.mean:.{column.digits}f}{spread}"


def markdown(printed: Grid) -> str:
    """Return the table in Markdown, its remarks as a list below."""
    texts = [[(markdown_text(cell.text), cell.bold) for cell in row] for row in printed.rows]
    rows = [[f"**{text}**" if bold else text for text, bold in row] for row in texts]
    lines = [f"**{markdown_text(printed.title)}**", "", markdown_table(printed.header, rows)]
    lines += ["", *(f"* {markdown_text(remark)}" for remark in printed.remarks)] if printed.remarks else []
    return "\n".join(lines) + "\n"


def latex(printed: Grid) -> str:
    """Return a LaTeX ``table`` with booktabs rules; remarks go below it in small type."""
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_tex(printed.title)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(printed.header) - 1)}}}",
        "\\toprule",
        f"{' & '.join(map(_tex, printed.header))} \\\\",
        "\\midrule",
    ]
    for row in printed.rows:
        cells = [f"\\textbf{{{_tex(cell.text)}}}" if cell.bold else _tex(cell.text) for cell in row]
        lines.append(" & ".join(cells) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\smallskip{{\\footnotesize {_tex('; '.join(printed.remarks))}}}"] if printed.remarks else []
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """Return the table as JSON: values unrounded, in the units shown (percent, or labels per image).

    What is not distinguishable from the best is null where nothing was told apart, as without ``--significance``.
    """
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
                    column.name: {
                        "mean": cell.mean,
                        "spread": cell.spread,
                        "n": cell.n,
                        "not_distinguishable_from_best": (
                            table.is_tied(row, column) if column.key in table.resampled else None
                        ),
                    }
                    for column in table.columns
                    if (cell := row.cells.get(column.name))
                },
                "failures": row.failures,
                "unmeasured": row.unmeasured,
            }
            for row in table.rows
        ],
        "notes": table.notes,
        **({"differences": [_difference(entry) for entry in table.differences]} if table.differences else {}),
    }


def _difference(entry: Difference) -> dict[str, Any]:
    """Return a difference as JSON, in the units shown; a bound that no resample defines is null."""
    scale = by_name()[entry.metric].scale
    values = {name: scale * getattr(entry, name) for name in ("value", "low", "high")}
    told = {"metric": entry.metric, "first": entry.first, "second": entry.second, "resamples": entry.resamples}
    return {**told, **values, "distinguishable": entry.distinguishable}


def _csv(tables: Sequence[Table]) -> str:
    """Return one CSV of all tables, whose title is the first column; a spread is empty for a single seed."""
    columns = list(dict.fromkeys(column.name for table in tables for column in table.columns))
    spreads = [f"{name} sd" for name in columns]
    header = ["table", "model", "seeds", *columns, *spreads, "failures"]
    lines = []
    for table in tables:
        for row in table.rows:
            cells = [row.cells.get(name) for name in columns]
            means = [cell.mean if cell else "" for cell in cells]
            deviations = [cell.spread if cell and cell.spread is not None else "" for cell in cells]
            seeds = " ".join(map(str, row.seeds))
            lines.append([table.title, row.label, seeds, *means, *deviations, "; ".join(row.failures)])
    return csv_text(header, lines)


TEX_SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    # LaTeX's usual encoding of fonts has other signs at these places: precision>=0.9 would be read as another goal.
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "±": "$\\pm$",
    "≈": "$\\approx$",
    "†": "$\\dagger$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(TEX_SPECIAL.get(character, character) for character in plain(text))
