"""Which files plugins open to read: what no key holds can then be told of.

Python's audit events tell of them. Not heard: what compiled code, other threads and processes open by themselves.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

NOT_KEPT = frozenset({"site-packages", "dist-packages", "__pycache__"})
ELSEWHERE = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/run", "/var")
"""Folders of what is installed and compiled, by their names, and of the system's own files."""

CLOCKS = 1.0
"""Seconds by which a file's time may be behind the clock's."""


@dataclass(slots=True)
class Heard:
    """What a thread has opened for somebody since a moment, of ``time.time``: places as text."""

    since: float
    thread: int
    places: set[str] = field(default_factory=set)


_heard: dict[str, Heard] = {}
_hearing: list[Heard] = []


@contextlib.contextmanager
def heard(whom: str) -> Iterator[None]:
    """Keep under the name ``whom`` what the body opens to read; entered again, it adds up."""
    _listen()
    _hearing.append(_heard.setdefault(whom, Heard(time.time(), threading.get_ident())))
    try:
        yield
    finally:
        _hearing.pop()


def read_by(whom: str) -> list[Path]:
    """Return the files that ``whom`` has read and somebody keeps, in order.

    Left out are loaded modules, what is installed, the system's, what lies in hidden folders, as caches and settings
    of libraries do, and what was written since the first body began, which may be of its own making.
    """
    if (of := _heard.get(whom)) is None:
        return []
    modules = {str(getattr(one, "__file__", None)) for one in list(sys.modules.values())}
    paths = {Path(place).resolve() for place in of.places - modules if not place.endswith(".pyc")}
    return sorted(
        path for path in paths if _is_kept(path) and path.is_file() and path.stat().st_mtime < of.since - CLOCKS
    )


def _is_kept(path: Path) -> bool:
    hidden = any(part.startswith((".", "torchinductor_")) for part in path.parts)
    return not hidden and NOT_KEPT.isdisjoint(path.parts) and _elsewhere().isdisjoint(path.parents)


@cache
def _elsewhere() -> frozenset[Path]:
    return frozenset(
        Path(place).resolve() for place in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *ELSEWHERE)
    )


@cache
def _listen() -> None:
    """Begin to hear. It cannot be taken away again, so it is set once and silent where nobody asked."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _hearing and _hearing[-1].thread == threading.get_ident():
        path, mode, flags = arguments
        reads = isinstance(flags, int) and flags & os.O_ACCMODE == os.O_RDONLY and "+" not in str(mode)
        if reads and isinstance(path, str | bytes | os.PathLike):
            with contextlib.suppress(Exception):  # whatever a path object of a plugin's raises
                _hearing[-1].places.add(str(Path(os.fsdecode(path)).absolute()))
