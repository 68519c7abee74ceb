"""Features on disk: one file per key, whose blocks of rows are each bound by a SHA-256 to the key and their place.

    header of the npy format | rows, little-endian float32, or float16 of maps | one SHA-256 for each block of rows

A file counts as whole only if its length and header are the expected ones and every hash holds; nothing in it is
parsed. The same hashes say which blocks an interrupted extraction had finished, and which of a damaged file are lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.errors import StoreError
from bench.records import FloatArray
from bench.system.files import allocate, sync_folder
from bench.system.threads import in_threads, thread_counts

HASH = 32
CHUNK = 1 << 18
"""Bytes read at once for hashing: they stay in the cores' caches, and memory does not follow the size of blocks."""


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """The features of ``key`` at ``path``: ``rows`` of ``shape``, a vector's or a map's, in blocks of ``block``.

    Maps are kept in half precision: they are a hundred times as large as vectors.
    """

    path: Path
    key: str
    rows: int
    shape: tuple[int, ...]
    block: int

    @property
    def kind(self) -> str:
        """Return NumPy's name of the type of the numbers."""
        return "<f4" if len(self.shape) == 1 else "<f2"

    @property
    def _row(self) -> int:
        """Return the bytes of one row."""
        return math.prod(self.shape) * np.dtype(self.kind).itemsize

    @property
    def blocks(self) -> int:
        """Return how many blocks there are."""
        return -(-self.rows // self.block)

    @property
    def size(self) -> int:
        """Return the length of a whole file in bytes."""
        return self._place(self.rows) + HASH * self.blocks

    def rows_of(self, block: int) -> range:
        """Return the rows of a block."""
        return range(block * self.block, min((block + 1) * self.block, self.rows))

    def open(self) -> FloatArray | None:
        """Return the features, memory-mapped, or ``None`` where the file is absent or not what was written.

        Every block is hashed once, by a thread for each core. Raises ``StoreError`` for another user's that this one
        may not read: it may be sound, and stays.
        """
        try:
            # Hashed and mapped through one descriptor: a file renamed into its place meanwhile changes nothing.
            with self.path.open("rb") as file:
                handle = file.fileno()
                if os.fstat(handle).st_size != self.size or os.pread(handle, len(self._header()), 0) != self._header():
                    return None
                if self._unsound(handle):
                    return None
                if not self.rows * self._row:
                    return np.zeros((self.rows, *self.shape), dtype=self.kind)
                return np.memmap(file, self.kind, "r", self._place(0), (self.rows, *self.shape))
        except PermissionError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}. Try: --cache with another folder") from error
        except OSError:
            return None

    @contextlib.contextmanager
    def writing(self, part: Path) -> Iterator[Writing]:
        """Give the file ``part`` to put the absent blocks into; once all are there, it becomes ``path``.

        What ``path`` or ``part`` hold already and is sound is kept. The whole length is allocated first, so a disk
        that is too small is told before anything is computed. Raises ``StoreError`` for what cannot be written.
        """
        with self._errors():
            damaged = self.path.exists()
            if damaged:
                self.path.replace(part)
            begun = part.exists()
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with self._errors():
                try:
                    self._allocate(handle)
                except OSError:
                    if not begun:
                        part.unlink(missing_ok=True)
                    raise
                missing = self._unsound(handle)
                damaged |= begun and any(self._hash_at(handle, block) != bytes(HASH) for block in missing)
            yield Writing(self, handle, missing, damaged)
            with self._errors():
                os.fsync(handle)
                part.replace(self.path)
                sync_folder(self.path.parent)
        finally:
            os.close(handle)

    def _header(self) -> bytes:
        """Return the header, 128 bytes, spelt here: NumPy's own differs in its padding between versions."""
        shape = str((self.rows, *self.shape))
        text = f"{{'descr': '{self.kind}', 'fortran_order': False, 'shape': {shape}, }}"
        return b"\x93NUMPY\x01\x00\x76\x00" + text.ljust(117).encode() + b"\n"

    def _place(self, row: int) -> int:
        return len(self._header()) + row * self._row

    def _hash_at(self, handle: int, block: int) -> bytes:
        return os.pread(handle, HASH, self._place(self.rows) + HASH * block)

    def _hasher(self, block: int) -> hashlib._Hash:
        shape = "x".join(map(str, self.shape))
        return hashlib.sha256(f"bench features 1 {self.key} {self.rows} {shape} {self.block} {block} ".encode())

    def _unsound(self, handle: int) -> list[int]:
        """Return the blocks that are absent or damaged."""
        sound = in_threads(lambda block: self._sound(handle, block), range(self.blocks), thread_counts()["cores"])
        return [block for block, fits in enumerate(sound) if not fits]

    def _sound(self, handle: int, block: int) -> bool:
        expected = self._hash_at(handle, block)
        if len(expected) < HASH or not any(expected):
            return False
        hasher = self._hasher(block)
        for content in self._content(handle, block):
            hasher.update(content)
        return hasher.digest() == expected

    def _content(self, handle: int, block: int) -> Iterator[bytes]:
        """Yield the bytes of a block's rows, up to where the file ends."""
        rows = self.rows_of(block)
        place, end = self._place(rows.start), self._place(rows.stop)
        while place < end and (content := os.pread(handle, min(CHUNK, end - place), place)):
            yield content
            place += len(content)

    def _allocate(self, handle: int) -> None:
        """Give the file header and length."""
        if os.fstat(handle).st_size > self.size:
            os.ftruncate(handle, self.size)
        allocate(handle, self.size)
        _write(handle, self._header(), 0)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot write {self.size / 1e6:,.1f} MB of features to {self.path}: {error.strerror or error}."
                " Try: --cache with another folder"
            ) from error


@dataclass(frozen=True, slots=True)
class Writing:
    """A feature file under way: the blocks that it lacks, and whether what was there of it is damaged."""

    file: FeatureFile
    handle: int
    missing: list[int]
    damaged: bool

    def write(self, block: int, values: FloatArray) -> None:
        """Put a block in its place, its hash last: what a killed process left half is absent."""
        content = self.put(self.file.rows_of(block).start, values)
        hasher = self.file._hasher(block)
        hasher.update(content)
        self._close(block, hasher)

    def put(self, row: int, values: FloatArray) -> memoryview:
        """Put rows of a block in their place, from ``row`` on, and return their bytes; until it is closed it is absent.

        A block that processes compute together is closed once each has put its rows.
        """
        content = np.ascontiguousarray(values, dtype=self.file.kind).data.cast("B")
        with self.file._errors():
            _write(self.handle, content, self.file._place(row))
        return content

    def close(self, block: int) -> None:
        """Write the hash of a block whose rows were put in their places."""
        hasher = self.file._hasher(block)
        with self.file._errors():
            for content in self.file._content(self.handle, block):
                hasher.update(content)
        self._close(block, hasher)

    def _close(self, block: int, hasher: hashlib._Hash) -> None:
        with self.file._errors():
            _write(self.handle, hasher.digest(), self.file._place(self.file.rows) + HASH * block)

    @classmethod
    @contextlib.contextmanager
    def beside(cls, file: FeatureFile, part: Path, missing: list[int]) -> Iterator[Writing]:
        """Give the file ``part``, which another process has begun to write and will end, to put ``missing`` into."""
        with file._errors():
            handle = os.open(part, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield cls(file, handle, missing, damaged=False)
            with file._errors():
                os.fsync(handle)
        finally:
            os.close(handle)


def _write(handle: int, content: bytes | memoryview, place: int) -> None:
    """Write all of ``content``. Written and not mapped: a full disk is then an error, where a map ends the process."""
    left = memoryview(content)
    while left:
        written = os.pwrite(handle, left, place)
        left, place = left[written:], place + written
