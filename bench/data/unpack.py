"""Archives unpacked so that nothing lands outside their folder, and half a folder is not taken for a whole one."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import DataError
from bench.system.progress import progress_bar

FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""A second guard against what is refused below anyway; Python 3.11 has it from 3.11.4 on."""

MARK = ".{}.unpacking"
"""Name of the file that lies in the folder while an archive is unpacked into it."""

DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(
        EOFError,
        RuntimeError,
        ValueError,
        OverflowError,
        LookupError,
        TypeError,
        AttributeError,
        MemoryError,
        struct.error,
    ),
)
"""What the standard library raises for archives that are cut, damaged, encrypted or of unknown compression."""


def extract(path: Path, folder: Path) -> int:
    """Unpack a tar or zip file into ``folder`` and return how many files it held.

    Raises ``DataError`` before anything is written where a member would lie outside ``folder``, is a link or a
    device, or there is not enough space; and for a file that is no archive, or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                for entry in entries:
                    if stat.S_ISLNK(entry.external_attr >> 16):
                        raise _no_file(path, entry.filename)
                _check(path, folder, ((entry.filename, entry.file_size) for entry in entries))
                mark = _begin(path, folder)
                for entry in progress_bar(entries, f"unpacking {path.name}", unit="files"):
                    archive.extract(entry, folder)
                count = len(entries)
        else:
            with tarfile.open(path) as archive:
                members = [member for member in archive.getmembers() if not member.isdir()]
                for member in members:
                    if not member.isfile():
                        raise _no_file(path, member.name)
                _check(path, folder, ((member.name, member.size) for member in members))
                mark = _begin(path, folder)
                for member in progress_bar(members, f"unpacking {path.name}", unit="files"):
                    archive.extract(member, folder, **FILTER)
                count = len(members)
    except DAMAGED as error:
        if isinstance(error, getattr(tarfile, "FilterError", ())):
            raise DataError(f"{path} was unpacked in part only, to {folder}: {error}") from None
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise DataError(
            f"{path} is no archive, or damaged: {reason}. Delete it and run the same command again"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path} was unpacked in part only, to {folder}: {error.strerror or error}."
            " Mend that and run the same command again"
        ) from error
    mark.unlink()
    return count


def unfinished(folders: Iterable[Path]) -> str:
    """Return the name of an archive that was not unpacked to its end into one of ``folders``, or nothing."""
    for folder in folders:
        for mark in sorted(folder.glob(MARK.format("*"))):
            return mark.name.removeprefix(".").removesuffix(".unpacking")
    return ""


def _begin(path: Path, folder: Path) -> Path:
    mark = folder / MARK.format(path.name)
    mark.touch()
    return mark


def _no_file(path: Path, name: str) -> DataError:
    return DataError(f"{path}: member '{name}' is a link or a device, only files are unpacked; nothing was unpacked")


def _check(path: Path, folder: Path, sizes: Iterable[tuple[str, int]]) -> None:
    needed = 0
    for name, size in sizes:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or re.match("[A-Za-z]:", name) or not parts.parts:
            raise DataError(f"{path}: member '{name}' lies outside the archive; nothing was unpacked")
        needed += size
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{path}: unpacked it takes {needed / 1e9:.2f} GB, {folder} has {free / 1e9:.2f} GB free;"
            " nothing was unpacked"
        )
