"""Small files that save time: read back only if they are, to the byte, what was written for the same key."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import StoreError
from bench.system.files import atomic_path
from bench.system.locks import exclusive
from bench.system.notes import note

if TYPE_CHECKING:
    import hashlib

MAGIC = b"bench-sealed 1 "
HEAD = len(MAGIC) + 64 + 1
"""Bytes before the content: the mark, a SHA-256 over key and content in hex, and a line break."""

CHUNK = 1 << 20


def write_sealed(path: Path, key: str, content: bytes | memoryview) -> None:
    """Write ``content`` so that ``read_sealed`` with the same ``key`` gives it back. Raises ``StoreError``."""
    hasher = _hasher(key)
    hasher.update(content)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_head(hasher))
        file.write(content)


def read_sealed(path: Path, key: str) -> bytes | None:
    """Return what was written to ``path`` for ``key``, or ``None`` where that is not what lies there."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            if not head.startswith(MAGIC):
                return None
            # Hashed before it is held: a file grown to any size is refused without taking its memory.
            hasher = _hasher(key)
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
            if head != _head(hasher):
                return None
            file.seek(HEAD)
            return file.read()
    except OSError:
        return None


def kept(path: Path, key: str, make: Callable[[], bytes], what: str) -> bytes:
    """Return ``make()``, or what it gave an earlier process for ``key`` and is kept, checksummed, in ``path``.

    One process makes it while the others wait. What is damaged is made anew with a word that names ``what`` it is.
    What cannot be kept is made each time. Raises what ``make`` raises.
    """
    content = read_sealed(path, key)
    if content is not None:
        return content
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(exclusive(path.with_name(path.name + ".lock"), what))
        content = read_sealed(path, key)
        if content is None:
            if path.exists():
                note(f"{what}: {path} is damaged, and made anew")
            content = make()
            keep(path, key, content)
    return content


def keep(path: Path, key: str, content: bytes) -> None:
    """Write ``content`` as ``write_sealed`` does; where that cannot be, a word of it is enough."""
    try:
        write_sealed(path, key, content)
    except StoreError as error:
        with _SAYING:  # of two threads that call it at once, a cached function runs twice
            _say_not_kept(path.parent, getattr(error.__cause__, "strerror", None) or str(error))


_SAYING = threading.Lock()


@cache
def _say_not_kept(folder: Path, reason: str) -> None:
    """Say once for each folder and reason that nothing is kept there."""
    note(f"nothing is kept in {folder}: {reason}")


def _hasher(key: str) -> hashlib._Hash:
    import hashlib

    content = key.encode()
    return hashlib.sha256(len(content).to_bytes(8, "little") + content)


def _head(hasher: hashlib._Hash) -> bytes:
    return MAGIC + hasher.hexdigest().encode() + b"\n"
