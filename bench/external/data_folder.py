"""A data set written out for somebody's own code: ids, label names, truth and where the pictures are, part by part."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from bench.external.score import Opened
from bench.external.tables import SEPARATOR
from bench.records import Split
from bench.store.sealed import to_json
from bench.system.files import write_atomic
from bench.system.npz import save_npz
from bench.system.progress import progress_bar


def write(opened: Opened, out: Path, pictures: bool = False) -> tuple[dict[str, Split], list[str]]:
    """Write the parts of a data set to the folder ``out``; return them by name, and notes for people.

    ``labels.txt`` has the label names in order. Of train, validation and test, which share no image, each has an npz
    file with ``ids``, ``labels``, ``truth`` (images, labels) bool, ``ignore`` where there is any, and ``paths``; and
    the same as CSV: id, path and labels, with ``;`` between them. ``pictures``: all are written as PNG too, and
    ``paths`` are those. ``dataset.json`` says which data set it is. Raises ``UsageError`` for a folder that is in use.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out}: it exists. Try: a new folder")
    out.mkdir(parents=True, exist_ok=True)
    parts = {"train": opened.parts.fit, "validation": opened.parts.validation, "test": opened.parts.test}
    labels, notes = opened.parts.dataset.labels, []
    write_atomic(out / "labels.txt", "".join(f"{label}\n" for label in labels))
    divided = [label for label in labels if SEPARATOR in label or "\n" in label]
    if divided:
        notes.append(f"no CSV was written: label '{divided[0]}' holds '{SEPARATOR}' or a line break")
    lost = 0
    for part, split in parts.items():
        paths = _drawn(split, out / "pictures" / part, part) if pictures else _paths(split)
        lost += paths.count("")
        _write_arrays(out / f"{part}.npz", split, paths)
        if not divided:
            write_atomic(out / f"{part}.csv", _table(split, paths))
    if lost:
        notes.append(f"{lost:,} pictures lie in no files of their own, so they have no path. Try: --pictures")
    write_atomic(out / "dataset.json", to_json(_described(opened, parts)))
    return parts, notes


def _described(opened: Opened, parts: dict[str, Split]) -> dict[str, Any]:
    dataset = opened.parts.dataset
    return {
        "dataset": dataset.name,
        "variant": dataset.variant,
        "protocol": dataset.protocol,
        "options": dict(opened.options),
        "fingerprints": dict(opened.parts.fingerprints),
        "labels": len(dataset.labels),
        "parts": {part: {"split": split.name, "images": len(split)} for part, split in parts.items()},
    }


def _paths(split: Split) -> list[str]:
    """Return the path of each picture's file; empty where it has none of its own."""
    found = (Path(split.images.describe(row)) for row in range(len(split)))
    return [str(path.absolute()) if path.is_file() else "" for path in found]


def _drawn(split: Split, folder: Path, part: str) -> list[str]:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    width, paths = len(str(len(split) - 1)), []
    for row in progress_bar(range(len(split)), f"writing pictures of {part}", unit="images"):
        path = folder / f"{row:0{width}d}.png"
        Image.fromarray(split.images.read(row)).save(path)
        paths.append(str(path.absolute()))
    return paths


def _write_arrays(path: Path, split: Split, paths: list[str]) -> None:
    arrays = {
        "ids": np.array(split.ids),
        "labels": np.array(split.labels),
        "truth": split.truth,
        "paths": np.array(paths),
    }
    if split.ignore is not None:
        arrays["ignore"] = split.ignore
    buffer = io.BytesIO()
    save_npz(buffer, arrays, compressed=True)
    write_atomic(path, buffer.getvalue())


def _table(split: Split, paths: list[str]) -> str:
    ignored = split.ignore is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "path", "labels", *(["ignored"] if ignored else [])])
    for row, (one, path) in enumerate(zip(split.ids, paths, strict=True)):
        masks = [split.truth[row], *([split.ignore[row]] if split.ignore is not None else [])]
        cells = [SEPARATOR.join(split.labels[label] for label in np.flatnonzero(mask)) for mask in masks]
        writer.writerow([one, path, *cells])
    return text.getvalue()
