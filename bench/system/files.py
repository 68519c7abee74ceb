"""Files that are either whole or absent: written beside their place, flushed, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import StoreError, UsageError
from bench.system.text import ESCAPE

LEFTOVER = ".bench-part"
"""What the names of temporary files end in."""

SETTLED = 60
"""Seconds after which a temporary file without a lock has no writer: it is locked at once when it is made."""


def default_cache() -> Path:
    """Return the folder for features and small pre-trained backbones, by the platform's convention.

    Raises ``UsageError`` for a user without a home.
    """
    return own_folder("cache")


def own_folder(kind: str) -> Path:
    """Return the user's folder for this program's files of a ``kind``, ``cache`` or ``data``."""
    import platformdirs

    try:
        found: Path = getattr(platformdirs, f"user_{kind}_path")("multilabel-bench")
        if found.is_absolute():
            return found
    except RuntimeError:  # what platformdirs makes of a user without a home depends on its version
        pass
    remedy = f"export HOME=FOLDER, or XDG_{kind.upper()}_HOME=FOLDER"
    raise UsageError(f"no home folder: HOME is not set, and user {os.getuid()} has none. Try: {remedy}")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it replaces ``path``, on failure it is removed.

    What killed processes left of theirs is removed too. Raises ``StoreError`` where the folder cannot be written or
    the disk is full, and where ``path`` is no plain file, as a device or a pipe: it would be gone.
    """
    temporary: Path | None = None
    handle = -1
    try:
        # /dev/stdout is a link to a file wherever output is sent to one.
        if (path.exists() and not path.is_file()) or (path.is_symlink() and path.readlink().is_relative_to("/proc")):
            raise StoreError(f"cannot write {path}: what is there is no plain file. Try: another one with --out")
        make_folder(path.parent)
        _remove_leftovers(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=LEFTOVER)
        # Held until it is renamed: the lock says that its writer lives.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        temporary = Path(name)
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}. Try: another folder with --out") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle >= 0:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it where they are absent, so that a power loss takes none of them back."""
    if re.match("[A-Za-z][A-Za-z0-9+.-]+:/", str(folder)):
        raise StoreError(f"{folder} is an address, and what is written there has to be in a folder. Try: a path")
    absent = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in absent:
        sync_folder(each.parent)


def allocate(handle: int, size: int) -> None:
    """Give an open file its length, on disk where the file system can: a hole may find no room later.

    Raises ``OSError`` where the disk is full.
    """
    try:
        os.posix_fallocate(handle, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
            raise
        os.ftruncate(handle, size)


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` written to disk: without that a power loss takes back a rename, file and all.

    Where the file system cannot, as some network ones, what it does by itself has to do.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@cache
def _remove_leftovers(folder: Path) -> None:
    """Remove, once for each folder, temporary files whose writers are dead: their locks are free and they are old."""
    now = time.time()
    for path in folder.glob(f".*{LEFTOVER}"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if now - os.fstat(file.fileno()).st_mtime > SETTLED:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` so that a reader, or a crash, sees the old file or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex. Raises ``OSError`` where it cannot be read."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with sorted keys and no spaces, so that equal values have equal text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", ESCAPE).decode()


def digest(*parts: str | bytes) -> str:
    """Return 16 hex digits of SHA-256 over ``parts``, each preceded by its length so that borders count."""
    import hashlib

    hasher = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(len(content).to_bytes(8, "little"))
        hasher.update(content)
    return hasher.hexdigest()[:16]


def matching(root: Path, pattern: str) -> list[Path]:
    """Return the paths below ``root`` that match ``pattern``; what another process removes meanwhile is none of them.

    At a folder that goes while it is looked into, pathlib's own ``glob`` fails.
    """
    return [root / name for name in glob.glob(pattern, root_dir=root, include_hidden=True)]  # noqa: PTH207
