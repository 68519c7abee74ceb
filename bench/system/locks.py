"""Locks between processes. The system lets go of a dead process's lock, so nothing has to be cleared by hand."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.system.notes import note

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS})
"""What file systems without locks answer; some network ones have none."""


@contextlib.contextmanager
def exclusive(path: Path, what: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file ``path`` against other processes and threads; give whether this file system has locks.

    While another holds it, this waits with a word that names ``what`` it waits for; without ``wait``, raises
    ``BlockingIOError``. The file is removed when the lock is given back. Raises ``OSError`` where it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        locked, told = True, False
        while True:
            file = stack.enter_context(path.open("a+b"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                if not told:
                    note(f"waiting for {_holder(file)}, which is at work on {what}")
                told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                locked = False
            # The one that held it has removed the file: a lock on what is left keeps nobody out.
            if not locked or _is_at(file, path):
                break
            file.close()
        stack.callback(path.unlink, missing_ok=True)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()
        yield locked


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(200).decode(errors="replace") or "another process"
