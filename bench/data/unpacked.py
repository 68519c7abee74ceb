"""What archives left where they were unpacked, so that the same command does not fetch gigabytes a second time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

from bench.contracts import Archive
from bench.data.download import place
from bench.system.files import canonical_json
from bench.system.sealed_files import read_sealed, write_sealed


def remember(archive: Archive, downloads: Path, files: Mapping[str, int]) -> None:
    """Keep in ``downloads`` which ``files``, with their bytes, the archive held."""
    write_sealed(_list(archive, downloads), _key(archive), canonical_json(dict(files)).encode())


def unpacked(archive: Archive, downloads: Path, folder: Path) -> int:
    """Return how many files of the archive lie in ``folder``; 0 unless all do, with as many bytes as they had."""
    content = read_sealed(_list(archive, downloads), _key(archive))
    files: dict[str, int] = json.loads(content) if content else {}
    for name, size in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return 0
    return len(files)


def _list(archive: Archive, downloads: Path) -> Path:
    path = place(archive, downloads)
    return path.with_name(path.name + ".unpacked")


def _key(archive: Archive) -> str:
    return canonical_json(list(astuple(archive)))
