"""Your own images in folders train and test, with a labels file in each, or a folder for each label."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, FolderImages, Option, OptionValue
from bench_datasets.cells import VALUES, meanings, unique
from bench_datasets.joined_names import split_at
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, ENCODING, read_lines, read_names, separator
from bench_datasets.label_names import KEEP_ODD, NO_LABEL, ODD_NAMES
from bench_datasets.label_values import LABELS_ARE, SEPARATOR, named
from bench_datasets.listing import (
    NO_IMAGE,
    Listing,
    counted,
    has_image_ending,
    in_words,
    is_hidden,
    list_images,
    printable,
    same_content,
)
from bench_datasets.mask_words import beside_images, images_and_masks
from bench_datasets.other_forms import what_is_there
from bench_datasets.own_images import K, Part, assemble, other_parts, part_names
from bench_datasets.part_words import names_part
from bench_datasets.table_columns import beside_labels
from bench_datasets.tables import DELIMITERS, MOST_WORDS, Layout, Row, images_of, read_table, refuse_rows_of_others

EXPECTS = (
    "folders train and test of images, each with labels.csv (path,labels), metadata.csv or metadata.jsonl"
    " (file_name, labels), Roboflow's _classes.csv, or with a folder for each label"
)
COLUMNS = {"labels.csv": ("path", "labels"), "metadata.csv": ("file_name", "labels"), "_classes.csv": ("filename", "")}
"""The columns of paths and labels of each table, the last being Roboflow's, in which each label is a column."""

TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".xlsx", ".parquet"})
"""Endings of files that may hold labels."""

LISTS_LABELS = re.compile("label|annotation")
"""What such a file is called, if it holds those of the images beside it."""

LABELS_FILES = (*COLUMNS, "metadata.jsonl")


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` in the data root, else sorted."""
    assert request.root is not None
    root, options = request.root, request.options
    between = separator(options)
    names = part_names(request, lambda name: (root / name).is_dir())
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
    for part in ("train", "test"):
        if not (root / names[part]).is_dir():
            other = what_is_there(root, "imagefolder")
            other = other or other_parts(part, (names["train"], names["test"]), [*filter(names_part, folders)])
            if not other and any(map(has_image_ending, _some_files(root))):
                within = f" in {names['train']}" * (part == "test")
                other = f". Without parts, try: a labels.csv{within}, as lines of docs/your-data.md make it, and"
                other += f" --dataset csv --data-root {root / names['train']}" if within else " --dataset csv"
            raise DataError(f"no folder {root / names[part]}. '--data-root' should hold {EXPECTS}{other}")
    read = {part: _read(root, part, name, options) for part, name in names.items()}
    parts, columns = {part: found for part, (found, _) in read.items()}, read["train"][1]
    if odd := [names[part] for part, (_, others) in read.items() if set(others) != set(columns)]:
        raise DataError(f"{root / odd[0]}: other label columns than {root / names['train']}")
    first = parts["train"]
    unread = {"folders that are no part": [one for one in folders if one not in names.values()]}
    files = sorted(path.name for path in root.iterdir() if path.suffix.lower() in TABLES and not is_hidden(path.name))
    unread["files beside the folders are not read"] = files
    parts["train"] = replace(first, notes=(*counted("data root", unread), *first.notes))
    written = any((root / name / file).is_file() for name in names.values() for file in LABELS_FILES)
    listed = root / "labels.txt"
    every = [labels for part in parts.values() for labels in part.labels]
    numbered = options["labels_are"] in {"numbers", "multi-hot"} or any(
        not isinstance(label, str) for labels in every if not isinstance(labels, str) for label in labels
    )
    if not written and len({*every}) == 1 and options["odd_names"] == "error":
        raise DataError(
            f"{root}: all images lie in folders '{between.join(every[0])}'. Is it a label? Expected: {EXPECTS}."
            f" Try, if it is one: {KEEP_ODD}"
        )
    if not columns and (written or options["labels_are"] != "auto"):
        parts = named(parts, read_names(listed, numbered=True) if numbered and listed.is_file() else (), options)
    return assemble(
        "imagefolder",
        root.absolute().name,
        parts,
        options,
        listed=listed,
        names=columns,
        remedy=f"'--data-root' should hold {EXPECTS}",
        separator=None if columns else between,
    )


def _some_files(root: Path) -> Iterator[str]:
    """Yield the names of files in folders of the data root, and in theirs."""
    return (path.name for pattern in ("*/*", "*/*/*") for path in root.glob(pattern))


def _read(root: Path, part: str, name: str, options: Mapping[str, OptionValue]) -> tuple[Part, tuple[str, ...]]:
    """Return a ``part`` of the data set, the folder ``name`` of the root, and its labels where each is a column."""
    folder = root / name
    there = list_images(folder, known=(*LABELS_FILES, "labels.txt"))
    notes = in_words(name, there.passed)
    if not there.images:
        raise DataError(f"{folder}: no images{': ' + '; '.join(notes) if notes else ''}. Expected: {EXPECTS}")
    listing = next((folder / file for file in LABELS_FILES if (folder / file).is_file()), None)
    columns: tuple[str, ...] = ()
    if listing is None:
        _refuse_other_lists(folder, there.passed.get(NO_IMAGE, ()))
        if options["odd_names"] == "error":
            _refuse_masks(folder, there.images)
        rows, images, more = _by_folder(folder, name, there, separator(options))
    else:
        rows, images, columns, more = _listed(listing, there, part, options)
    ids = tuple(f"{name}/{printable(row.path)}" for row in rows)
    labels = [row.labels for row in rows]
    ignored = [row.ignored for row in rows] if any(row.ignored for row in rows) else None
    return Part(name, ids, labels, images, lambda number: rows[number].place, ignored, (*notes, *more)), columns


def _refuse_other_lists(folder: Path, files: Sequence[str]) -> None:
    """Raise ``DataError`` for a table that may say more of labels than the folders of images beside it.

    As CVAT's labels.json, which has all labels of an image that lies in the folder of its first.
    """
    for name in files:
        if Path(name).suffix.lower() in TABLES and LISTS_LABELS.search(name.lower()) and "/" not in name:
            raise DataError(
                f"{folder / name} may list labels, and is not read. Try: labels.csv (path,labels) made of it, --dataset"
                " coco-json where it has that format, or take it out where the folders tell all labels"
            )


def _refuse_masks(folder: Path, images: Sequence[str]) -> None:
    """Raise ``DataError`` for folders of images and of masks, as of segmentation, which would be two labels."""
    depths: dict[int, set[str]] = {}
    for above in {path.rpartition("/")[0] for path in images}:
        for depth, name in enumerate(above.split("/")):
            depths.setdefault(depth, set()).add(name)
    for depth, names in depths.items():
        images, masks = images_and_masks(names)
        if not images and depth == 0:
            images, masks = beside_images(names)
        if images:
            raise DataError(
                f"{folder}: folders are called '{images}' and '{masks}'. Do they hold images and their masks, which are"
                f" no labels? Try: a labels.csv (path,labels) of the images, or if they are: {KEEP_ODD}"
            )


def _listed(
    listing: Path, there: Listing, part: str, options: Mapping[str, OptionValue]
) -> tuple[list[Row], FolderImages, tuple[str, ...], tuple[str, ...]]:
    """Return the images of a labels file, the labels where each is a column, and notes.

    And on request the images of the folder that it lacks, without labels.
    """
    folder = listing.parent
    others = [name for name in LABELS_FILES if name != listing.name and (folder / name).is_file()]
    notes = counted(folder.name, {f"labels files not read, as {listing.name} is": others})
    known: tuple[str, ...] = ()
    keep = options["odd_names"] == "keep"
    if listing.suffix == ".jsonl":
        rows, unread, more = _read_json_lines(listing, keep)
        notes += more
        notes += (f"{folder.name}: fields of {listing.name} that are not read: {unread:.300}",) if unread else ()
    else:
        column, labels = COLUMNS[listing.name]
        delimiter, encoding = DELIMITERS[str(options["delimiter"])], str(options["encoding"])
        split, values = "split" if labels else "", meanings(options)
        layout = Layout(column, labels, split, delimiter, values=values, encoding=encoding, fixed=True, keep=keep)
        expected = f"Expected: {column} and {labels or 'a column for each label'}"
        expected += ". Where each label is a column: _classes.csv, with a column filename" if labels else ""
        table = read_table(listing, layout, expected)
        rows, known, notes = table.rows, table.columns, notes + table.notes
    refuse_rows_of_others(part, folder.name, rows, "take the line, or what it says of the split, out")
    if odd := next((row for row in rows if row.path.replace("\\", "/").startswith(("/", "../"))), None):
        raise DataError(f"{odd.place}: image {odd.path} lies outside {folder}")
    rows, images = images_of(folder, rows)
    paths = {row.path for row in rows}
    unlisted = [path for path in there.images if path not in paths]
    if unlisted and options["unlisted"] != "unlabelled":
        raise DataError(
            f"{listing}: {len(unlisted)} images of the folder are not listed, as {printable(unlisted[0])}."
            " Try: --set dataset.unlisted=unlabelled to take them as images without a label"
        )
    if unlisted:
        notes += counted(folder.name, {"images taken as unlabelled, in no labels file": unlisted})
        rows += [Row(str(listing), path, ()) for path in unlisted]
        images = FolderImages(tuple(folder / row.path for row in rows))
    return rows, images, known, notes


def _by_folder(
    folder: Path, part: str, there: Listing, between: str
) -> tuple[list[Row], FolderImages, tuple[str, ...]]:
    """Return labels by the first folder of each path: an image in several of them has several labels.

    The name of a folder may be several labels, separated by ``between``.
    Files of one name in several labels' folders are one image where their bytes are equal, and else as many as differ.
    """
    places: dict[str, list[str]] = {}
    for path in there.images:
        _, slash, rest = path.partition("/")
        if not slash:
            raise DataError(
                f"{folder}: image {printable(path)} lies in no label's folder, and there is no labels.csv."
                f" Expected: {EXPECTS}"
            )
        places.setdefault(rest, []).append(path)
    rows: list[Row] = []
    files: list[Path] = []
    differing: list[str] = []
    for rest, paths in places.items():
        groups = list(same_content([folder / path for path in paths]))
        for group in groups:
            above = [printable(path.relative_to(folder).parts[0]) for path in group]
            names = tuple(label for name in above for label in split_at(name, between))
            # The name alone does not tell images apart that differ: then the path of the first does.
            image = rest if len(groups) == 1 else group[0].relative_to(folder).as_posix()
            rows.append(Row(printable(str(group[0])), image, names))
            files.append(group[0])
        if len(groups) > 1:
            differing.append(rest)
    if len({row.path for row in rows}) < len(rows):  # a label's folder that lies in another one's
        rows = [
            Row(row.place, file.relative_to(folder).as_posix(), row.labels)
            for row, file in zip(rows, files, strict=True)
        ]
    labels = {path.partition("/")[0] for path in there.images}
    notes = (
        *counted(
            part,
            {
                "images lie in folders within a label's, whose names are no labels": [
                    path for path in there.images if path.count("/") > 1
                ]
            },
        ),
        *counted(part, {"names with other content in each label's folder, so other images": differing}),
        *counted(
            part, {"folders without an image, so no label": [name for name in there.folders if name not in labels]}
        ),
    )
    return rows, FolderImages(tuple(files)), notes


def _read_json_lines(path: Path, keep: bool) -> tuple[list[Row], str, tuple[str, ...]]:
    """Return the rows of a file of JSON lines, each with ``file_name`` and ``labels``: a list, or one text.

    A ``split`` is its part's. And the names of other fields, as one text, and notes on those that are to ``keep``.
    """
    rows: dict[str, Row] = {}
    unread: dict[str, set[str]] = {}
    expected = '{"file_name": ..., "labels": [...]} on each line'
    for number, line in read_lines(path, expected):
        place = f"{path} line {number}"
        try:
            entry = json.loads(line, object_pairs_hook=unique)
            name, names = entry["file_name"], entry["labels"]
            image = posixpath.normpath(name)
        except (ValueError, KeyError, TypeError, RecursionError):
            other = ". Try: --dataset huggingface, which reads fields of other names" if '"file_name"' in line else ""
            raise DataError(f"{place}: found '{line[:60]}', expected {expected}{other}") from None
        if image in rows:
            raise DataError(f"{place}: image {image} stands twice")
        if not isinstance(names, str | list):
            raise DataError(f"{place}: labels are {names!r:.60}, expected a list of names")
        labels = names if isinstance(names, str) else tuple(names)
        rows[image] = Row(place, image, labels, str(entry.get("split") or ""))
        for field in (field for field in entry if field not in {"file_name", "labels", "split"}):
            words = unread.setdefault(field, set())
            if isinstance(entry[field], str | int) and len(words) < MOST_WORDS:
                words.add(str(entry[field]))
    notes = beside_labels(path, unread, "labels", (), keep=keep)
    return list(rows.values()), ", ".join(unread), notes


SPEC = DatasetSpec(
    name="imagefolder",
    summary="your own images, in folders with a labels file or a folder for each label",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        SEPARATOR,
        LABELS_ARE,
        VALUES,
        NO_LABEL,
        ODD_NAMES,
        Option("delimiter", "comma", "what separates columns of a labels file", choices=tuple(DELIMITERS)),
        ENCODING,
        Option("unlisted", "error", "images that the labels file lacks", choices=("error", "unlabelled")),
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
