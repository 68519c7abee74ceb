"""Your own images: tables of paths and labels, in files train.csv and test.csv, or labels.csv for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Option
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, separator
from bench_datasets.own_images import K, Part, assemble, part_names
from bench_datasets.tables import Layout, Row, images_of, read_table

EXPECTS = (
    "train.csv and test.csv, or labels.csv for all, whose columns are path and labels; paths are relative to the folder"
)
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
REMEDY = "Try: --set dataset.path_column=NAME --set dataset.labels_column=NAME"
SPLIT_NAMES = {"validation": "validation", "valid": "validation", "val": "validation", "train": "train", "test": "test"}


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` where there is one, else sorted."""
    assert request.root is not None
    options = request.options
    layout = Layout(
        str(options["path_column"]),
        str(options["labels_column"]),
        str(options["split_column"]),
        DELIMITERS[str(options["delimiter"])],
        separator(options),
    )
    parts, columns, how = _read_parts(request, layout)
    root = request.root
    return assemble(
        "csv",
        root.absolute().name,
        {part: _part(root, part, rows) for part, rows in parts.items()},
        options,
        listed=root / "labels.txt",
        names=columns,
        how=how,
        remedy=f"Is '{layout.separator}' what separates labels?",
    )


def _read_parts(request: DatasetRequest, layout: Layout) -> tuple[dict[str, list[Row]], tuple[str, ...], str]:
    """Return the rows of train, test and perhaps validation, the label columns, and how the split came about."""
    root = request.root
    assert root is not None
    ending = "tsv" if layout.delimiter == "\t" else "csv"
    names = part_names(request, lambda name: (root / f"{name}.{ending}").is_file())
    files = {part: root / f"{name}.{ending}" for part, name in names.items()}
    if files["train"].is_file() or files["test"].is_file():
        read = {part: read_table(file, layout, REMEDY) for part, file in files.items()}
        columns = read["train"][1]
        for part, (_, found) in read.items():
            if found != columns:
                raise DataError(f"{files[part]} line 1: other label columns than {files['train']}")
        return (
            {part: rows for part, (rows, _) in read.items()},
            columns,
            f"{files['train'].name} and {files['test'].name}",
        )
    table = root / f"labels.{ending}"
    if not table.is_file():
        raise DataError(f"no file {files['train']} and no {table}. '--data-root' should hold {EXPECTS}")
    rows, columns = read_table(table, layout, REMEDY)
    if any(row.split for row in rows):
        return _by_column(rows, layout.split), columns, f"split by column '{layout.split}'"
    fraction, seed = float(request.options["test_fraction"]), int(request.options["split_seed"])
    order = np.random.default_rng(seed).permutation(len(rows))
    held = set(order[: max(round(fraction * len(rows)), 1)].tolist())
    parts = {
        "train": [row for number, row in enumerate(rows) if number not in held],
        "test": [row for number, row in enumerate(rows) if number in held],
    }
    if not parts["train"]:
        raise DataError(f"{table}: {len(rows)} images are too few to split. Try: --set dataset.test_fraction=0.2")
    return parts, columns, f"{fraction:.0%} drawn for test with seed {seed}"


def _by_column(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = {"train": [], "test": [], "validation": []}
    for row in rows:
        part = SPLIT_NAMES.get(row.split.lower())
        if part is None:
            raise DataError(f"{row.place}: split '{row.split}', allowed: train, validation, test")
        parts[part].append(row)
    for part in ("train", "test"):
        if not parts[part]:
            raise DataError(f"{rows[0].place.rpartition(' line ')[0]}: no row has '{part}' in column '{column}'")
    return {part: found for part, found in parts.items() if found}


def _part(root: Path, part: str, rows: Sequence[Row]) -> Part:
    images = images_of(root, rows)
    ids = tuple(row.path for row in rows)
    return Part(part, ids, [row.labels for row in rows], images, lambda number: rows[number].place)


SPEC = DatasetSpec(
    name="csv",
    summary="your own images, from tables of paths and labels",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        Option("path_column", "path", "column of the image files, relative to the data root"),
        Option("labels_column", "labels", "column of the label names; empty: each label is a column of 0 and 1"),
        Option("split_column", "split", "column of labels.csv with train, validation or test"),
        Option("delimiter", "comma", "what separates columns; tab reads .tsv files", choices=tuple(DELIMITERS)),
        Option("separator", ";", "what separates label names in one cell"),
        Option("test_fraction", 0.2, "share drawn for test where no split is given", minimum=0.01, maximum=0.9),
        Option("split_seed", 0, "of that draw", minimum=0),
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
