"""SIGINT and SIGTERM: whatever a command is at, it ends with one line and the status that shells expect, 130 or 143.

While a command works, a signal is a ``KeyboardInterrupt``, so that what is half-made is cleared away. Where that would
be lost or misread, in an import or before the work has begun, and where the work does not end within ``GRACE``
seconds, the process ends at once: files are whole or absent at any moment, and locks are the system's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys
import time

# This file is read before any other, and imports little, neither ``typing`` nor ``signal`` with its enumerations: until
# then signals are Python's own.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType
    from typing import Any

GRACE = 5.0
"""Seconds that a command may take to end. Schedulers kill ten or more after they asked."""

NUMBERS = (_signal.SIGINT, _signal.SIGTERM)

IMPORTING = "<frozen importlib._bootstrap>"
"""The file that frames of an import come from."""

KEPT = {
    "run": "features, checkpoints and finished stages are kept",
    "compare": "finished runs, features and checkpoints are kept",
    "export": "no half-written model is left",
    "predict": "each image that was printed is labelled whole, of the others nothing is kept",
}
"""What a command leaves that is stopped, by its name; of the others, what is finished."""

ANEW = ("predict",)
"""Commands that find nothing of theirs when they are called again."""


class _State:
    """What this process was asked for, and how it stands: one for all, as signals are the process's."""

    def __init__(self) -> None:
        self.typed: Sequence[str] = ()
        self.launcher: Sequence[str] = ("bench",)
        self.last: list[Callable[[int], Any]] = []
        self.came = 0
        self.works = self.told = self.watched = False


_STATE = _State()


def watch() -> None:
    """End this process by its signals from now on, as a command that was typed.

    A signal that is ignored stays so, as of a command in a shell's background.
    """
    begin(sys.argv[1:])
    _STATE.watched = True
    sys.unraisablehook = _unraisable
    for number in NUMBERS:
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _handle)


def ignore() -> None:
    """Ignore signals from now on, where they were watched: the process has done all and ends."""
    for number in NUMBERS if _STATE.watched else ():
        _signal.signal(number, _signal.SIG_IGN)


def begin(typed: Sequence[str]) -> None:
    """Take the arguments of a command that begins."""
    _STATE.typed, _STATE.told = list(typed), False


def launched_by(words: Sequence[str]) -> None:
    """Take what stands before a command's arguments where that is not ``bench``."""
    _STATE.launcher = list(words)


def at_end(call: Callable[[int], Any]) -> None:
    """Have ``call`` be given the status of the process where a signal ends it without a look back."""
    _STATE.last.append(call)


def typed() -> Sequence[str]:
    """Return the arguments of the command under way; none from Python."""
    return _STATE.typed


class working:  # noqa: N801 - read as ``with working():``
    """Have a signal raise ``KeyboardInterrupt`` in the body."""

    def __enter__(self) -> None:
        """Begin."""
        _STATE.works = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process by the next signal."""
        _STATE.works = False


class held_back:  # noqa: N801 - read as ``with held_back():``
    """Have signals wait until the body, which must be short, is done."""

    def __enter__(self) -> None:
        """Block them."""
        self._before = _signal.pthread_sigmask(_signal.SIG_BLOCK, NUMBERS)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let those that came in."""
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._before)


def came() -> int:
    """Return the number of the signal that came, 0 for none."""
    return _STATE.came


def check() -> None:
    """Raise ``KeyboardInterrupt`` where a signal came, whatever has become of it since: foreign code may turn it."""
    if _STATE.came:
        raise KeyboardInterrupt


def tell(say: Callable[[str], Any]) -> None:
    """Give ``say`` the line of what is kept and what continues it, once for a command."""
    if not _STATE.told:
        _STATE.told = True
        # Python keeps in mind that the exception left a text it executed, as libraries make classes of, and would end
        # by SIGINT, whatever signal it was; another text that ends well has it forget.
        exec("")
        say(line(_STATE.came or _signal.SIGINT, _STATE.typed))


def line(number: int, typed: Sequence[str]) -> str:
    """Return what is said where signal ``number`` stops the command that was ``typed``.

    >>> line(_signal.SIGTERM, ["run", "--model", "my model"])
    "stopped by SIGTERM; features, checkpoints and finished stages are kept. To continue: bench run --model 'my model'"
    >>> line(_signal.SIGINT, ["predict", "model", "photos"]).rpartition(". ")[2]
    'To begin anew: bench predict model photos'
    """
    by = "" if number == _signal.SIGINT else " by SIGTERM"
    return f"stopped{by}; {kept(typed)}"


def kept(typed: Sequence[str] | None = None) -> str:
    """Return what is kept of the command that was ``typed``, of this process unless given, and what continues it."""
    words = _STATE.typed if typed is None else typed
    name = next((word for word in words if word in KEPT), "")
    left, then = KEPT.get(name, "what is finished is kept"), "To begin anew" if name in ANEW else "To continue"
    command = " ".join(map(_quoted, [*_STATE.launcher, *words]))
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in command)
    return f"{left}. {then}: {shown}"


def _quoted(word: str) -> str:
    """Return ``word`` as a shell reads it; ``shlex`` may be half imported where a signal strikes."""
    if word and all(sign.isascii() and (sign.isalnum() or sign in "@%+=:,./-_") for sign in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _handle(number: int, frame: FrameType | None) -> None:
    again, _STATE.came = bool(_STATE.came), _STATE.came or number
    if again or not _STATE.works or _imports(frame):
        _end()
    _thread.start_new_thread(_end_later, ())
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Return whether an import is under way: C code may turn an exception there into another, or abort."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _end_later() -> None:
    time.sleep(GRACE)
    _end()


def _end() -> None:
    """Say the line and end the process, and those that it started, without a look back."""
    try:
        if sys.stderr.isatty():
            os.write(2, b"\r\x1b[K\x1b[?25h")  # what a progress bar has hidden
        tell(lambda told: os.write(2, f"{told}\n".encode("utf-8", "backslashreplace")))
        processes = sys.modules.get("multiprocessing.process")
        for process in processes.active_children() if processes else ():
            process.terminate()
        for call in _STATE.last:
            call(128 + _STATE.came)
    finally:
        os._exit(128 + _STATE.came)


def _unraisable(unraisable: Any) -> None:
    """End the process where a ``KeyboardInterrupt`` was lost in a finaliser; print anything else as ever."""
    if _STATE.came and isinstance(unraisable.exc_value, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(unraisable)
