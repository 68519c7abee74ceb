"""Archives of results: plain tar files of which each byte is fixed by names and contents, and nothing else is read.

    index.json                 layout, who packed it, and of each run its key, its files' SHA-256 and what was left out
    runs/<key>/<file>          a run's files, config.json first, as they lie in its folder

A header is compared whole with the only one that a file of that name and size can have. So links, devices, other
owners, sparse files, extended headers, paths that leave the archive and compressed content do not have to be looked
for: no archive that is read can hold them.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bench.errors import StoreError
from bench.store.required import MAY_BE_LEFT_OUT, RECORDS
from bench.store.sealed import KEY, SCHEMA

INDEX, FORMAT = "index.json", "multilabel-bench results 1"
BLOCK = tarfile.BLOCKSIZE
SHA256 = re.compile("[0-9a-f]{64}")

PICTURES = {name for record in ("gallery", "attention") for name in RECORDS[record]}
PRIVATE = {name for record in MAY_BE_LEFT_OUT for name in RECORDS[record]} - PICTURES
"""Files that no archive holds: paths of the machine, and weights."""
FILES = {name for record, names in RECORDS.items() for name in names if record != "provenance"} - PRIVATE - PICTURES
"""Files of a run that every archive holds where the run has them; pictures are held where they were asked for."""

MOST_RUNS, MOST_JSON = 10_000, 2**26
"""Runs in an archive, and bytes of one of its JSON files."""


@dataclass(frozen=True, slots=True)
class PackedRun:
    """One run of an archive: the SHA-256 of each file that it holds, and of each that it was packed without."""

    key: str
    files: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Index:
    """What an archive says that it holds; ``by`` is who packed it, as they say."""

    runs: tuple[PackedRun, ...]
    by: str = ""


def header(name: str, size: int) -> bytes:
    """Return the only header that a file of ``name`` and ``size`` bytes has in an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    return entry.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def write_index(index: Index) -> bytes:
    """Return the content of an archive's index."""
    runs = [{"key": run.key, "files": dict(run.files), "left_out": dict(run.left_out)} for run in index.runs]
    record = {"format": FORMAT, "layout": SCHEMA, "by": index.by, "runs": runs}
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode("ascii")


def parse_index(content: bytes, place: Path) -> Index:
    """Return an archive's index. Raises ``StoreError`` for what none can say."""
    record = _record(content, place)
    if record.get("format") != FORMAT:
        raise StoreError(f"{place} holds no results of this benchmark. See: bench results pack")
    if record.get("layout") != SCHEMA:
        raise StoreError(
            f"{place}: its runs are of layout {record.get('layout')!r:.20}, this bench reads {SCHEMA}."
            " Try: the bench that packed it, or packing it anew"
        )
    try:
        runs = tuple(
            PackedRun(str(run["key"]), dict(run["files"]), dict(run["left_out"])) for run in list(record["runs"])
        )
        by = record["by"]
    except (KeyError, TypeError, ValueError):
        raise StoreError(f"{place}: its index is not as an archive has it") from None
    keys = [run.key for run in runs]
    hashes = [one for run in runs for one in (*run.files.values(), *run.left_out.values())]
    faults = {
        "names no run, or too many": not 0 < len(runs) <= MOST_RUNS,
        "holds a key that is none": not all(map(KEY.fullmatch, keys)),
        "names a run twice": len(set(keys)) < len(keys),
        "says a SHA-256 that is none": not all(isinstance(one, str) and SHA256.fullmatch(one) for one in hashes),
        "names a file that no run packed has": not all({*run.files} <= FILES | PICTURES for run in runs),
        "leaves out what cannot be": not all({*run.left_out} <= PICTURES | PRIVATE for run in runs),
        "names a file twice": any({*run.files} & {*run.left_out} for run in runs),
        "says by whom in no short text": not isinstance(by, str) or not by.isprintable() or len(by) > 100,
    }
    for what, found in faults.items():
        if found:
            raise StoreError(f"{place}: its index {what}")
    return Index(runs, by)


def order(files: Mapping[str, str]) -> list[str]:
    """Return the names of a run's files in the order of an archive."""
    return sorted(files, key=lambda name: (name != "config.json", name))


def members(index: Index) -> Iterator[tuple[PackedRun, str]]:
    """Yield each run of an archive with the name of each of its files, in the order in which they lie in it."""
    yield from ((run, name) for run in index.runs for name in order(run.files))


def padding(size: int) -> int:
    """Return how many zeros follow a file of ``size`` bytes."""
    return -size % BLOCK


def ending(size: int) -> bytes:
    """Return what ends an archive whose files and headers take ``size`` bytes."""
    return bytes(2 * BLOCK + -(size + 2 * BLOCK) % tarfile.RECORDSIZE)


class Reader:
    """Reads an archive from its start to its end; each file is asked for by the name that it must have."""

    def __init__(self, file: BinaryIO, place: Path) -> None:
        self.file, self.place, self.read = file, place, 0

    def size_of(self, name: str) -> int:
        """Return the size of the next file, which must be ``name``. Raises ``StoreError`` for another header."""
        found = self._take(BLOCK)
        try:
            size = int(found[124:135], 8)
        except ValueError:
            size = -1
        if size < 0 or found != header(name, size):
            raise StoreError(
                f"{self.place}: no results, damaged, or made by other means than bench results pack: at {name}"
            )
        return size

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the content of a file whose ``size`` was asked for, piece by piece."""
        left = size
        while left:
            piece = self._take(min(left, 2**20))
            left -= len(piece)
            yield piece
        if any(self._take(padding(size))):
            raise StoreError(f"{self.place}: there are bytes between its files")

    def end(self) -> None:
        """Raise ``StoreError`` unless the archive ends here."""
        expected = ending(self.read)
        if self.file.read(len(expected) + 1) != expected:
            raise StoreError(f"{self.place}: it does not end where its index does")

    def _take(self, count: int) -> bytes:
        found = self.file.read(count)
        if len(found) < count:
            raise StoreError(f"{self.place}: no results, or cut off")
        self.read += count
        return found


def read_index(reader: Reader) -> Index:
    """Return the index, with which an archive begins."""
    size = reader.size_of(INDEX)
    if size > MOST_JSON:
        raise StoreError(f"{reader.place}: its index is too large")
    return parse_index(b"".join(reader.chunks(size)), reader.place)


def path_of(run: PackedRun, name: str) -> str:
    """Return how a run's file is called in an archive."""
    return f"runs/{run.key}/{name}"


def _record(content: bytes, place: Path) -> dict[str, Any]:
    try:
        record = json.load(io.BytesIO(content))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise StoreError(f"{place}: its index is no JSON object")
    return record
