"""What a data root holds that another reader reads, or none: a sentence that ends an error."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path

from bench import is_remote
from bench_datasets.listing import is_hidden, printable
from bench_datasets.part_words import names_part

READ_BY = {
    "voc-folder": tuple(f"{place}ImageSets/Main/*.txt" for place in ("", "VOC*/", "VOCdevkit/VOC*/")),
    "coco-json": ("annotations/instances_*.json", "instances_*.json", "*/_annotations.coco.json"),
    "imagefolder": tuple(
        f"[Tt]rain*/{name}" for name in ("_classes.csv", "metadata.jsonl", "metadata.csv", "labels.csv")
    ),
    "huggingface": ("dataset_dict.json", "state.json"),
    "shards": ("train[-_.]*.tar", "test[-_.]*.tar", "data/*.parquet", "train/*.tar", "train/*.parquet"),
    "nuswide-81": ("ImageList/Imagelist.txt", "Concepts81.txt"),
    "csv": ("labels.csv", "train.csv", "labels.tsv", "train.tsv"),
}
"""Files by which the folder of a reader is known."""

TABLE = "Lines of docs/your-data.md, as for PA-100K, make a table of it"
READ_BY_NONE = {
    "*.parquet": "Try: --dataset shards where it holds the pictures, or save it as labels.csv",
    "*.tfrecord*": "TensorFlow's records are not read. Try: write their pictures, and a labels.csv, with TensorFlow",
    "*.arff": "It holds features and no pictures. Try: the pictures, or scores of your model: docs/your-predictions.md",
    **dict.fromkeys(("*.mat", "*.h5", "*.hdf5", "*.npz", "*.npy", "*.pkl", "*.pickle"), TABLE),
}
"""Files that hold labels in other forms, or may, in the data root or its folders, and what to do."""

TABLES = frozenset({".csv", ".tsv", ".xlsx", ".xls", ".ods"})
"""Endings of tables, some of which have to be saved otherwise first."""

EXPORTS = frozenset({".json", ".jsonl", ".ndjson", ".manifest", ".xml"})
"""Endings of what annotation tools write besides."""

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")
"""Endings of what was fetched, and has to be unpacked first."""

MOST = 3
"""Tables that a message names."""


def what_is_there(root: Path, reader: str) -> str:
    """Return what to type for a data root in which ``reader`` finds nothing; empty where nothing is known in it."""
    for other, patterns in READ_BY.items():
        if other != reader and (found := _first(root, patterns)):
            return f". There is {found}. Try: --dataset {other}"
    if found := _first(root, tuple(f"*/{pattern}" for pattern in READ_BY[reader])):
        return f". There is {found}. Try: --data-root {printable(str(root / found.partition('/')[0]))}"
    for pattern, remedy in READ_BY_NONE.items():
        if found := _first(root, (pattern, f"*/{pattern}")):
            return f". There is {found}. {remedy}"
    there = sorted(path.name for path in root.iterdir() if not is_hidden(path.name))
    packed = bool(there) and all(name.lower().endswith(ARCHIVES) for name in there)
    return f". There is {printable(there[0])}. Try: unpack it, and name the folder" if packed else ""


def tables_there(root: Path, name: str, pattern: str = "*") -> str:
    """Return which table to save as ``name``, of those that fit ``pattern``; empty without one."""
    found = list(_sorted(root, pattern, TABLES))
    # A table to fill in has the same labels for all images.
    found = [path for path in found if "submission" not in path.lower()] or found
    if len(found) == 1:
        return f". There is {found[0]}. Try: save it as {name}"
    there = ", ".join([*found[:MOST], *(["..."] if len(found) > MOST else [])])
    remedy = f"save the one of images and labels as {name}, or one of each part as train.csv and test.csv"
    return f". There are {there}. Try: {remedy}" if found else ""


def exports_there(root: Path) -> str:
    """Return in words which file of an annotation tool's, or list of a part, lies in the data root; or nothing."""
    lists = (name for name in _sorted(root, "*.txt") if names_part(Path(name).stem))
    return "".join(f". There is {found}" for found in [*_sorted(root, "*", EXPORTS), *lists][:1])


def _first(root: Path, patterns: tuple[str, ...]) -> str:
    return next(itertools.chain.from_iterable(_sorted(root, pattern) for pattern in patterns), "")


def _sorted(root: Path, pattern: str, endings: Collection[str] = ()) -> Iterator[str]:
    """Yield the files that fit ``pattern``, with one of ``endings`` if there are some, by name; none that is hidden.

    Of a data root elsewhere, as on s3://, folders below it are not listed for it.
    """
    found = () if is_remote(root) and pattern.startswith("*/") else root.glob(pattern)
    chosen = (path for path in found if not endings or path.suffix.lower() in endings)
    paths = sorted(path.relative_to(root).as_posix() for path in chosen if path.is_file())
    return (printable(path) for path in paths if not any(map(is_hidden, path.split("/"))))
