"""A report section under its checks: told of made-up runs, as the report tells it of stored ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.contracts import ReportSection, TrackedTable
from bench.options import OptionValue
from bench.plugins import Origin
from bench.show.report.sections import check_table
from bench.system.files import digest
from bench.testing.checks import Table, require
from bench.testing.common import add_common
from bench.testing.made_up_runs import write_odd_runs, write_runs


@dataclass(slots=True)
class ReportSectionPart:
    """One report section under its checks."""

    spec: ReportSection
    origin: Origin | str
    kind: str = "report section"
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    folders: tuple[str, ...] = ("runs",)

    @property
    def name(self) -> str:
        """Return the section's name."""
        return self.spec.name

    def tables(self, write: Callable[[Path], list[Path]] = write_runs, kept: slice = slice(None)) -> list[TrackedTable]:
        """Return what the section says of the runs that ``write`` stores, those ``kept``; each table is checked."""
        found = self.spec.tables(write(Path("runs"))[kept])
        require(isinstance(found, Sequence), f"tables gave a {type(found).__name__}, must give a list")
        for table in found:
            check_table(table)
        return list(found)


REPORT_SECTION_CHECKS = Table()
check = REPORT_SECTION_CHECKS.check


@check(
    "of runs that compare it gives tables whose rows are as long as their header",
    remedy="return [bench.TrackedTable(key, title, header, rows)], each row a tuple; no table where there is nothing",
)
def gives_tables(part: ReportSectionPart) -> str:  # noqa: D103 - the claim says it, here and below
    found = part.tables()
    return "; ".join(f"'{table.title}', {len(table.rows)} rows" for table in found) or "no table"


@check(
    "cells are texts, numbers or None",
    remedy="float(value) of NumPy's numbers, None of what is undefined",
    needs=["gives_tables"],
)
def cells_can_be_shown(part: ReportSectionPart) -> None:  # noqa: D103
    for table in part.tables():
        for cell in [*table.header, *(cell for row in table.rows for cell in row)]:
            fits = cell is None or isinstance(cell, str | int | float)
            require(fits, f"'{table.title}' holds a {type(cell).__name__}: {cell!r}")


@check("told of the same runs again, it says the same", remedy="draw nothing, and sort sets", needs=["gives_tables"])
def says_the_same_again(part: ReportSectionPart) -> None:  # noqa: D103
    first, again = part.tables(), part.tables()
    require(repr(first) == repr(again), "it gives other tables")


@check(
    "one run is enough: of a model of scores, and of one that emits sequences",
    remedy="run.label_sets is None for a model of scores; compare runs only where there are two",
    needs=["gives_tables"],
)
def one_run_is_enough(part: ReportSectionPart) -> None:  # noqa: D103
    for number in (0, 2):
        part.tables(kept=slice(number, number + 1))


@check(
    "images without labels, a label without images, undefined measures, ignored pairs and odd names are taken",
    remedy="an undefined value is NaN: None in its cell; divide by no count that may be 0",
    needs=["gives_tables"],
)
def odd_runs_are_taken(part: ReportSectionPart) -> None:  # noqa: D103
    part.tables(write_odd_runs)


@check("it changes no run", remedy="what you keep, keep in memory: a changed run is damaged", needs=["gives_tables"])
def leaves_runs_alone(part: ReportSectionPart) -> None:  # noqa: D103
    paths = write_runs(Path("runs"))
    before = _content(paths)
    part.spec.tables(paths)
    after = _content(paths)
    changed = sorted(str(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    require(not changed, f"it changed {', '.join(changed[:3])}")


def _content(paths: Sequence[Path]) -> dict[str, str]:
    files = [file for path in paths for file in path.rglob("*") if file.is_file()]
    return {f"{file.parent.name}/{file.name}": digest(file.read_bytes()) for file in files}


add_common(REPORT_SECTION_CHECKS, ReportSectionPart.tables, "gives_tables")


@check("what it costs is told and not judged", remedy="", needs=["gives_tables"])
def cost(part: ReportSectionPart) -> str:  # noqa: D103
    paths = write_runs(Path("runs"))
    started = time.perf_counter()
    part.spec.tables(paths)
    return f"{len(paths)} runs in {1000 * (time.perf_counter() - started):.0f} ms"
