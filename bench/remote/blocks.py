"""Files of other places, read by blocks that are kept on disk up to a limit; the least recently used go first.

A block is bound to address, version (an ETag or what stands for one), length and place, and sealed by a SHA-256: what
is damaged is fetched anew, and a file that has changed there is another one. Blocks are placed whole by a rename, so
processes share them without waiting for one another.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import StorageError, UsageError
from bench.remote.address import opened, reaching, scheme_of
from bench.system.files import default_cache, digest, make_folder
from bench.system.notes import note
from bench.system.sealed_files import HEAD, keep, kept, read_sealed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

VERSIONS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "crc32c", "generation", "sha256", "blob_id", "oid")
"""What file systems call that which tells a file's content, the surest first."""

BLOCK = 8 << 20
"""Bytes that are fetched at once: large enough that waiting for the answer is not what takes time."""

LIMIT, GB = "BENCH_REMOTE_GB", 20.0
"""Environment variable, and what it is unless set: the most that kept blocks take on disk, in GB."""

LEFT = 0.9
"""Share of the limit that is left when it is reached, so that not every block has to look for others to remove."""

IN_MEMORY = 64 << 20
"""Bytes of the blocks read last, which are not read and hashed again: neighbours in a shard lie in one."""

PAUSES = (0.5, 2.0)
"""Seconds before a block that did not come is asked for again."""

KEPT = "What came is kept, and so is what was computed. The same command continues"


@dataclass(frozen=True, slots=True)
class Version:
    """A file elsewhere as it was listed: its address, length in bytes, and what tells it from a changed one."""

    address: str
    size: int
    version: str

    @property
    def told(self) -> str:
        """Return what stands for the file's content without reading it."""
        return f"{self.address} {self.size} {self.version}"

    def block(self, number: int) -> bytes:
        """Return block ``number``, from memory, disk or the place itself. Raises ``StorageError``."""
        name = digest(self.address, self.version, str(self.size), str(BLOCK), str(number))
        with _LOCKS[int(name, 16) % len(_LOCKS)]:
            content = _HELD.get(name)
            if content is None:
                content = self._kept_or_fetched(name, number)
                _HELD.put(name, content)
        return content

    def _kept_or_fetched(self, name: str, number: int) -> bytes:
        path = folder() / f"{name}.block"
        length = min(BLOCK, self.size - number * BLOCK)
        content = read_sealed(path, name)
        if content is not None and len(content) == length:
            with contextlib.suppress(OSError):
                os.utime(path)  # when it was used last, where the system does not note that
            return content
        if path.exists():
            note(f"a kept block of {self.address} is damaged, and fetched again")
        content = self._fetched(number * BLOCK, length)
        if _make_room(path.parent, HEAD + length):
            keep(path, name, content)
        return content

    def _fetched(self, start: int, length: int) -> bytes:
        system, place = opened(self.address)
        for pause in (*PAUSES, None):
            try:
                with reaching(self.address, "read", KEPT):
                    content, now = self._asked(system, place, start, length)
                break
            except StorageError as error:
                if pause is None or isinstance(error.__cause__, FileNotFoundError | PermissionError):
                    raise
                time.sleep(pause)
        name, _, value = self.version.partition(" ")
        told = str(now.get(name, value)) if name in VERSIONS else value
        if told != value or now.get("size", self.size) != self.size:
            raise StorageError(f"cannot read {self.address}: it was changed meanwhile. Try: the same command again")
        if len(content) == self.size > length:
            raise StorageError(
                f"cannot read {self.address}: its server gives no parts of files. Try: copy it to a disk"
            )
        if len(content) != length:
            raise StorageError(
                f"cannot read {self.address}: {len(content):,} of {length:,} bytes came. Try: the same command again"
            )
        return content

    def _asked(self, system: Any, place: str, start: int, length: int) -> tuple[bytes, Mapping[str, Any]]:
        """Return bytes of the file, and what its server says of it as it is now."""
        if self.address.startswith(("s3://", "s3a://")):
            # Opened, it is asked for by its ETag, so that a changed one is an error.
            with system.open(place, "rb", cache_type="none") as file:
                now = getattr(file, "details", None) or {}
                file.seek(start)
                return bytes(file.read(length)), now
        content = bytes(system.cat_file(place, start=start, end=start + length))
        # What was listed before is the file as it was; the hub's would list the folder for each file.
        if scheme_of(self.address) == "hf":
            return content, system.info(place, refresh=True, expand_info=True)
        system.invalidate_cache()
        return content, system.info(place)


def version_of(file: object) -> str:
    """Return what stands for the content of an open file elsewhere; empty of one that is on this machine."""
    raw = getattr(file, "raw", file)
    return raw.source.told if isinstance(raw, BlockFile) else ""


def remembered(versions: Iterable[str], make: Callable[[], str]) -> str:
    """Return ``make()``, a hash over files elsewhere of these versions, or what it gave before: nothing is read."""
    key = digest(*versions)
    return kept(folder() / f"{key}.hash", key, lambda: make().encode(), "the hash of pictures elsewhere").decode()


class BlockFile(io.RawIOBase):
    """A file elsewhere, open for reading; seeking costs nothing."""

    def __init__(self, source: Version) -> None:
        self.source, self._place = source, 0
        self.name = source.address

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, from the start, from here or from the end."""
        place = offset + (0, self._place, self.source.size)[whence]
        if place < 0:
            raise ValueError(f"negative seek position {place}")
        self._place = place
        return place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill ``buffer`` as far as the file goes and return how many bytes that were."""
        target = memoryview(buffer).cast("B")
        done, wanted = 0, min(len(target), max(self.source.size - self._place, 0))
        while done < wanted:
            number, start = divmod(self._place, BLOCK)
            piece = self.source.block(number)[start : start + wanted - done]
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._place += len(piece)
        return done

    def readall(self) -> bytes:
        """Return the rest."""
        rest = bytearray(max(self.source.size - self._place, 0))
        self.readinto(rest)
        return bytes(rest)


class _Held:
    """The blocks read last, up to ``IN_MEMORY`` bytes."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[str, bytes] = OrderedDict()
        self._size, self._lock = 0, threading.Lock()

    def get(self, name: str) -> bytes | None:
        with self._lock:
            if name in self._blocks:
                self._blocks.move_to_end(name)
            return self._blocks.get(name)

    def put(self, name: str, content: bytes) -> None:
        with self._lock:
            self._blocks[name] = content
            self._size += len(content)
            while self._size > IN_MEMORY and len(self._blocks) > 1:
                self._size -= len(self._blocks.popitem(last=False)[1])


_HELD = _Held()
_LOCKS = tuple(threading.Lock() for _ in range(64))
"""Of blocks, by their names: threads that need the same one wait for the first to fetch it."""


def folder() -> Path:
    """Return where blocks are kept."""
    return default_cache() / "remote"


def limit() -> int:
    """Return how many bytes kept blocks may take. Raises ``UsageError`` for a limit that is no number."""
    given = os.environ.get(LIMIT, "")
    try:
        most = float(given or GB)
    except ValueError:
        most = -1.0
    if not 0 <= most < 1e9:
        raise UsageError(f"{LIMIT}: found '{given}', allowed: a number of GB, 0 to keep nothing. Try: {LIMIT}=20")
    return int(most * 1e9)


def _make_room(place: Path, size: int) -> bool:
    """Return whether a block of ``size`` bytes may be kept, others removed for it where the limit asks for that.

    What is taken stands in a file that all processes add to under a lock, so that few blocks need a look at all.
    """
    most = limit()
    if size > most * LEFT:
        return False
    with contextlib.suppress(OSError):
        make_folder(place)
        with (place / "used").open("a+b") as file:
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            told = file.read(32)
            used = int(told) if told.isdigit() else -1
            if used < 0 or used + size > most:
                used = _removed_down_to(place, size, most)
            file.truncate(0)
            file.write(str(used + size).encode())
    return True


def _removed_down_to(place: Path, size: int, most: int) -> int:
    """Return what the blocks take, those used longest ago removed where no ``size`` bytes more have room."""
    found = []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith(".block"):
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
    used = sum(length for _, length, _ in found)
    if used + size <= most:
        return used
    for _, length, path in sorted(found):
        if used + size <= most * LEFT:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
            used -= length
    return used
