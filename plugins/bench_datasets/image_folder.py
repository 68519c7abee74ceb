"""Your own images in folders train and test, with a labels file in each, or a folder for each label."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, FolderImages, Option
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, read_lines, separator
from bench_datasets.own_images import K, Part, assemble, part_names
from bench_datasets.tables import Layout, Row, images_of, read_table

EXPECTS = (
    "folders train and test of images, each with labels.csv (path,labels), metadata.csv or metadata.jsonl"
    " (file_name, labels), or with a folder for each label"
)
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` in the data root, else sorted."""
    assert request.root is not None
    root, options = request.root, request.options
    between, unlisted_allowed = separator(options), options["unlisted"] == "unlabelled"
    names = part_names(request, lambda name: (root / name).is_dir())
    parts = {part: _read(root, name, between, unlisted_allowed) for part, name in names.items()}
    remedy = f"'--data-root' should hold {EXPECTS}"
    return assemble("imagefolder", root.absolute().name, parts, options, listed=root / "labels.txt", remedy=remedy)


def _read(root: Path, name: str, between: str, unlisted_allowed: bool) -> Part:
    """Return a part of the data set: the folder ``name`` of the root."""
    folder = root / name
    if not folder.is_dir():
        raise DataError(f"no folder {folder}. '--data-root' should hold {EXPECTS}")
    there = [
        path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES
    ]
    if not there:
        raise DataError(f"{folder}: no images. Their names end in one of {', '.join(sorted(SUFFIXES))}")
    listing = next(
        (folder / file for file in ("labels.csv", "metadata.csv", "metadata.jsonl") if (folder / file).is_file()), None
    )
    if listing is None:
        rows, images = _by_folder(folder, there)
    else:
        rows = _listed(listing, between, there, unlisted_allowed)
        if odd := next((row for row in rows if row.path.startswith(("/", "../"))), None):
            raise DataError(f"{odd.place}: image {odd.path} lies outside {folder}")
        images = images_of(folder, rows)
    ids = tuple(f"{name}/{row.path}" for row in rows)
    return Part(name, ids, [row.labels for row in rows], images, lambda number: rows[number].place)


def _listed(listing: Path, between: str, there: list[str], unlisted_allowed: bool) -> list[Row]:
    """Return the images of a labels file, and on request those of the folder that it lacks, without labels."""
    if listing.suffix == ".jsonl":
        rows = _read_json_lines(listing, between)
    else:
        column = "path" if listing.name == "labels.csv" else "file_name"
        rows, _ = read_table(listing, Layout(column, "labels", "split", ",", between), f"Expected: {column} and labels")
    known = {row.path for row in rows}
    unlisted = [path for path in there if path not in known]
    if unlisted and not unlisted_allowed:
        raise DataError(
            f"{listing}: {len(unlisted)} images of the folder are not listed, as {unlisted[0]}."
            " Try: --set dataset.unlisted=unlabelled to take them as images without a label"
        )
    return rows + [Row(str(listing), path, (), "") for path in unlisted]


def _by_folder(folder: Path, there: list[str]) -> tuple[list[Row], FolderImages]:
    """Return labels by the first folder of each path: an image in several of them has several labels."""
    labels: dict[str, list[str]] = {}
    files: dict[str, Path] = {}
    for path in there:
        label, slash, rest = path.partition("/")
        if not slash:
            raise DataError(
                f"{folder}: image {path} lies in no label's folder, and there is no labels.csv. Expected: {EXPECTS}"
            )
        labels.setdefault(rest, []).append(label)
        files.setdefault(rest, folder / path)
    rows = [Row(str(files[image]), image, tuple(names), "") for image, names in labels.items()]
    return rows, FolderImages(tuple(files.values()))


def _read_json_lines(path: Path, between: str) -> list[Row]:
    """Return the rows of a file of JSON lines, each with ``file_name`` and ``labels``: a list, or one text."""
    rows: dict[str, Row] = {}
    expected = '{"file_name": ..., "labels": [...]} on each line'
    for number, line in read_lines(path, expected):
        place = f"{path} line {number}"
        try:
            entry = json.loads(line)
            image, names = posixpath.normpath(str(entry["file_name"])), entry["labels"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataError(f"{place}: found '{line[:60]}', expected {expected}") from None
        if image in rows:
            raise DataError(f"{place}: image {image} stands twice")
        texts = names.split(between) if isinstance(names, str) else names
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{place}: labels are {names!r:.60}, expected a list of names")
        rows[image] = Row(place, image, tuple(dict.fromkeys(text.strip() for text in texts if text.strip())), "")
    return list(rows.values())


SPEC = DatasetSpec(
    name="imagefolder",
    summary="your own images, in folders with a labels file or a folder for each label",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        Option("separator", ";", "what separates label names in one cell"),
        Option("unlisted", "error", "images that the labels file lacks", choices=("error", "unlabelled")),
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
