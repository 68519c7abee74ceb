"""Files of predictions, each read by what its name ends in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from bench.errors import DataError
from bench.external import arrays, json_files, tables, voc
from bench.external.given import Given, Names, Source, content_of
from bench.system.files import sha256_of

READERS: dict[str, Callable[[bytes, str, Names], Given] | None] = {
    ".npz": arrays.read_npz,
    ".npy": None,
    ".csv": lambda content, place, names: tables.read_text(content, place, names, ","),
    ".tsv": lambda content, place, names: tables.read_text(content, place, names, "\t"),
    ".txt": lambda content, place, names: tables.read_text(content, place, names, "\t"),
    ".json": json_files.read_json,
    ".jsonl": json_files.read_json_lines,
    ".parquet": tables.read_parquet,
}
"""What a file's name ends in -> what reads its bytes; ``None``: it is memory-mapped and not read whole."""


def read(path: Path, names: Names) -> Source:
    """Return what the file, or the folder of VOC's result files, at ``path`` holds, and its SHA-256.

    Of a folder the SHA-256 is over ``sha256sum *.txt`` as text, its lines in the order of the names. Raises
    ``DataError`` for what cannot be read, or be read in one way only.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: allowed: {', '.join(READERS)}, or a folder of VOC's result files")
    if not path.exists():
        raise DataError(f"no file {path}")
    reader = READERS[path.suffix.lower()]
    if reader is None:
        return Source(path.name, sha256_of(path), arrays.map_npy(path, names))
    content = content_of(path)
    if path.suffix.lower() == ".txt" and voc.NAME.fullmatch(path.name):
        given: Given = voc.read_folder({path: content}, str(path))
    else:
        given = reader(content, str(path), names)
    return Source(path.name, hashlib.sha256(content).hexdigest(), given)


def names_from(known: tuple[str, ...], ids: Path | None, labels: Path | None) -> Names:
    """Return what the files that were given beside predictions say of them."""
    listed, categories = json_files.read_labels(labels) if labels else (None, None)
    rows, files = json_files.read_ids(ids) if ids else (None, None)
    return Names(known, rows, listed, categories, files)


def _read_folder(path: Path) -> Source:
    files = {file: content_of(file) for file in sorted(path.glob("*.txt"))}
    if not files:
        raise DataError(f"{path}: no file ends in .txt; a folder must hold VOC's, <comp>_cls_<split>_<class>.txt")
    lines = [f"{hashlib.sha256(content).hexdigest()}  {file.name}\n" for file, content in files.items()]
    sha256 = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return Source(path.absolute().name, sha256, voc.read_folder(files, str(path)))
