"""Tables of image paths and labels, as people keep them: one row an image, whatever the separators."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import DataError, FolderImages
from bench_datasets.label_lists import read_text


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a table. ``labels``: the column of label names, or empty where each label is a column of 0 and 1.

    ``delimiter`` separates columns, ``separator`` the label names in one cell.
    """

    path: str
    labels: str
    split: str
    delimiter: str
    separator: str


@dataclass(frozen=True, slots=True)
class Row:
    """One image as listed: where, which labels, and the split's name if the table has one."""

    place: str
    path: str
    labels: tuple[str, ...]
    split: str


def read_table(path: Path, layout: Layout, remedy: str) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows of the table and, where each label is a column, the label names in the columns' order.

    Raises ``DataError`` naming file and line for missing columns (ended by ``remedy``), columns that stand twice, rows
    of another length, a path that is empty or stands twice, and cells other than 0 and 1 in a label's column.
    """
    text = read_text(path, "a table whose first line names its columns")
    if not text.strip():
        raise DataError(f"{path}: empty file. Expected: a first line with column names, then one line for each image")
    # A quoted cell may hold line ends, so lines are counted by the reader.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
    rows: list[Row] = []
    seen: dict[str, int] = {}
    try:
        filled = ([cell.strip() for cell in cells] for cells in reader if any(cell.strip() for cell in cells))
        columns = next(filled, [])
        place = f"{path} line {reader.line_num}"
        for name in (layout.path, layout.labels)[: 2 if layout.labels else 1]:
            if name not in columns:
                raise DataError(f"{place}: no column '{name}', found: {', '.join(columns)}. {remedy}")
        # Spreadsheets write columns without a name where a cell was once filled.
        if twice := [name for name in columns if name and columns.count(name) > 1]:
            raise DataError(f"{place}: column '{twice[0]}' stands twice")
        others = tuple(name for name in columns if name not in {layout.path, layout.split, ""})
        known = () if layout.labels else others
        for cells in reader:
            place = f"{path} line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise DataError(f"{place}: {len(cells)} cells, expected {len(columns)}: {', '.join(columns)}")
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
            if not row[layout.path]:
                raise DataError(f"{place}: the column '{layout.path}' is empty")
            image = posixpath.normpath(row[layout.path])
            if image in seen:
                raise DataError(f"{place}: image {image} stands twice, first in line {seen[image]}")
            seen[image] = reader.line_num
            rows.append(Row(place, image, _labels(row, layout, known, place), row.get(layout.split, "")))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}") from None
    if not rows:
        raise DataError(f"{path}: no images below the column names")
    return rows, known


def images_of(folder: Path, rows: Sequence[Row]) -> FolderImages:
    """Return the images of ``rows``; raises ``DataError`` with the line of the first that is not there."""
    try:
        return FolderImages(tuple(folder / row.path for row in rows))
    except (DataError, OSError):  # of the system: a name too long to be one, where the columns are not those meant
        absent = next(row for row in rows if not _is_there(folder / row.path))
        raise DataError(f"{absent.place}: no image file {str(folder / absent.path)[:300]}") from None


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _labels(row: dict[str, str], layout: Layout, known: tuple[str, ...], place: str) -> tuple[str, ...]:
    if layout.labels:
        names = (name.strip() for name in row[layout.labels].split(layout.separator))
        return tuple(dict.fromkeys(name for name in names if name))
    for name in known:
        if row[name] not in {"0", "1", ""}:
            raise DataError(f"{place}: column '{name}' holds '{row[name][:40]}', allowed: 0, 1 or nothing")
    return tuple(name for name in known if row[name] == "1")
