"""Where checks are run: a folder that is removed, no network, and an ear on what is written elsewhere.

Python's audit events tell of files and addresses, also where the plugin catches the error. Not heard: what compiled
code and child processes do by themselves; what they write to the working directory is found there.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.system.progress import QUIET_VARIABLE

OWN_MACHINE = ("localhost", "127.", "::1", "0.0.0.0")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_ASKS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}


@dataclass(slots=True)
class Heard:
    """What was done while a check ran: files written outside ``folder``, in order, and addresses asked for."""

    folder: Path
    written: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


_listening: list[Heard] = []
_hooked: list[bool] = []


@contextlib.contextmanager
def sandboxed() -> Iterator[Heard]:
    """Run the body in a temporary folder, which is its working directory and its place for temporary files.

    Addresses of other machines cannot be reached. What was changed here is put back.
    """
    if not _hooked:
        # It cannot be taken away again, so it is set once and silent where nobody listens.
        sys.addaudithook(_hear)
        _hooked.append(True)
    before, temporary, quiet = Path.cwd(), tempfile.tempdir, os.environ.get(QUIET_VARIABLE)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        heard = Heard(Path(folder).resolve())
        _listening.append(heard)
        os.chdir(folder)
        tempfile.tempdir, os.environ[QUIET_VARIABLE] = folder, "1"
        try:
            yield heard
        finally:
            _listening.pop()
            os.chdir(before)
            tempfile.tempdir = temporary
            os.environ.pop(QUIET_VARIABLE) if quiet is None else os.environ.update({QUIET_VARIABLE: quiet})


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening:
        return
    if event == "open":
        path, mode, flags = arguments
        if _writes(mode, flags):
            _note_path(path)
    elif event in _CHANGES:
        _note_path(arguments[0])
    elif event in _ASKS:
        _refuse(arguments[1] if event in {"socket.connect", "socket.sendto"} else arguments[0])


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _note_path(path: Any) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return  # a file that is open already
    place, heard = os.path.realpath(os.fsdecode(path)), _listening[-1]
    parts = Path(place).parts
    inside = place.startswith(f"{_listening[0].folder}{os.sep}") or place == str(_listening[0].folder)
    # Python keeps what it compiles of a module beside the module.
    if not inside and "__pycache__" not in parts and parts[1:2] not in {("dev",), ("proc",), ("sys",)}:
        heard.written.append(place)


def _refuse(address: Any) -> None:
    host = address[0] if isinstance(address, tuple) else address
    # A path is a socket of this machine; no host at all is this machine.
    if host is None or (not isinstance(address, tuple) and isinstance(address, bytes)) or str(host).startswith("/"):
        return
    host = os.fsdecode(host) if isinstance(host, bytes) else str(host)
    if not host.startswith(OWN_MACHINE) and host:
        _listening[-1].asked.append(host)
        raise OSError(f"no network in a check, and {host} was asked for")
