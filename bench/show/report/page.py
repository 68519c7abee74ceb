"""The report as one HTML page that needs no network: styles, script, pictures and numbers are in it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import __version__
from bench.contracts import Metric
from bench.evaluation import metric_table
from bench.show import plugin_metrics
from bench.show.figures import Figure, svg
from bench.show.figures.base import INK
from bench.show.figures.base import table as numbers
from bench.show.paper_tables import Ledger, grid
from bench.show.published import source
from bench.show.report import sections, views
from bench.show.report.contents import Contents
from bench.show.report.gather import Group
from bench.show.report.illustrations import ALL
from bench.show.report.provenance import provenance
from bench.show.report.result_table import result_table
from bench.show.report.side_folder import Pictures
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


def render(
    groups: Sequence[Group],
    drawn: Drawings,
    ledgers: Sequence[Ledger],
    title: str,
    contents: Sequence[Contents] = (),
    *,
    pictures: Pictures | None = None,
) -> str:
    """Return the page. The same runs give the same page, byte for byte.

    ``pictures`` are told which of them the page shows, and say where; ``None``: all are in the page itself.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here, pictures = Path(__file__).parent, pictures or Pictures("")
    environment = Environment(
        loader=FileSystemLoader(here / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    contents = contents or [Contents()] * len(groups)
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        style=_raw((here / "page.css").read_text(encoding="utf-8")),
        script=_raw((here / "page.js").read_text(encoding="utf-8")),
        groups=[
            _group(number, group, drawn[number], contents[number], pictures) for number, group in enumerate(groups)
        ],
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


def _group(
    number: int,
    group: Group,
    figures: Mapping[str, Sequence[Mapping[str, Any]]],
    found: Contents,
    pictures: Pictures,
) -> dict[str, Any]:
    pictures.embedded = 0
    own = {owner: drawn for owner, drawn in figures.items() if owner != ALL}
    return {
        "id": f"group{number}",
        "name": group.heading or group.name,
        "main": group.main,
        "table": result_table(group.table, group.intervals, group.main),
        "notes": group.notes,
        "resamples": group.resamples,
        "shared_figures": figures.get(ALL, ()),
        "own_figures": own,
        "own_count": sum(map(len, own.values())),
        **views.of(found, pictures),
        "remarks": group.remarks,
        "sections": sections.shown(sections.of_group(group)),
        "runs": [provenance(run) for run in group.runs],
    }


def _plain(value: Any) -> Any:
    """Return what a page shows of ``value``: a user's text without what steers or hides."""
    return plain(value) if type(value) is str else value


def _figure(identity: str, figure: Figure) -> dict[str, Any]:
    # A name of its own for each drawing on the page, or the parts of one would be taken for another's.
    own = Figure(identity, figure.title, figure.caption, figure.numbers, figure.drawing)
    label = html.escape(f"{figure.title}. {figure.caption}", quote=True)
    drawing = svg(own).replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    drawing = drawing.replace(INK, "currentColor")  # one grey for light and dark is faint on both
    return {
        "title": figure.title,
        "caption": figure.caption,
        "svg": _raw(plain(drawing)),
        "file": f"{figure.name}.csv",
        "csv": "data:text/csv;charset=utf-8," + quote(numbers(figure)),
    }
