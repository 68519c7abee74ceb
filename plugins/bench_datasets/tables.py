"""Tables of image paths and labels, as people keep them: one row an image, whatever the separators."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from bench import DataError
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


def read_table(path: Path, layout: Layout) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows of the table and, where each label is a column, the label names in the columns' order.

    Raises ``DataError`` naming file and line for missing columns, rows of another length, a path that is empty or
    stands twice, and cells other than 0 and 1 in a label's column.
    """
    text = read_text(path, "a table whose first line names its columns")
    if not text.strip():
        raise DataError(f"{path}: empty file. Expected: a first line with column names, then one line for each image")
    # A quoted cell may hold line ends, so lines are counted by the reader.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
    rows: list[Row] = []
    seen: dict[str, int] = {}
    try:
        columns = [name.strip() for name in next(reader)]
        wanted = [layout.path, *([layout.labels] if layout.labels else [])]
        for name in wanted:
            if name not in columns:
                raise DataError(
                    f"{path} line 1: no column '{name}', found: {', '.join(columns)}."
                    " Try: --set dataset.path_column=NAME --set dataset.labels_column=NAME"
                )
        known = tuple(name for name in columns if name not in {layout.path, layout.split}) if not layout.labels else ()
        for cells in reader:
            place = f"{path} line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise DataError(f"{place}: {len(cells)} cells, expected {len(columns)}: {', '.join(columns)}")
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
            image = row[layout.path]
            if not image:
                raise DataError(f"{place}: the column '{layout.path}' is empty")
            if image in seen:
                raise DataError(f"{place}: image {image} stands twice, first in line {seen[image]}")
            seen[image] = reader.line_num
            rows.append(Row(place, image, _labels(row, layout, known, place), row.get(layout.split, "")))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}") from None
    if not rows:
        raise DataError(f"{path}: no images below the column names")
    return rows, known


def _labels(row: dict[str, str], layout: Layout, known: tuple[str, ...], place: str) -> tuple[str, ...]:
    if layout.labels:
        names = (name.strip() for name in row[layout.labels].split(layout.separator))
        return tuple(dict.fromkeys(name for name in names if name))
    for name in known:
        if row[name] not in {"0", "1", ""}:
            raise DataError(f"{place}: column '{name}' holds '{row[name][:40]}', allowed: 0, 1 or nothing")
    return tuple(name for name in known if row[name] == "1")
