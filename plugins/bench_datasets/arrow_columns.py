"""Columns of images and labels in an Arrow schema, found by their types: Hugging Face data sets and Parquet files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from bench import DataError, Option
from bench_datasets.cells import EMPTY
from bench_datasets.label_names import look
from bench_datasets.table_columns import numbers_rows
from bench_datasets.typed import typed

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMN = Option("image_column", "", "column of the images; empty: the only one of its type")
LABELS_COLUMN = Option(
    "labels_column", "", "column of the labels, or field of one as in objects.category; empty: the only one of its type"
)
LABEL_COLUMNS = Option("label_columns", "", "where each label is a column of 0 and 1: which, as in dog,cat")
CALLED = re.compile("label|tag|class|categor|object|genre|attribute|concept|finding", re.IGNORECASE)
CALLED_OTHERWISE = re.compile("neg|absent|uncertain|pred", re.IGNORECASE)
"""What columns of labels are called, and of labels that are not there or not sure to be."""

SCORES = frozenset({"score", "scores", "confidence", "confidences", "probability", "prob"})

NO_AND_YES = [["0", "1"], ["no", "yes"], ["false", "true"], ["absent", "present"], ["negative", "positive"]]
"""Classes, in small letters, of which a list says for each label whether it is there."""

CATEGORY = "category"
"""The field that holds an object's label, in columns of objects."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table keeps what is needed: the image column, the labels column, and that column's field if it has one.

    ``names`` are those of the labels' numbers, where the schema says; ``numbers`` is true where they are sure to be
    labels' numbers. Where each label is a column, ``each`` are those, and ``labels`` is empty.
    """

    image: str
    labels: str
    field: str
    names: tuple[str, ...]
    numbers: bool
    each: tuple[str, ...] = ()

    @property
    def read(self) -> list[str]:
        """The columns that hold labels."""
        return list(self.each) or [self.labels]


def find_columns(schema: pa.Schema, image: str, labels: str, where: str, each: Sequence[str] = ()) -> Columns:
    """Return the columns called ``image`` and ``labels``, or where these are empty those whose types fit.

    Where each label is a column, those are ``each``. Raises ``DataError`` that lists the columns where none or several
    fit.
    """
    import pyarrow as pa

    features = features_of(schema)
    shown = ", ".join(f"{field.name} ({_in_words(field, features)})" for field in schema)
    asked, _, asked_field = (labels, "", "") if labels in schema.names else labels.partition(".")
    for name in (image, *(each or [asked])):
        if name and name not in schema.names:
            raise DataError(f"{where}: no column '{name}'. Columns: {shown}")
    kinds = {field.name: _image_kind(field, features) for field in schema}
    best = max(kinds.values(), default=0)
    fitting = [name for name, kind in kinds.items() if kind and kind == best]
    image = image or _only(fitting, "images", "image_column", where, shown)
    if each:
        return Columns(image, "", "", tuple(dict.fromkeys(each)), False, tuple(dict.fromkeys(each)))
    several = [field.name for field in schema if field.name != image and _holds_label_sets(field)]
    # Beside one class a row, lists of classes and objects are the labels; lists of texts may be captions.
    sure = any(_fields(schema.field(name).type) or _names(features.get(name)) for name in several)
    of_one = {field.name: _names(features.get(field.name)) for field in schema if pa.types.is_integer(field.type)}
    single = [name for name, names in of_one.items() if names and [*map(str.lower, names)] not in NO_AND_YES]
    fitting = several + ([] if sure else single)
    if not (asked or fitting) and len(of_each := _may_be_each(schema, image)) > 1:
        raise DataError(
            f"{where}: no column is sure to hold the labels. Try: {typed('label_columns', *of_each)} where each is one"
            f" of 0 and 1, or --set dataset.labels_column=NAME. Columns: {shown}"
        )
    column = asked or _only(fitting, "labels", "labels_column", where, shown)
    fields = _fields(schema.field(column).type)
    field = asked_field or (CATEGORY if CATEGORY in fields else "")
    if bool(fields) != bool(field) or (field and field not in fields):
        raise DataError(
            f"{where}: column '{column}' has {'the fields ' + ', '.join(fields) if fields else 'no fields'}."
            f" Try: --set dataset.labels_column={column}{'.' + fields[0] if fields else ''}"
        )
    names = _names(features.get(column), field)
    kind = schema.field(column).type
    if not field and _inner(kind) != kind and [*map(str.lower, names)] in NO_AND_YES:
        names = ()  # a value for each label, and no label of each number
    return Columns(image, column, field, names, bool(names or field))


def notes_on(schema: pa.Schema, columns: Columns, asked: str, where: str) -> tuple[str, ...]:
    """Return notes on labels from a column that was not asked for, and is called otherwise, and on scores not read."""
    if columns.each:
        return ()
    notes = []
    if not asked and (not CALLED.search(columns.labels) or CALLED_OTHERWISE.search(columns.labels)):
        notes.append(f"{where}: labels are read from column '{columns.labels}', the only one of their type")
    scores = [name for name in _fields(schema.field(columns.labels).type) if look(name) in SCORES]
    if scores:
        notes.append(f"{where}: objects have a field '{scores[0]}', and count as labels whatever it says")
    beside = [name for name in schema.names if name not in {columns.image, columns.labels} and says_of_labels(name)]
    notes += [f"{where}: column '{name}' beside the labels is not read" for name in beside]
    return tuple(notes)


def says_of_labels(name: str) -> bool:
    """Return whether a field beside labels is called as one of their scores, or of labels that are not there.

    >>> says_of_labels("Scores"), says_of_labels("negative_labels"), says_of_labels("url")
    (True, True, False)
    """
    return look(name) in SCORES or (CALLED.search(name) and CALLED_OTHERWISE.search(name)) is not None


def classes_of(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the class names that features, as ``features_of`` a schema, give to numbers: by column, and by field."""
    found: dict[str, tuple[str, ...]] = {}

    def look(name: str, feature: Any) -> None:
        if isinstance(feature, dict):
            if names := _names(feature):
                found[name] = names
            for field, inner in feature.items():
                look(name if field == "feature" else f"{name}.{field}", inner)
        for inner in feature if isinstance(feature, list) else ():
            look(name, inner)

    for column, feature in features.items():
        look(column, feature)
    return found


def texts_of(schema: pa.Schema) -> set[str]:
    """Return the columns of texts, and of lists of texts."""
    return {field.name for field in schema if _is_text(_inner(field.type))}


def numbers_of(schema: pa.Schema) -> set[str]:
    """Return the columns of numbers, and of lists of numbers."""
    import pyarrow as pa

    kinds = {field.name: _inner(field.type) for field in schema}
    return {name for name, kind in kinds.items() if pa.types.is_integer(kind) or pa.types.is_floating(kind)}


def label_values(table: pa.Table, columns: Columns) -> list[Any]:
    """Return each row's labels as Python objects; of objects, their field alone, and of columns a value of each."""
    if columns.each:
        features = features_of(table.schema)
        of_each = [_values_of(table.column(name), _names(features.get(name))) for name in columns.each]
        return list(map(list, zip(*of_each, strict=True)))
    values: list[Any] = table.column(columns.labels).to_pylist()
    if not (field := columns.field):
        return values
    return [
        value[field] if isinstance(value, dict) else [entry[field] for entry in value or () if entry is not None]
        for value in values
    ]


def _values_of(column: pa.ChunkedArray, names: Sequence[str]) -> list[Any]:
    """Return the cells of one label's column, empty ones as texts; numbers of other classes than no and yes by name."""
    named = names if [*map(str.lower, names)] not in NO_AND_YES else ()
    return ["" if cell is None else named[cell] if named else cell for cell in column.to_pylist()]


def empty_cells(rows: Sequence[Any], columns: Columns, known: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note where cells of labels' columns are empty, and the meanings ``known`` of cells do not say more."""
    count = sum(cell == "" for row in rows for cell in row) if columns.each and EMPTY not in known else 0
    return (f"{count:,} empty cells of label columns read as 0",) if count else ()


def content(value: pa.Scalar) -> tuple[BinaryIO | None, str]:
    """Return the encoded image of a row as an open file, or ``None``; and the path that the row gives for it."""
    import pyarrow as pa

    fields = _fields(value.type) if value.is_valid else []
    encoded = value["bytes"] if "bytes" in fields else value
    path = value["path"].as_py() if "path" in fields else ""
    readable = encoded.is_valid and (pa.types.is_binary(encoded.type) or pa.types.is_large_binary(encoded.type))
    return pa.BufferReader(encoded.as_buffer()) if readable else None, path or ""


def _may_be_each(schema: pa.Schema, image: str) -> list[str]:
    """Return the columns of numbers, true and false, which may each be a label."""
    import pyarrow as pa

    kinds = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    fitting = [field.name for field in schema if field.name != image and any(of(field.type) for of in kinds)]
    return [name for name in fitting if not numbers_rows(name)]


def _only(fitting: list[str], what: str, option: str, where: str, shown: str) -> str:
    if len(fitting) == 1:
        return fitting[0]
    found = f"the {what} may be in {' or '.join(fitting)}" if fitting else f"no column is sure to hold the {what}"
    raise DataError(
        f"{where}: {found}. Try: --set dataset.{option}={fitting[0] if fitting else 'NAME'}. Columns: {shown}"
    )


def features_of(schema: pa.Schema) -> Mapping[str, Any]:
    """Return what Hugging Face's libraries noted of the columns, empty where they did not write the schema."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _image_kind(field: pa.Field, features: Mapping[str, Any]) -> int:
    """Return 2 for a column that says it holds images, 1 for one whose bytes may be images, else 0."""
    import pyarrow as pa

    feature = features.get(field.name)
    if isinstance(feature, dict) and feature.get("_type") == "Image":
        return 2
    return int("bytes" in _fields(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))


def _holds_label_sets(field: pa.Field) -> bool:
    """Return whether a column may hold several labels a row: lists of texts or whole numbers, or objects."""
    import pyarrow as pa

    fields = _fields(field.type)
    if fields:
        return CATEGORY in fields
    inner = _inner(field.type)
    return bool(inner != field.type and (_is_text(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner)))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    view = getattr(pa.types, "is_string_view", lambda _: False)  # newer than the least pyarrow
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or view(kind))


def _inner(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return kind.value_type if listed else kind


def _fields(kind: pa.DataType) -> list[str]:
    """Return the fields of a struct, or of the structs in a list."""
    import pyarrow as pa

    inner = _inner(kind)
    return [inner.field(number).name for number in range(inner.num_fields)] if pa.types.is_struct(inner) else []


def _names(feature: Any, field: str = "") -> tuple[str, ...]:
    """Return the class names that a feature, or its ``field``, gives to numbers; empty where it gives none."""
    # A list is written as [feature] by versions before 4, and as an object of its own by others.
    while isinstance(feature, list) or (isinstance(feature, dict) and "_type" in feature and "feature" in feature):
        feature = feature["feature"] if isinstance(feature, dict) else next(iter(feature), None)
    if field and isinstance(feature, dict):
        return _names(feature.get(field))
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _in_words(field: pa.Field, features: Mapping[str, Any]) -> str:
    """Return a column's type for people, as in ``list of 80 classes``."""
    if kind := _image_kind(field, features):
        return "image" if kind == 2 else "bytes"
    names = _names(features.get(field.name))
    inner = _inner(field.type)
    words = f"{len(names)} classes" if names else "objects" if _fields(inner) else str(inner)
    return words if inner == field.type else f"list of {words}"
