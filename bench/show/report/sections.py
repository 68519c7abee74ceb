"""Sections that plugins add to a report: tables of texts and numbers, set by the page like its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import plugins
from bench.contracts import TrackedTable
from bench.errors import BenchError, PluginError
from bench.guard import calling, reason
from bench.show import trials
from bench.show.report import chosen_thresholds
from bench.show.report.gather import Group, finished


@dataclass(frozen=True, slots=True)
class Section:
    """What a plugin says of one group of runs; ``failure`` stands there in its tables' place."""

    title: str
    tables: tuple[TrackedTable, ...] = ()
    failure: str = ""


def of_group(group: Group) -> list[Section]:
    """Return the runs' trials, and the plugins' sections on ``group``; one that fails says so, and the rest stands."""
    folders = [run.path for run in group.runs if run.measures is not None]
    sections = [Section("Trials", tuple(tried))] if (tried := trials.section(group.runs)) else []
    sections += _thresholds(group)
    for name, found in plugins.installed().all(plugins.REPORT_SECTIONS).items():
        try:
            with calling(found.origin, "report section", name, seed=0):
                tables = tuple(found.spec.tables(folders)) if folders else ()
                for table in tables:
                    check_table(table)
        except BenchError as error:
            sections.append(Section(found.spec.summary, failure=reason(error)))
            continue
        if tables:
            sections.append(Section(found.spec.summary, tables))
    return sections


def _thresholds(group: Group) -> list[Section]:
    """Return the thresholds that were chosen for goals, of each row's first run; one that cannot be read says so."""
    firsts = {label: folders[0] for label, folders in finished(group.table, group.runs).items()}
    try:
        found = tuple(
            chosen_thresholds.table(name, folder)
            for name, folder in firsts.items()
            if chosen_thresholds.has_goals(folder)
        )
    except BenchError as error:
        return [Section("Thresholds for goals", failure=reason(error))]
    return [Section("Thresholds for goals", found)] if found else []


def check_table(table: object) -> None:
    """Raise ``PluginError`` for what a report cannot show as a table."""
    if not isinstance(table, TrackedTable):
        raise PluginError(f"it gave a {type(table).__name__}, must give bench.TrackedTable")
    if any(len(row) != len(table.header) for row in table.rows):
        raise PluginError(f"table '{table.title}' has rows of another length than its header")


def shown(sections: Sequence[Section]) -> list[Mapping[str, object]]:
    """Return sections as the page holds them: every value a text."""
    return [
        {
            "title": section.title,
            "failure": section.failure,
            "tables": [
                {
                    "title": table.title,
                    "header": table.header,
                    "rows": [["" if cell is None else _text(cell) for cell in row] for row in table.rows],
                    "notes": table.notes,
                }
                for table in section.tables
            ],
        }
        for section in sections
    ]


def _text(cell: str | float) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
