"""Tables of image paths and labels, as people keep them: one row an image, whatever the separators."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import DataError, FolderImages
from bench_datasets.cells import EMPTY, IGNORE, YES, choices, truth, unmarked
from bench_datasets.label_lists import read_text
from bench_datasets.label_names import KEEP_ODD, is_nothing, look
from bench_datasets.listing import find_file, has_image_ending, printable, why_absent
from bench_datasets.odd_cells import OddCells, note, refusal
from bench_datasets.part_words import is_of_parts, split_named
from bench_datasets.table_columns import (
    INDEX,
    SECOND,
    beside_labels,
    called_as,
    companions,
    is_more,
    numbers_rows,
    of_one_thing,
    says_state,
    tell_parts,
)
from bench_datasets.typed import as_typed, typed

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
EXCEL = re.compile(r"\"?sep=([^\w\s\"]|\t)\"?\r?\n")
"""A first line by which Excel is told what separates columns; it is no row."""

SPLIT_COLUMN = "split"
MOST_WORDS = 10_000
"""Different cells of a column that are looked at for words of parts."""

LARGEST_CELL = 1 << 24
MOST_COLUMNS = 100_000


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a table. ``labels``: the column of label names, or empty where each label is a column of 0 and 1.

    ``delimiter`` separates columns. Where each label is a column, those are ``columns``, or if there are none all but
    ``others``; ``values`` are meanings of cells beside 0 and 1.
    """

    path: str
    labels: str
    split: str
    delimiter: str
    columns: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    values: Mapping[str, int] = field(default_factory=dict)
    encoding: str = ""
    group: str = ""
    """The column that says which images belong together, if one was named."""
    fixed: bool = False
    """Whether no option names the columns of paths and labels."""
    keep: bool = False
    """Whether columns that may say something of labels, and are not read, are as they are meant."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image as listed: where, its labels as one text of a cell or as names, and the split's name if there is one.

    ``ignored`` are names of labels that count neither way. ``things`` say what an image is of, as its patient.
    """

    place: str
    path: str
    labels: str | tuple[str, ...]
    split: str = ""
    ignored: tuple[str, ...] = ()
    things: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read; ``columns`` are the names of the labels where each is a column.

    ``splits`` are columns that were not read and tell parts apart: by their words, or called so and of several words.
    """

    rows: list[Row]
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    """The columns that were not read and may say which images belong together."""


def read_table(path: Path, layout: Layout, remedy: str = "") -> Table:
    """Return the rows of the table and, where each label is a column, the label names in the columns' order.

    Raises ``DataError`` naming file and line for missing columns (ended by ``remedy`` if any), those that stand
    twice, rows of another length, a path that is empty or stands twice, and cells of labels that mean nothing.
    """
    text = read_text(path, "a table whose first line names its columns", layout.encoding)
    if not text.strip():
        raise DataError(f"{path}: empty file. Expected: a first line with column names, then one line for each image")
    delimiter = layout.delimiter
    if first := EXCEL.match(text):
        delimiter, text = first[1], f"\n{text[first.end() :]}"
    # Texts of lists of labels may be longer than what Python's reader allows by itself.
    csv.field_size_limit(LARGEST_CELL)
    # A quoted cell may hold line ends, so lines are counted by the reader.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, odd, strange = list[Row](), Counter[str](), OddCells()
    seen: dict[str, int] = {}
    unread: dict[str, set[str]] = {}
    try:
        filled = ([unmarked(cell) for cell in cells] for cells in reader if any(cell.strip() for cell in cells))
        # What spreadsheets break into lines is one name, which can be typed.
        columns = [" ".join(name.splitlines()) for name in next(filled, [])]
        place = f"{path} line {reader.line_num}"
        known, notes = _check_columns(columns, layout, place, remedy)
        read = {"", layout.path, layout.labels, layout.split, layout.group, *known}
        unread = {name: set() for name in columns if name not in read}
        things = (
            (layout.group,)
            if layout.group
            else tuple(name for name in unread if of_one_thing(name) or numbers_rows(name))
        )
        others = enumerate(columns) if not layout.keep else ()
        more = [n for n, name in others if name != layout.path and is_more(n, name, layout.labels)]
        for cells in reader:
            place = f"{path} line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise DataError(f"{place}: {_other_length(cells, columns)}")
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
            row |= {name: unmarked(row[name]) for name in (layout.path, layout.labels) if name}
            if not row[layout.path]:
                raise DataError(f"{place}: the column '{layout.path}' is empty")
            image = posixpath.normpath(row[layout.path])
            if image in seen:
                raise DataError(
                    f"{place}: image {image} stands twice, first in line {seen[image]}."
                    " Expected: one line for each image, with all its labels, as lines of docs/your-data.md make them"
                )
            seen[image] = reader.line_num
            split = row[layout.split] if layout.split in columns and layout.split else ""
            for name in (name for name, words in unread.items() if len(words) < MOST_WORDS):
                unread[name].add(row[name])
            _refuse_more(more, columns, cells, place)
            labels, ignored = _labels(row, layout, known, place, strange)
            rows.append(Row(place, image, labels, split, ignored, tuple(row[name] for name in things)))
            odd["empty cells of label columns read as 0"] += sum(
                not row[name] for name in known if EMPTY not in layout.values
            )
            odd["rows have cells in a column without a name, passed over"] += not layout.labels and any(
                cell.strip() for name, cell in zip(columns, cells, strict=True) if not name and layout.path
            )
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}") from None
    if strange or not rows:
        raise (
            refusal(strange, layout, known, split=layout.split in columns)
            if strange
            else DataError(f"{path}: no images below the column names")
        )
    if layout.labels:
        texts = {row.labels for row in rows if isinstance(row.labels, str)}
        notes += beside_labels(path, unread, layout.labels, texts, keep=layout.keep)
    notes += tuple(f"{path.name}: {count:,} {what}" for what, count in odd.items() if count)
    return Table(rows, known, notes, tell_parts(unread, layout.others), things)


def _other_length(cells: Sequence[str], columns: Sequence[str]) -> str:
    hint = ". Try: all labels in one cell, as dog;sofa, or in quotes"
    hint = hint if len(cells) > len(columns) else ". Try: a cell for each column, also where it is empty"
    return f"{len(cells)} cells, expected {len(columns)}: {', '.join(columns)}{hint}"


def _refuse_more(more: Sequence[int], columns: Sequence[str], cells: Sequence[str], place: str) -> None:
    """Raise ``DataError`` for the first cell of the columns ``more`` that is filled, which may be a label."""
    for number in more:
        if (cell := cells[number].strip()) and not is_nothing(cell):
            name = columns[number]
            where = f"column '{name}'" if name and not INDEX.fullmatch(name) else "a column without a name"
            raise DataError(
                f"{place}: '{cell[:40]}' stands in {where}. Is it a label? Try: write all labels in one"
                f" cell as dog;sofa, or where it is none: {KEEP_ODD}"
            )


def check_label_columns(tables: Sequence[Table], layout: Layout, where: Path) -> None:
    """Raise ``DataError`` for a column that may be no label, unless the columns of labels were named.

    That is one which is 1 for every image of all tables, and one whose name is usual for rows' numbers or for parts.
    """
    known = tables[0].columns
    if layout.columns or not known:
        return
    rows = [row for table in tables for row in table.rows]
    always = [name for name in known if len(tables[0].rows) > 1 and all(name in row.labels for row in rows)]
    beside = companions(known)
    for names, why in (
        *(((name,), "is called as one that numbers rows") for name in known if numbers_rows(name)),
        *(((name,), "is called as one that tells parts apart") for name in known if is_of_parts(name)),
        *(((name,), "is called as one that says how far a row is labelled") for name in known if says_state(name)),
        *([(beside, "stands beside one of the same name without its end or beginning")] if beside else []),
        *(((name,), "is 1 for every image") for name in always),
    ):
        by_it = ""
        if is_of_parts(names[0]) and len(tables) == 1 and not any(row.split for row in rows):
            by_it = f" {as_typed('split_column', names[0])} where it tells parts apart, or to draw a split"
        raise DataError(
            f"{where}: column '{names[0]}' {why}. Is it a label?"
            f" Try:{by_it} {typed('not_labels', *layout.others, *names)},"
            f" or {typed('label_columns', *known)} where it is one"
        )


def refuse_rows_of_others(part: str, called: str, rows: Sequence[Row], remedy: str) -> None:
    """Raise ``DataError`` for a row of a part's own table whose column of splits names another part."""
    for row in rows:
        if row.split and split_named(row.split) not in {split_named(called), part}:
            raise DataError(f"{row.place}: split '{row.split}' in the table of {called}. Try: {remedy}")


def _check_columns(
    columns: Sequence[str], layout: Layout, place: str, remedy: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which columns are labels (none where one holds their names), and notes on those passed over."""
    if len(columns) > MOST_COLUMNS:
        raise DataError(f"{place}: {len(columns):,} columns, allowed: {MOST_COLUMNS:,}. Is there a line end missing?")
    wanted = {"path_column": layout.path} | ({"labels_column": layout.labels} if layout.labels else {})
    lacking = {option: name for option, name in wanted.items() if name not in columns}
    if lacking:
        name = next(iter(lacking.values()))
        usual = {option: called_as(option, called, columns) for option, called in lacking.items()}
        rename = f"Try: call it '{name}'" if layout.fixed else _named_columns(usual)
        other = _other_delimiter(columns, layout) or _first_row(columns, layout)
        other = other or ("" if usual.get("path_column") else _nameless(name, columns, layout))
        clear = all(usual.values()) and (layout.fixed or not remedy)
        hint = rename if clear else other or remedy or rename
        raise DataError(f"{place}: no column '{name}', found: {', '.join(columns)[:500]}. {hint}")
    if layout.split and layout.split not in columns and not layout.fixed:
        alike = next((found for found in columns if look(found) == look(layout.split)), "")
        if alike or layout.split != SPLIT_COLUMN:
            hint = as_typed("split_column", alike) if alike else as_typed("split_column", "") + " where there is none"
            raise DataError(f"{place}: no column '{layout.split}', found: {', '.join(columns)[:500]}. Try: {hint}")
    _check_group(columns, layout, place)
    # Spreadsheets write columns without a name where a cell was once filled.
    if twice := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise DataError(f"{place}: column '{twice[0]}' stands twice")
    if layout.labels:
        read = {"", layout.path, layout.labels, layout.split, layout.group}
        unread = [name for name in columns if name not in read and not INDEX.fullmatch(name)]
        return (), (f"{place}: columns that are not read: {', '.join(unread):.300}",) if unread else ()
    for name in (*layout.columns, *layout.others):
        if name not in columns:
            option = "label_columns" if name in layout.columns else "not_labels"
            raise DataError(f"{place}: no column '{name}' of --set dataset.{option}, found: {', '.join(columns)}")
    if layout.columns:
        return tuple(name for name in columns if name in layout.columns), ()
    free = [name for name in columns if name not in {layout.path, layout.split, layout.group, "", *layout.others}]
    if again := next((name for name in free if (found := SECOND.fullmatch(name)) and found[1] in free), ""):
        raise DataError(
            f"{place}: column '{again}' is what pandas calls a second column '{again.rpartition('.')[0]}'. Try:"
            f" {typed('not_labels', *layout.others, again)}, or {typed('label_columns', *free)} where it is a label"
        )
    index = [name for name in free if INDEX.fullmatch(name)]
    note = f"{place}: column '{index[0]}' passed over: it has no name of its own" if index else ""
    return tuple(name for name in free if name not in index), tuple(filter(None, [note]))


def _named_columns(usual: Mapping[str, str]) -> str:
    """Return the options that name columns, of those that lack; NAME stands for one that no usual name tells."""
    named = [as_typed(option, name) if name else f"--set dataset.{option}=NAME" for option, name in usual.items()]
    of_each = ", or dataset.labels_column= where each label is a column" if usual.get("labels_column") == "" else ""
    return f"Try: {' '.join(named)}{of_each}"


def _check_group(columns: Sequence[str], layout: Layout, place: str) -> None:
    column = layout.group
    if column and column not in columns:
        alike = next((found for found in columns if look(found) == look(column)), "NAME")
        hint = f"Try: {as_typed('group_column', alike)}, or {as_typed('group_column', '')} where there is none"
        raise DataError(f"{place}: no column '{column}', found: {', '.join(columns)[:500]}. {hint}")
    if column and column in {layout.path, layout.labels, layout.split, *layout.columns, *layout.others}:
        raise DataError(f"{place}: column '{column}' is named for something else, too. Try: another group_column")


def _first_row(columns: Sequence[str], layout: Layout) -> str:
    """Return what to type where the first line names an image, and no columns; empty where it does not."""
    image = next((name for name in columns if has_image_ending(name)), "")
    return (
        f"Is the line an image's, as {image[:100]}? Try: a line {layout.path},{layout.labels or 'LABELS'} above it"
        if image
        else ""
    )


def _nameless(lacking: str, columns: Sequence[str], layout: Layout) -> str:
    """Return what to type where the paths may stand in the first column, without a name, as pandas writes an index."""
    may = lacking == layout.path and columns[:1] == [""] and not layout.fixed
    return f"Are the paths in the first column, without a name? Try: {as_typed('path_column', '')}" if may else ""


def _other_delimiter(columns: Sequence[str], layout: Layout) -> str:
    """Return what to type where the first line was split at the wrong letter; empty where it was not."""
    line = layout.delimiter.join(columns)
    blanks = "Do blanks separate columns? Lines of docs/your-data.md, as for CelebA, make a table of it"
    if len(columns) == 1 and has_image_ending(line.partition(" ")[0]) and len(line.split()) > 2:
        return blanks
    for name, delimiter in DELIMITERS.items():
        if delimiter != layout.delimiter and len(columns) < len(cells := line.split(delimiter)):
            found = {cell.strip().strip('"') for cell in cells}
            if layout.path in found or len(columns) == 1:
                return f"Try: --set dataset.delimiter={name}"
    if len(columns) == 1 and (line.isdigit() or len(line.split()) > 1):
        return blanks
    return ""


def _labels(
    row: Mapping[str, str], layout: Layout, known: Sequence[str], place: str, odd: OddCells
) -> tuple[str | tuple[str, ...], tuple[str, ...]]:
    """Return a row's labels, as one text of a cell or as names, and the names that count neither way.

    Cells that mean nothing are noted in ``odd``.
    """
    if layout.labels:
        return choices(row[layout.labels]), ()
    values = {name: truth(row[name], layout.values) for name in known}
    for name in (name for name, value in values.items() if value is None):
        note(odd, name, row[name], place)
    true, ignored = (tuple(name for name in known if values[name] == wanted) for wanted in (YES, IGNORE))
    return true, ignored


def images_of(folder: Path, rows: Sequence[Row]) -> tuple[list[Row], FolderImages]:
    """Return the rows and their images, a name being found in another form where it is not there in its own.

    Raises ``DataError`` with the line of the first that is not there, and where two lines are one file.
    """
    try:
        return list(rows), FolderImages(tuple(folder / row.path for row in rows))
    except (DataError, OSError, ValueError):  # of the system: a name too long to be one, where columns are mistaken
        pass
    found: list[Row] = []
    lines: dict[str, str] = {}
    for row in rows:
        name = find_file(folder, row.path)
        if name is None:
            path = printable(str(folder / row.path))[:300]
            raise DataError(f"{row.place}: no image file {path}{why_absent(folder, row.path)}")
        if name in lines:
            raise DataError(f"{row.place}: image {printable(name)} stands twice, first in {lines[name]}")
        lines[name] = row.place
        found.append(replace(row, path=name))
    return found, FolderImages(tuple(folder / row.path for row in found))
