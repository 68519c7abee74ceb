"""The table of a group as the page holds it: texts, values to sort by, error bars, what a pointer is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.evaluation.bootstrap import Interval
from bench.show.rendering import shown
from bench.show.tables import TIE, Column, Row, Table


def result_table(table: Table, intervals: Mapping[str, Mapping[str, Interval]], main: str) -> dict[str, Any]:
    """Return columns and rows; ``main`` is the column by which the rows are ordered."""
    spans = {}
    for column in table.columns:
        ends = [row[column.key] for row in intervals.values() if column.key in row]
        spans[column.key] = (min(one.low for one in ends), max(one.high for one in ends)) if ends else None
    rows = []
    for row in table.rows:
        cells = []
        for column in table.columns:
            interval = intervals.get(row.label, {}).get(column.key)
            cell = row.cells.get(column.name)
            tied = table.is_tied(row, column)
            cells.append(
                {
                    "text": shown(cell, column) + (f" {TIE}" if tied else ""),
                    "sort": "" if cell is None else cell.mean,
                    "best": table.is_best(row, column),
                    "bar": _bar(interval, spans[column.key]),
                    "hover": _hover(row, column, interval, tied),
                }
            )
        rows.append({"label": row.label, "cells": cells, "seeds": len(row.seeds), "failures": row.failures})
    columns = [{"name": column.name, "sorted": column.name == main} for column in table.columns]
    return {"title": table.title, "columns": columns, "rows": rows}


def _bar(interval: Interval | None, span: tuple[float, float] | None) -> dict[str, str] | None:
    """Return where the error bar starts, how wide it is and where its value lies, in percent of the column's span."""
    if interval is None or span is None or not span[1] > span[0]:  # nor where the metric is undefined
        return None
    low, high = span
    left, value, right = (100 * (x - low) / (high - low) for x in (interval.low, interval.value, interval.high))
    return {"left": f"{left:.1f}", "width": f"{max(right - left, 1):.1f}", "value": f"{value:.1f}"}


def _hover(row: Row, column: Column, interval: Interval | None, tied: bool) -> str:
    cell = row.cells.get(column.name)
    if cell is None:
        absent = "not measured then" if column.name in row.unmeasured else f"no {column.name}"
        return f"{row.label}: {absent}"
    mean = f"{cell.mean:.{column.digits + 1}f}, mean of {cell.n} seed{'s' * (cell.n > 1)}"
    parts = [f"{row.label}, {column.name} {mean}"]
    if interval:
        low, high = (f"{column.scale * end:.{column.digits}f}" for end in (interval.low, interval.high))
        parts.append(f"95 % over test images: {low} to {high}")
    if tied:
        parts.append("not distinguishable from the best")
    return "; ".join(parts)
