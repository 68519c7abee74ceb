"""Your own images in folders train and test, with a labels file in each, or a folder for each label."""

from __future__ import annotations

import json
from pathlib import Path

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Option, Split
from bench.data import narrow
from bench.images import FolderImages
from bench_datasets.label_lists import ABSENT, labels_kept, matrix, read_lines
from bench_datasets.tables import Layout, read_table

EXPECTS = (
    "folders train and test of images, each with labels.csv (path,labels), metadata.csv or metadata.jsonl"
    " (file_name, labels), or with a folder for each label"
)
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
PARTS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}

Labelled = dict[str, tuple[str, ...]]
"""Image path, relative to the part's folder -> its labels."""


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` in the data root, else sorted."""
    assert request.root is not None
    root, options = request.root, request.options
    parts: dict[str, tuple[str, Labelled, tuple[str, ...]]] = {}
    for part, names in PARTS.items():
        asked = {"train": request.train_split, "test": request.test_split}.get(part)
        name = asked or next((name for name in names if (root / name).is_dir()), "")
        if name:
            parts[part] = (
                name,
                *_read(root, name, str(options["separator"]), bool(options["unlisted"] == "unlabelled")),
            )
        elif part != "validation":
            raise DataError(f"no folder {root / part}. '--data-root' should hold {EXPECTS}")
    listed = root / "labels.txt"
    found = sorted({label for _, images, _ in parts.values() for labels in images.values() for label in labels})
    names = tuple(line.strip() for _, line in read_lines(listed, "a label on each line")) if listed.is_file() else found
    if unknown := sorted(set(found) - set(names)):
        raise DataError(f"unknown label '{unknown[0]}', not in {listed}")
    if not names:
        raise DataError(f"{root}: no image has a label. '--data-root' should hold {EXPECTS}")
    splits = {
        part: _split(root / name, name, images, files, tuple(names)) for part, (name, images, files) in parts.items()
    }
    kept = labels_kept(splits["train"].truth, str(options["absent_labels"]))
    if not kept.all():
        splits = {part: narrow(split, kept) for part, split in splits.items()}
    counts = " / ".join(f"{split.name} {len(split):,}" for split in splits.values())
    k = min(int(options["k"]), int(kept.sum()))
    return Dataset(
        name="imagefolder",
        variant=f"{root.absolute().name}: {counts} images, {int(kept.sum())} labels",
        train=splits["train"],
        test=splits["test"],
        protocol=f"top{k}@1",
        validation=splits.get("validation"),
        source="your own images",
    )


def _read(root: Path, name: str, separator: str, unlisted_allowed: bool) -> tuple[Labelled, tuple[str, ...]]:
    """Return the labels of each image of a part, and a file that holds each image."""
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
        return _by_folder(folder, there)
    if listing.suffix == ".jsonl":
        labels = _read_json_lines(listing, separator)
    else:
        column = "path" if listing.name == "labels.csv" else "file_name"
        rows, _ = read_table(listing, Layout(column, "labels", "split", ",", separator))
        labels = {row.path: row.labels for row in rows}
    unlisted = [path for path in there if path not in labels]
    if unlisted and not unlisted_allowed:
        raise DataError(
            f"{listing}: {len(unlisted)} images of the folder are not listed, as {unlisted[0]}."
            " Try: --set dataset.unlisted=unlabelled to take them as images without a label"
        )
    if gone := next((path for path in labels if not (folder / path).is_file()), None):
        raise DataError(f"{listing}: no image file {folder / gone}")
    labels |= dict.fromkeys(unlisted, ())
    return labels, tuple(labels)


def _by_folder(folder: Path, there: list[str]) -> tuple[Labelled, tuple[str, ...]]:
    """Return labels by the first folder of each path: an image in several of them has several labels."""
    labels: dict[str, list[str]] = {}
    files: dict[str, str] = {}
    for path in there:
        label, slash, rest = path.partition("/")
        if not slash:
            raise DataError(
                f"{folder}: image {path} lies in no label's folder, and there is no labels.csv. Expected: {EXPECTS}"
            )
        labels.setdefault(rest, []).append(label)
        files.setdefault(rest, path)
    return {image: tuple(names) for image, names in labels.items()}, tuple(files.values())


def _read_json_lines(path: Path, separator: str) -> Labelled:
    """Return the labels of a file of JSON lines, each with ``file_name`` and ``labels``: a list, or one text."""
    labels: Labelled = {}
    expected = '{"file_name": ..., "labels": [...]} on each line'
    for number, line in read_lines(path, expected):
        try:
            entry = json.loads(line)
            image, names = str(entry["file_name"]), entry["labels"]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path} line {number}: found '{line[:60]}', expected {expected}") from None
        if image in labels:
            raise DataError(f"{path} line {number}: image {image} stands twice")
        texts = names.split(separator) if isinstance(names, str) else names
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{path} line {number}: labels are {names!r:.60}, expected a list of names")
        labels[image] = tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
    return labels


def _split(folder: Path, name: str, labelled: Labelled, files: tuple[str, ...], names: tuple[str, ...]) -> Split:
    column = {label: place for place, label in enumerate(names)}
    return Split(
        dataset="imagefolder",
        name=name,
        ids=tuple(f"{name}/{image}" for image in labelled),
        labels=names,
        truth=matrix([[column[label] for label in labels] for labels in labelled.values()], len(names)),
        images=FolderImages(tuple(folder / file for file in files)),
    )


SPEC = DatasetSpec(
    name="imagefolder",
    summary="your own images, in folders with a labels file or a folder for each label",
    build=build,
    options=(
        Option("separator", ";", "what separates label names in one cell"),
        Option("unlisted", "error", "images that the labels file lacks", choices=("error", "unlabelled")),
        Option("k", 3, "labels that score models give each image", minimum=1),
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
