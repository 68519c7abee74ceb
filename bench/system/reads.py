"""Which files foreign code reads, as Python's audit events tell: also those whose names are made at run time.

Not heard: what compiled code and child processes open by themselves.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench.system.modules import is_installed

_read: dict[str, set[tuple[str, str]]] = {}
"""By who was called: files that were read in this process so far, each with the source that read it."""

MOST = 10_000
"""Files that are kept of one name: more are pictures."""

IMPORTED = ""
"""In place of who was called: what a module reads as it is imported is read for all that it is imported by."""

_written: set[str] = set()
_called: list[tuple[str, FrameType | None]] = []
"""Names of who is called, each with the function of the host that calls."""

_hooked: list[bool] = []


@contextlib.contextmanager
def heard(called: str) -> Iterator[None]:
    """Keep which files the body opens to read, that it did not write before, under the name ``called``."""
    if not _hooked:
        sys.addaudithook(_hear)  # it cannot be taken away again, and is silent where nobody listens
        _hooked.append(True)
    _called.append((called, _caller()))
    try:
        yield
    finally:
        _called.pop()


def read_by(sources: Collection[Path], *called: str) -> list[Path]:
    """Return the files that ``sources``, or what they call, read so far, as far as they are there.

    Of a compiled module it is the source. What is installed is left out, and what programs keep for the next time or
    for a while, in caches and temporary folders, unless it lies with one of ``sources`` or in the folder above.
    """
    read = {one for name in (*called, IMPORTED) for one in _read.get(name, ())}
    files = {_source(place) for place, by in read if Path(by).resolve() in sources}
    near = {folder for one in sources for folder in one.parents[:2]}
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - a user without a home is no error here
    named = [Path(os.environ[name]) for name in _CACHES if os.environ.get(name)]
    temporary = Path(tempfile.gettempdir())
    kept = {one.resolve() for one in (home / ".cache", home / ".config", home / ".local", temporary, *named)}
    return sorted(
        one
        for one in files
        if one.is_file() and is_own(str(one))
        if kept.isdisjoint(one.parents) or not near.isdisjoint(one.parents)
    )


_CACHES = ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME")
"""Environment variables that say where libraries keep what they fetched."""

_HOST = f"{Path(__file__).parents[1]}{os.sep}"

_BORDER = {__file__, contextlib.__file__, f"{_HOST}guard.py"}

_NOT_OWN = {
    *(Path(place).resolve() for place in (sys.prefix, sys.base_prefix, _HOST)),
    Path(os.__file__).resolve().parent,
    *map(Path, ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr")),
}
"""Folders of what is installed, of this package, and of the system."""


@cache
def is_own(place: str) -> bool:
    """Return whether a file is neither installed nor the system's."""
    path = Path(place).resolve()
    return path.is_file() and _NOT_OWN.isdisjoint(path.parents) and not is_installed(path)


def _source(place: str) -> Path:
    """Return the file at ``place``; of what lies in a ``__pycache__`` the source, as far as that is there."""
    file = Path(place)
    source = file.parents[1] / f"{file.name.partition('.')[0]}.py" if file.parent.name == "__pycache__" else file
    return (source if source.is_file() else file).resolve()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _called and event == "open":
        with contextlib.suppress(Exception):  # it would be raised where the file is opened
            _keep(*arguments)


def _keep(path: Any, mode: Any, flags: int) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return  # a file that is open already
    place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - the compiled code of a link lies beside the link
    if any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR):
        _written.add(place)
    elif place not in _written and (own := _own_frames()):
        name = IMPORTED if any(code.co_name == "<module>" for code in own) else _called[-1][0]
        if len(read := _read.setdefault(name, set())) < MOST:
            read.add((place, own[0].co_filename))


def _caller() -> FrameType | None:
    """Return the function whose ``with`` block listens."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in _BORDER:
        frame = frame.f_back
    return frame


def _own_frames() -> list[CodeType]:
    """Return what is nobody's library's on the stack, the innermost first; nothing where the host reads for itself.

    What the host reads as it was asked by a plugin, as the stored runs of ``bench.runs``, that plugin has read.
    """
    found: list[CodeType] = []
    frame: FrameType | None = sys._getframe(3)
    last = _called[-1][1]
    while frame is not None and frame is not last:
        if is_own(frame.f_code.co_filename):
            found.append(frame.f_code)
        frame = frame.f_back
    return found
