"""Predictions in tables with a header: a column for each label, or a row for each pair, or a cell of labels."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from bench.errors import DataError
from bench.external.arrays import agreeing
from bench.external.given import Dense, Given, Names, Pairs, decoded, floats, in_form_of, numbers, texts, twice
from bench.system.apart import call_apart
from bench.system.text import first_few

IMAGE = ("image", "image_id", "id", "path", "file", "file_name", "filename")
"""What the column of image ids may be called where the others are not label names."""

SEPARATOR = ";"
"""Between the labels in a cell of several."""

PREDICTED = frozenset({"image", "labels", "scores", "probabilities", "log_probability", "error"})
"""The fields that ``bench predict`` and an exported folder's ``predict.py`` write: scores are of the labels chosen."""

FORMULA = re.compile(r"\A'(?=[=+@\t\r-])")
"""The apostrophe by which both keep a spreadsheet from taking a cell for a formula."""

SHAPES = (
    "a column for each label and one of image ids; or image,label,score; or image,label or image,labels (a;b) for"
    " label sets; or what bench predict writes"
)


def read_text(content: bytes, place: str, names: Names, delimiter: str) -> Given:
    """Return what a table as text holds, its cells separated by ``delimiter``."""
    rows = csv.reader(io.StringIO(decoded(content, place), newline=""), delimiter=delimiter, strict=True)
    try:
        header, *body = [row for row in rows if row]
    except (csv.Error, ValueError) as error:
        raise DataError(f"{place}: no table with a header: {error}") from None
    for number, row in enumerate(body, 2):
        if len(row) != len(header):
            raise DataError(f"{place}: row {number} has {len(row)} cells, the header {len(header)}")
    columns = list(zip(*body, strict=True)) if body else [()] * len(header)
    return of_columns(header, columns, place, names)


def read_parquet(content: bytes, place: str, names: Names) -> Given:
    """Return what a Parquet file holds: a table as of texts, or a column of lists with a score of each label."""
    try:
        import pyarrow.parquet  # noqa: F401 - whether it is there
    except ImportError:
        raise DataError(
            f"{place}: reading Parquet needs pyarrow. Try: pip install 'multilabel-bench[parquet]'"
        ) from None
    # A damaged one can end the process that reads it, or unfold to any size: another process goes first.
    call_apart(
        "bench.external.tables:parquet_columns",
        {"place": place},
        content=content,
        refused=f"{place}: no Parquet file, or a damaged one",
        size=len(content),
    )
    return of_parquet(content, place, names)


def of_parquet(content: bytes, place: str, names: Names) -> Given:
    """Return what ``read_parquet`` does, of a file that is known to end no process."""
    header, columns = parquet_columns(content, place)
    for name, column in zip(header, columns, strict=True):
        if None in column:
            raise DataError(f"{place}: column '{name}' has no value in row {column.index(None)}")
    return of_columns(header, columns, place, names)


def parquet_columns(content: bytes, place: str) -> tuple[list[str], list[list[Any]]]:
    """Return the names of a Parquet file's columns and their values. Raises ``DataError`` for what cannot be read."""
    import pyarrow.parquet

    try:
        # By this thread alone: one of pyarrow's that lets go of Python's bytes as the process winds up aborts it.
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content), pre_buffer=False).read(use_threads=False)
        table.validate(full=True)
        return list(table.column_names), [column.to_pylist() for column in table.columns]
    except Exception as error:  # of a damaged file, pyarrow raises errors of any kind
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{place}: no Parquet file, or damaged: {reason}") from None


def of_columns(header: Sequence[str], columns: Sequence[Sequence[Any]], place: str, names: Names) -> Given:
    """Return what a table holds, by its header alone. Raises ``DataError`` unless it can be read in one way."""
    header = in_form_of([name.strip() for name in header], names.known)
    if (again := twice(header)) >= 0:
        raise DataError(f"{place}: column '{header[again]}' stands twice")
    by_name = dict(zip(header, columns, strict=True))
    if by_name.keys() == PREDICTED:
        written = {name: [FORMULA.sub("", str(cell)) for cell in by_name[name]] for name in ("image", "labels")}
        return of_predicted(written["image"], written["labels"], by_name["error"], place)
    if not columns or not len(columns[0]):
        raise DataError(f"{place}: the table has no rows")
    rest = {name for name in header if name not in IMAGE}
    others = [name for name in header if name not in names.known]
    long = len(rest) + 1 == len(header) and rest in ({"label", "score"}, {"label"}, {"labels"}, {"scores"})
    wide = len(others) == 1 and len(header) > 1
    if long and wide:
        raise DataError(
            f"{place}: its header is that of pairs, and of a column for each label. Rename the column of ids"
        )
    if not long and not wide:
        raise DataError(
            f"{place}: {len(others)} of {len(header)} columns are no label of the data set"
            f" ({first_few(others, 6)}), must be one, that of the ids. Allowed: {SHAPES}. See: bench data stats"
        )
    image = next(name for name in header if name in (others if wide else IMAGE))
    ids = texts(list(by_name[image]), f"{place}: the ids in column '{image}'")
    if wide:
        labels = [name for name in header if name != image]
        values = np.array([floats(by_name[name], place) for name in labels]).T
        agreeing(ids, names.ids, "ids", place)
        return Dense(place, ids, tuple(labels), values)
    if "scores" in rest:
        lists = all(isinstance(row, list | tuple) for row in by_name["scores"])
        if not lists or len(set(map(len, by_name["scores"]))) != 1:
            raise DataError(f"{place}: column 'scores' must hold lists of one length, a score of each label")
        return Dense(place, ids, names.labels, numbers(list(by_name["scores"]), place))
    if "labels" in rest:
        return of_sets(place, dict(zip(once(ids, place), by_name["labels"], strict=True)))
    scores = floats(by_name["score"], place) if "score" in rest else None
    return Pairs(place, ids, texts(list(by_name["label"]), f"{place}: labels"), scores, frozenset(ids))


def of_predicted(images: Sequence[str], labels: Sequence[Any], errors: Sequence[Any], place: str) -> Pairs:
    """Return the label sets that ``bench predict`` wrote. Raises ``DataError`` where it could not read an image."""
    if unread := [pair for pair in zip(images, errors, strict=True) if pair[1]]:
        raise DataError(
            f"{place}: image '{unread[0][0]}' was not read: {unread[0][1]}. Every image must have its labels"
        )
    return of_sets(place, dict(zip(once(images, place), labels, strict=True)))


def of_sets(place: str, sets: dict[str, Any]) -> Pairs:
    """Return label sets by image id: lists of names, or names in one text with ``;`` between them."""
    images: list[str] = []
    labels: list[str] = []
    for image, given in sets.items():
        if not isinstance(given, str | Sequence | Set):
            raise DataError(f"{place}: image '{image}' has {given!r:.60}, must be labels")
        split = list(filter(None, map(str.strip, given.split(SEPARATOR)))) if isinstance(given, str) else list(given)
        own = texts(split, f"{place}: the labels of image '{image}'")
        images += [image] * len(own)
        labels += own
    return Pairs(place, images, labels, None, frozenset(sets))


def once(ids: Sequence[str], place: str) -> Sequence[str]:
    """Return ``ids``. Raises ``DataError`` where one stands twice."""
    if (again := twice(ids)) >= 0:
        raise DataError(f"{place}: image id '{ids[again]}' stands twice; each image must stand once")
    return ids
