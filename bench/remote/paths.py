"""A folder elsewhere as data sets read one: a path whose files are listed there and read through kept blocks.

A plugin that asks ``pathlib`` for all that it needs, as ``root / "train.csv"`` with ``is_file``, ``iterdir``, ``glob``
and ``open``, reads ``s3://`` as it reads a disk. What hands a path to the system, as ``os.scandir`` or
``numpy.load(path)``, is refused with a word: the system knows no such file.
"""

from __future__ import annotations

import fnmatch
import io
import os
import stat
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PosixPath
from typing import IO, Any
from urllib.parse import unquote

from bench.errors import DataError, StorageError
from bench.remote.address import WEB, is_remote, normal, opened, reaching, scheme_of
from bench.remote.blocks import VERSIONS, BlockFile, Version, limit
from bench.system.files import digest

TIMES = (
    "LastModified",
    "last_modified",
    "Last-Modified",
    "updated",
    "mtime",
    "modified",
    "modify",
    "created",
    "last_commit",
)
"""What they call the time of a file; where there is nothing surer, it stands for its content."""

UNTOLD = f"untold {uuid.uuid4().hex}"
"""What stands for the content of files whose place tells neither: what this process keeps of them is no other's."""

LOCAL = ("file", "local")
"""Schemes of this machine's own files."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is listed of a file or folder; ``version`` is empty of a folder, ``size`` negative where it is not told."""

    folder: bool
    size: int = 0
    version: str = ""
    modified: float = 0.0


_LISTED: dict[str, Mapping[str, Entry]] = {}
"""Address of a folder -> what is in it, by name; empty where there is no such folder."""

_ROOTS: set[str] = set()
"""Addresses of data roots, which are folders: what is above them need not be readable."""

_LOCK = threading.RLock()


def data_root(path: str | Path) -> Path:
    """Return the folder at the address ``path``, for reading. Raises ``UsageError`` for an address refused."""
    address = normal(path)
    scheme, _, place = address.partition("://")
    if scheme in LOCAL:
        return Path(place)
    limit()  # said before anything is read
    with _LOCK:
        _ROOTS.add(address)
        if not isinstance(path, RemotePath):
            # Asked for anew, it is listed anew.
            for folder in [one for one in _LISTED if one == address or one.startswith(f"{address}/")]:
                del _LISTED[folder]
            opened(address)[0].invalidate_cache()
    return RemotePath(address)


class RemotePath(PosixPath):
    """A path below a data root elsewhere. Nothing is written through it."""

    __slots__ = ()

    def __str__(self) -> str:
        text = super().__str__()
        return text.replace(":/", "://", 1) if is_remote(text) else text

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str, ...]]:
        return type(self), self.parts

    def __fspath__(self) -> str:
        if not self._is_there():
            return super().__fspath__()
        raise DataError(
            f"{self}: what reads it asks the system for a file, which there is none of on this machine."
            " Try: copy the folder to a disk and name that"
        )

    def _is_there(self) -> bool:
        """Return whether this is an address: joined with a whole path, it is one of this machine's."""
        return is_remote(super().__str__())

    def _entry(self) -> Entry | None:
        if ".." in self.parts:
            return None
        address = str(self)
        above, _, name = address.rpartition("/")
        with _LOCK:
            known = _LISTED.get(above)
        if known is None and (address in _ROOTS or above.endswith("/")):
            if listing(address):
                return Entry(folder=True)
            if above.endswith("/"):  # a bucket
                return None
        entry = (listing(above) if known is None else known).get(name)
        return entry if entry is None or entry.size >= 0 else _asked(address)

    def _version(self) -> Version:
        entry = self._entry()
        if entry is None or entry.folder:
            error = IsADirectoryError(21, "Is a folder") if entry else FileNotFoundError(2, "No such file")
            error.filename = str(self)
            raise error
        if entry.size < 0:
            raise StorageError(f"cannot read {self}: its place does not tell how long it is. Try: copy it to a disk")
        return Version(str(self), entry.size, entry.version)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return kind, length, time, and as the file's number what tells it from a changed one."""
        if not self._is_there():
            return super().stat(follow_symlinks=follow_symlinks)
        entry = self._entry()
        if entry is None:
            raise FileNotFoundError(2, "No such file or folder", str(self))
        kind = stat.S_IFDIR | 0o555 if entry.folder else stat.S_IFREG | 0o444
        number, time = int(digest(str(self), entry.version), 16) >> 1, int(entry.modified)
        nanoseconds = {f"st_{what}time_ns": int(entry.modified * 1e9) for what in "amc"}
        return os.stat_result((kind, number, 0, 1, 0, 0, entry.size, time, time, time), nanoseconds)

    def lstat(self) -> os.stat_result:
        """Return ``stat``: there are no links."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such a file or folder."""
        return self._entry() is not None if self._is_there() else Path(super().__str__()).exists()

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such a file."""
        if not self._is_there():
            return Path(super().__str__()).is_file()
        entry = self._entry()
        return entry is not None and not entry.folder

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such a folder."""
        if not self._is_there():
            return Path(super().__str__()).is_dir()
        entry = self._entry()
        return entry is not None and entry.folder

    def is_symlink(self) -> bool:
        """Return false, unless it is a path of this machine."""
        return not self._is_there() and Path(super().__str__()).is_symlink()

    def absolute(self) -> RemotePath:
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> Path:  # type: ignore[override]
        """Return the path itself."""
        return self if self._is_there() else Path(super().__str__()).resolve(strict)

    def iterdir(self) -> Iterator[RemotePath]:  # type: ignore[override]
        """Yield what is in the folder, by name."""
        if not self.is_dir():
            raise FileNotFoundError(2, "No such folder", str(self))
        yield from (self / name for name in sorted(listing(str(self))))

    def glob(self, pattern: str, **_: Any) -> Iterator[RemotePath]:  # type: ignore[override]
        """Yield what fits ``pattern``, as ``pathlib`` reads it, by name."""
        first, _slash, rest = pattern.partition("/")
        if first == "**":
            for folder in self._folders():
                yield from folder.glob(rest) if rest else (folder,)
            return
        for name in sorted(listing(str(self))):
            if fnmatch.fnmatchcase(name, first):
                found = self / name
                if not rest:
                    yield found
                elif found.is_dir():
                    yield from found.glob(rest)

    def rglob(self, pattern: str, **_: Any) -> Iterator[RemotePath]:  # type: ignore[override]
        """Yield what fits ``pattern`` here and in all folders below."""
        yield from self.glob(f"**/{pattern}")

    def _folders(self) -> Iterator[RemotePath]:
        yield self
        for path in self.iterdir():
            if path.is_dir():
                yield from path._folders()

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open the file for reading."""
        if not self._is_there():
            return Path(super().__str__()).open(mode, buffering, encoding, errors, newline)
        if set(mode) & set("wax+"):
            raise DataError(f"{self}: nothing is written to a data root")
        raw = BlockFile(self._version())
        if buffering == 0:
            return raw  # type: ignore[return-value]
        file = io.BufferedReader(raw, 1 << 16)
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    def read_bytes(self) -> bytes:
        """Return the content."""
        with self.open("rb", buffering=0) as file:
            content: bytes = file.read()
        return content

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """Return the content as text."""
        with self.open("r", encoding=encoding, errors=errors, newline=newline) as file:
            text: str = file.read()
        return text

    @property
    def content_version(self) -> str:
        """Return what stands for the file's content without reading it."""
        return self._version().told


def listing(address: str) -> Mapping[str, Entry]:
    """Return what is in the folder at ``address``, by name; empty: there is no such folder. Raises ``StorageError``."""
    with _LOCK:
        found = _LISTED.get(address)
        if found is None:
            system, place = opened(address)
            with reaching(address, "list"):
                try:
                    told = system.ls(place, detail=True)
                except (FileNotFoundError, NotADirectoryError):
                    told = []
            own = place.strip("/")
            found = {}
            for info in told:
                whole = str(info["name"]).rstrip("/")
                name = whole.rpartition("/")[2]
                if scheme_of(address) in WEB:  # a page's links; those behind "?" sort it
                    name = unquote(name.partition("?")[0])
                # Of a file, and of a folder that is an object, it is the place itself.
                if whole.strip("/") != own and name not in {"", ".", ".."}:
                    found[name] = entry_of(info)
            _LISTED[address] = found
    return found


def _asked(address: str) -> Entry:
    """Return what is told of a file whose folder's list tells names alone, asked for once. Raises ``StorageError``."""
    system, place = opened(address)
    with reaching(address, "read"):
        entry = entry_of(system.info(place))
    above, _, name = address.rpartition("/")
    with _LOCK:
        _LISTED[above] = {**_LISTED.get(above, {}), name: entry}
    return entry


def entry_of(info: Mapping[str, Any]) -> Entry:
    """Return what a file system tells of a file or folder."""
    if info.get("type") == "directory":
        return Entry(folder=True)
    version = next((f"{name} {info[name]}" for name in (*VERSIONS, *TIMES) if info.get(name)), UNTOLD)
    time = next((info[name] for name in TIMES if info.get(name)), 0.0)
    modified = time.timestamp() if isinstance(time, datetime) else time if isinstance(time, int | float) else 0.0
    size = info.get("size")
    return Entry(False, -1 if size is None else int(size), version, float(modified))
