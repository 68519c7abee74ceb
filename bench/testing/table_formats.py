"""A table format under its checks: given made-up tables in the shape of ``bench table --format json``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bench.contracts import TableFormat
from bench.options import OptionValue
from bench.plugins import Origin
from bench.show import rendering
from bench.show.tables import Cell, Column, Row
from bench.show.tables import Table as Shown
from bench.testing.checks import Table, require
from bench.testing.common import add_common

COLUMNS = (Column("C-F1", "C-F1"), Column("mAP", "mAP"))
PLAIN = Shown(
    "made-up (top2@1)",
    COLUMNS,
    (
        Row("bce", "bce", (0, 1), {"C-F1": Cell(50.25, 0.5, 2), "mAP": Cell(61.0, 0.25, 2)}, (), ("a" * 16, "b" * 16)),
        Row("cnn-rnn", "cnn-rnn", (0, 1), {"C-F1": Cell(60.0, 0.5, 2), "mAP": Cell(59.5, 0.1, 2)}, (), ("c" * 16,)),
    ),
    ("± is the sample standard deviation over seeds",),
)
OTHER = Shown("another set", COLUMNS[1:], (Row("softmax", "softmax", (0,), {"mAP": Cell(1.5, 0.0, 1)}, (), ()),), ())
ONE_SEED = replace(PLAIN, rows=(Row("bce", "bce", (0,), {"C-F1": Cell(50.25, None, 1)}, (), ("a" * 16,)),))
FAILED = replace(PLAIN, rows=(*PLAIN.rows, Row("own", "own", (), {}, ("seed 0 failed: train: it broke",), ())))
ODD = replace(
    PLAIN,
    title="odd | \\ & <title>",
    rows=(replace(PLAIN.rows[0], label="m (note=\N{SNOWMAN} 50 % | 'a' \"b\" {c})"),),
)


@dataclass(slots=True)
class TableFormatPart:
    """One table format under its checks."""

    spec: TableFormat
    origin: Origin | str
    kind: str = "table format"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the format's name."""
        return self.spec.name

    def text(self, *tables: Shown) -> str:
        """Return the text of ``tables``, at first those of the plainest kind."""
        found = self.spec.render([rendering.as_json(table) for table in tables or (PLAIN,)])
        require(isinstance(found, str), f"render gave a {type(found).__name__}, must be text")
        return found

    def require_rows(self, *tables: Shown) -> None:
        """Raise ``PluginError`` where the text of ``tables`` lacks the name of a row."""
        text = self.text(*tables)
        lacking = [row.label for table in tables for row in table.rows if row.label not in text]
        require(not lacking, f"rows are absent: {', '.join(lacking)}")


TABLE_FORMAT_CHECKS = Table()
check = TABLE_FORMAT_CHECKS.check


@check("of a table it gives text with the name of each row", remedy="render returns text; each row has a 'label'")
def gives_text(part: TableFormatPart) -> str:  # noqa: D103 - the claim says it, here and below
    part.require_rows(PLAIN)
    return part.text().splitlines()[0]


@check("the same table gives the same text", remedy="no clock and no draw", needs=["gives_text"])
def says_the_same_again(part: TableFormatPart) -> None:  # noqa: D103
    first, again = part.text(), part.text()
    require(first == again, "another text")


@check(
    "several tables with columns of their own are shown, each row",
    remedy="a bench table of all runs is one for each data set: loop over tables, and over each one's 'columns'",
    needs=["gives_text"],
)
def several_tables(part: TableFormatPart) -> None:  # noqa: D103
    part.require_rows(PLAIN, OTHER)


@check(
    "a single seed has no spread, and a column may be undefined in a row",
    remedy="'spread' is None there; row['cells'].get(name)",
    needs=["gives_text"],
)
def undefined_cells(part: TableFormatPart) -> None:  # noqa: D103
    part.require_rows(ONE_SEED)


@check(
    "a row without any number, whose runs failed, is shown",
    remedy="its 'cells' are empty, and 'failures' says why",
    needs=["gives_text", "undefined_cells"],
)
def failed_rows(part: TableFormatPart) -> None:  # noqa: D103
    part.require_rows(FAILED)


@check("names may hold any sign", remedy="escape what your format gives a meaning", needs=["gives_text"])
def odd_names_are_taken(part: TableFormatPart) -> None:  # noqa: D103
    require(part.text(ODD).strip(), "the text is empty")


add_common(TABLE_FORMAT_CHECKS, TableFormatPart.text, "gives_text")


@check("what it costs is told and not judged", remedy="", needs=["gives_text"])
def cost(part: TableFormatPart) -> str:  # noqa: D103
    started = time.perf_counter()
    part.text(*[PLAIN] * 100)
    return f"100 tables in {1000 * (time.perf_counter() - started):.0f} ms"
