"""Places where writing fails: a disk that is small, one that is read-only. Both need the right to mount."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path


class UnavailableError(Exception):
    """This process may not mount anything."""


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int):
    """Give ``folder`` as a file system of its own that holds so much. Raises ``UnavailableError``."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextlib.contextmanager
def read_only(folder: Path):
    """Have ``folder`` read-only, for root too. Raises ``UnavailableError``."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield folder
    finally:
        _unmount(folder)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UnavailableError("there is no program 'mount'") from error
    if done.returncode:
        raise UnavailableError(f"cannot mount: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    # Lazily: what a reader still has mapped keeps its content, and the name is free again.
    subprocess.run(["umount", "-l", str(folder)], check=True)
