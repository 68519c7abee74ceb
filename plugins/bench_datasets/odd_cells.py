"""Cells of labels' columns that mean neither yes nor no: marks that need a meaning, or columns that are no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench import DataError
from bench_datasets.cells import ALLOWED, NUMBER, TICKS, canonical, with_meaning
from bench_datasets.label_names import is_nothing
from bench_datasets.part_words import is_of_parts, may_be_of_parts, tell_parts_apart
from bench_datasets.table_columns import numbers_rows
from bench_datasets.typed import as_typed, typed
from bench_datasets.valued_names import SHARE, WORDS

if TYPE_CHECKING:
    from bench_datasets.tables import Layout

FEW = 3
"""Different cells beside 0 and 1 that may be marks; grades, ages and names are more."""

KEPT = 20
"""Different cells of a column that are kept for a message."""

LONG = 40
"""Letters of a cell that is shown, and of one that may be given a meaning."""

OddCells = dict[str, dict[str, str]]
"""Columns in the order in which their first odd cell stands, each with such cells and where they stand first."""


def note(odd: OddCells, column: str, cell: str, place: str) -> None:
    """Add a cell to ``odd``, unless there are enough of its column."""
    cells = odd.setdefault(column, {})
    if len(cells) < KEPT:
        cells.setdefault(cell, place)


def refusal(odd: OddCells, layout: Layout, known: Sequence[str], *, split: bool) -> DataError:
    """Return what is said of a table with ``odd`` cells in its columns of labels, ``known``: all that is to be typed.

    Columns of marks, as -1 and x, need a meaning; all others are named at once, as what is no label, but for those that
    may tell parts apart, unless a ``split`` column is read.
    """
    name, cells = next(iter(odd.items()))
    cell, place = next(iter(cells.items()))
    mark = _are_marks(name, odd)
    parts = [other for other in odd if not split and (may_be_of_parts(other) or tell_parts_apart(odd[other]))]
    others = [other for other in known if other in odd and other not in parts and not _are_marks(other, odd)]
    others = [name] if mark or name in parts else others
    where = f"where {'it is no label' if len(others) == 1 else 'they are no labels'}"
    left = [column for column in layout.columns if column not in others]
    out = [f"{typed('label_columns', *left)} {where}"] if left else []
    every = {*others} == {*known}  # without which no label is left
    if not layout.columns:
        out = [] if every else [f"{typed('not_labels', *layout.others, *others)} {where}"]
    if name in parts and not layout.columns:
        out = [f"{as_typed('split_column', name)} where it tells parts apart", *out]
    # A column of parts or of rows' numbers is asked about again, whatever its cells mean.
    no_label = not layout.columns and not layout.fixed and (numbers_rows(name) or is_of_parts(name))
    short = len(cells) <= FEW and max(map(len, cells)) <= LONG and not no_label
    meaning = [with_meaning(cells, layout.values)] if short else []
    remedies = meaning + out if mark else out + meaning
    if layout.fixed:  # no option leaves a column out
        remedies = meaning
    elif every and not mark and (hints := _of_all_columns(odd, others, place)):
        remedies = [*hints, *out]
    if SHARE.fullmatch(cell):  # of people, or scores, of which no value means yes
        remedies = ["1 where a share or score is high enough, else 0, in the table", *out]
    remedies = remedies or ["0 or 1 in each cell of a label's column"]
    return DataError(
        f"{place}: column '{name}' holds '{cell[:LONG]}', allowed: {ALLOWED}. Try: {', or '.join(remedies)}"
    )


def _of_all_columns(odd: OddCells, names: Sequence[str], place: str) -> list[str]:
    """Return what to do where no column of a table is of 0 and 1 alone: all hold classes, or count what is there."""
    cells = {name: next((cell for cell, at in odd[name].items() if at == place), "...") for name in names}
    values = sorted({cell for found in odd.values() for cell in found}, key=canonical)
    numbers = any(map(NUMBER.fullmatch, values))
    if numbers and max(map(len, map(canonical, values))) > 1:
        return []
    one = ";".join([f"{name} {cell}" for name, cell in cells.items()] if numbers else cells.values())
    counts = [f"{typed('values', *(f'{value}:1' for value in values))} where they count what is there"] * numbers
    alone = f"{as_typed('labels_column', names[0])} where each is a label" if len(names) == 1 else ""
    return [*counts, alone or f"where they are classes, all names in one cell, as {one[:LONG]}"]


def _are_marks(name: str, odd: OddCells) -> bool:
    """Return whether a column's odd cells may mean yes or no: marks, or a few words of other columns, too."""
    cells = odd[name]
    if len(cells) > FEW or numbers_rows(name) or is_of_parts(name) or tell_parts_apart(cells):
        return False
    elsewhere = {cell for other, found in odd.items() if other != name for cell in found}
    return all(is_mark(cell) or (cell in elsewhere and not NUMBER.fullmatch(cell)) for cell in cells)


def is_mark(cell: str) -> bool:
    """Return whether a cell may mean yes or no: a number below zero or of nines, a tick, or a word for one of them.

    >>> [is_mark(cell) for cell in ("-1.0", "99", "x", "nan", "2", "31", "1952", "Male")]
    [True, True, True, True, False, False, False, False]
    """
    number = NUMBER.fullmatch(cell)
    of_mark = number is not None and ((number[1] == "-" and len(number[2]) == 1) or {*number[2]} == {"9"})
    return of_mark or is_nothing(cell) or cell.lower() in WORDS | TICKS
