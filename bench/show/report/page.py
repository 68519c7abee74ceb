"""The report as one HTML page that needs no network: styles, script, pictures and numbers are in it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import __version__
from bench.contracts import Metric
from bench.evaluation import metric_table
from bench.evaluation.bootstrap import Interval
from bench.show import plugin_metrics
from bench.show.figures import Figure, svg
from bench.show.figures.base import table as numbers
from bench.show.paper_tables import Ledger, grid
from bench.show.published import source
from bench.show.rendering import shown
from bench.show.report import sections
from bench.show.report.gather import Group
from bench.show.tables import TIE, Column, Row, Table
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary
from bench.system.text import plain

Drawings = Sequence[Mapping[str, Sequence[Mapping[str, Any]]]]
"""The figures of each group by their owner, as the page holds them."""


def drawings(groups: Sequence[Group]) -> Drawings:
    """Return the figures of ``groups``, drawn: most of a page's time."""
    drawn: list[dict[str, list[dict[str, Any]]]] = []
    for number, group in enumerate(groups):
        drawn.append({})
        for place, (owner, figure) in enumerate(group.figures):
            drawn[-1].setdefault(owner, []).append(_figure(f"g{number}f{place}", figure))
    return drawn


def render(groups: Sequence[Group], drawn: Drawings, ledgers: Sequence[Ledger], title: str) -> str:
    """Return the page. The same runs give the same page, byte for byte."""
    from jinja2 import Environment, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_plain
    )
    environment.filters["picture"] = _picture
    template = environment.from_string((here / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        version=__version__,
        style=_raw((here / "page.css").read_text(encoding="utf-8")),
        script=_raw((here / "page.js").read_text(encoding="utf-8")),
        groups=[_group(number, group, drawn[number]) for number, group in enumerate(groups)],
        ledgers=[grid(ledger, cited=False) for ledger in ledgers],
        source=source(),
        meanings={metric.heading: metric.meaning for metric in metrics_shown()},
    )


def metrics_shown() -> list[Metric]:
    """Return the metrics that stand in every table, the plugins' last."""
    added = [found.spec for found in plugin_metrics.added().values()]
    return [*metric_table.with_columns(), *(metric for metric in added if metric.column)]


def _raw(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # our own files and drawings, in which names were escaped


def _picture(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def _group(number: int, group: Group, figures: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    used = sorted({label for card in group.cards for label in card.truth})
    return {
        "id": f"group{number}",
        "name": group.name,
        "table": _table(group.table, group.intervals),
        "notes": group.table.notes,
        "resamples": group.resamples,
        "figures": figures,
        "cards": group.cards,
        "labels": used,
        "remarks": group.remarks,
        "sections": sections.shown(sections.of_group(group)),
        "runs": [_provenance(run) for run in group.runs],
    }


def _table(table: Table, intervals: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
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
    return {"title": table.title, "columns": [column.name for column in table.columns], "rows": rows}


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


def _plain(value: Any) -> Any:
    """Return what a page shows of ``value``: a user's text without what steers or hides."""
    return plain(value) if type(value) is str else value


def _figure(identity: str, figure: Figure) -> dict[str, Any]:
    # A name of its own for each drawing on the page, or the parts of one would be taken for another's.
    own = Figure(identity, figure.title, figure.caption, figure.numbers, figure.drawing)
    label = html.escape(f"{figure.title}. {figure.caption}", quote=True)
    drawing = svg(own).replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return {
        "title": figure.title,
        "caption": figure.caption,
        "svg": _raw(plain(drawing)),
        "file": f"{figure.name}.csv",
        "csv": "data:text/csv;charset=utf-8," + quote(numbers(figure)),
    }


def _provenance(run: RunSummary) -> dict[str, Any]:
    """Return what a reader checks: key, state, config and the machine; no paths."""
    record: dict[str, Any] = {"config": run.config}
    if run.provenance is not None:
        record["merged"] = asdict(run.provenance)
    folder = RunFolder(run.path)
    if run.measures is not None and folder.has("environment"):
        record["environment"] = folder.read_environment()
    if run.measures is not None and folder.has("timings"):
        record["seconds"] = folder.read_timings().get("seconds", {})
    return {
        "key": run.key,
        "model": run.config["model"]["name"],
        "seed": run.config.get("seed", "?"),
        "state": run.state,
        "reason": run.reason,
        "record": json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True),
    }
