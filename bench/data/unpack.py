"""Archives unpacked so that nothing lands outside their folder, and half a folder is not taken for a whole one."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from bench.errors import DataError
from bench.system.progress import progress_bar

FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""A second guard against what is refused below anyway; Python 3.11 has it from 3.11.4 on."""

MARK = ".{}.unpacking"
"""Name of the file that lies in the folder while an archive is unpacked into it."""

DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(RuntimeError, ValueError, OverflowError, LookupError, TypeError, AttributeError, MemoryError),
)
"""What the standard library raises for archives that are cut, damaged, encrypted or of unknown compression."""


def extract(path: Path, folder: Path) -> dict[str, int]:
    """Unpack a tar or zip file into ``folder`` and return the files that it held, with their bytes.

    Raises ``DataError`` before anything is written where a member would lie outside ``folder``, is a link or a
    device, or there is not enough space; and for a file that is no archive, or damaged.
    """
    try:
        with _opened(path) as (members, write):
            _check(path, folder, members)
            mark = folder / MARK.format(path.name)
            mark.touch()
            for member in progress_bar(members, f"unpacking {path.name}", unit="files"):
                write(member.entry, folder)
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
    return {member.name: member.size for member in members}


def unfinished(folders: Iterable[Path]) -> str:
    """Return the name of an archive that was not unpacked to its end into one of ``folders``, or nothing."""
    for folder in folders:
        for mark in sorted(folder.glob(MARK.format("*"))):
            return mark.name.removeprefix(".").removesuffix(".unpacking")
    return ""


class _Member(NamedTuple):
    """A file of an archive, or what is none: a link, a device. ``entry`` is the standard library's."""

    entry: Any
    name: str
    size: int
    is_file: bool


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[list[_Member], Callable[[Any, Path], object]]]:
    """Open a zip or tar file; give what it holds, and what writes an entry into a folder."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            of_zip = [
                _Member(one, one.filename, one.file_size, not stat.S_ISLNK(one.external_attr >> 16)) for one in entries
            ]
            yield of_zip, archive.extract
    else:
        with tarfile.open(path) as tape:
            of_tar = [_Member(one, one.name, one.size, one.isfile()) for one in tape.getmembers() if not one.isdir()]
            yield of_tar, partial(tape.extract, **FILTER)


def _check(path: Path, folder: Path, members: Iterable[_Member]) -> None:
    needed = 0
    for member in members:
        if not member.is_file:
            what = f"member '{member.name}' is a link or a device, only files are unpacked"
            raise DataError(f"{path}: {what}; nothing was unpacked")
        parts = PurePosixPath(member.name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or re.match("[A-Za-z]:", member.name) or not parts.parts:
            raise DataError(f"{path}: member '{member.name}' lies outside the archive; nothing was unpacked")
        needed += member.size
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{path}: unpacked it takes {needed / 1e9:.2f} GB, {folder} has {free / 1e9:.2f} GB free;"
            " nothing was unpacked"
        )
