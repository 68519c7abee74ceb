"""The border to plugins: what a call into one raises becomes one line that names it, and the state it leaves is undone.

Every call into a plugin from the main thread stands in ``with calling(origin, stage, method):``. Pictures are read by
loader threads, where saving and restoring would race: there only failures are named (``bench.data.guarded``), and
state is put back where the stage that the threads work for ends. What no process can undo is in docs/plugins.md.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections.abc import Iterator
from types import FrameType, TracebackType

from bench.errors import BenchError, DataError, NotRun, PluginError, StoreError
from bench.system import global_state
from bench.system.notes import say_all
from bench.system.reads import heard

HOST = "multilabel-bench"
"""The distribution of the first-party plugins; what they refuse is a user's mistake, in words of its own."""

DEBUG_VARIABLE = "BENCH_DEBUG"
"""Environment variable that has tracebacks printed; ``--debug`` sets it."""

LONGEST = 600
"""Letters of an exception's own words that are shown."""

_BETWEEN = {"bench", "torch", "pluggy", "contextlib", "functools", "concurrent", "threading", "importlib", "runpy"}
"""Packages between the host and a plugin's own function, by the first part of their names."""


@contextlib.contextmanager
def calling(origin: object, stage: str, method: str, *, seed: int | None = None) -> Iterator[None]:
    """Call into the plugin ``origin`` in the body, as the ``method`` of ``stage``; the process's state is kept.

    ``origin`` is printed: distribution, version and entry point. With ``seed``, global random generators start from it.
    Raises ``PluginError`` for anything that is no ``BenchError``: also for ``SystemExit``, and for a
    ``KeyboardInterrupt`` that is no user's Ctrl-C, which alone goes on, even where the plugin swallowed it. A
    ``BenchError`` of a third party goes on with the plugin's name before its words.
    """
    caught: BaseException | None = None
    with global_state.Interrupts() as interrupts, global_state.kept(seed), _heard(origin, stage, method):
        try:
            yield
        except BaseException as error:
            caught = error
    if interrupts.meant(caught):
        raise KeyboardInterrupt from caught
    if caught is not None:
        raise named(caught, origin, stage, method) from caught.__cause__ if _goes_on(caught) else caught


def _heard(origin: object, stage: str, method: str) -> contextlib.AbstractContextManager[None]:
    """Return what keeps the files that a third party reads in the body; to hash its code the host reads them itself."""
    return contextlib.nullcontext() if is_first_party(origin) or stage == "code" else heard(f"{origin}, {method}")


@contextlib.contextmanager
def naming(origin: object, stage: str, method: str) -> Iterator[None]:
    """Name the plugin in what the body raises, and leave the state of the process alone: for threads."""
    try:
        yield
    except BaseException as error:
        # A user's Ctrl-C comes to the main thread alone, where the stage's border tells it apart.
        main = threading.current_thread() is threading.main_thread()
        if _goes_on(error) or (main and isinstance(error, KeyboardInterrupt)):
            if isinstance(error, BenchError):
                named(error, origin, stage, method)
            raise
        raise named(error, origin, stage, method) from error


def named(error: BaseException, origin: object, stage: str, method: str) -> BenchError:
    """Return ``error`` as one line that names plugin, stage and method; one that is named already stays as it is."""
    where = f"{origin}, {stage} of {method}"
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        error = error.__cause__  # what Python makes of one that passes through a generator of ours
    if not getattr(error, "where", ""):
        trace_if_asked(error)
    if isinstance(error, BenchError) and _goes_on(error):
        if not error.where and _is_theirs(error, origin, method):
            error.where = where
        return error
    at = place(error)
    found = NotRun(reason(error)) if isinstance(error, NotRun) else PluginError(reason(error))
    found.where = f"{where}{f', {at}' if at else ''}"
    return found


def reason(error: BaseException) -> str:
    r"""Return what happened as one line: the exception's name and words, whatever its own ``__str__`` does.

    >>> reason(ValueError("two\nlines")), reason(MemoryError())
    ('ValueError: two lines', 'MemoryError without a message')
    """
    name = type(error).__name__
    try:
        words = " ".join(str(error).split())
    except BaseException as another:
        return f"{name}, whose message raises {type(another).__name__}"
    if isinstance(error, BenchError) and words:
        return words
    shown = words if len(words) <= LONGEST else f"{words[:LONGEST]}..."
    return f"{name}: {shown}" if shown else f"{name} without a message"


def place(error: BaseException) -> str:
    """Return the plugin's function that was called, and its file and line, as in ``Net.loss at bench_asl.py:12``."""
    at: TracebackType | None = error.__traceback__
    while at is not None:
        if not _between(at.tb_frame):
            code = at.tb_frame.f_code
            return f"{code.co_qualname} at {code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{at.tb_lineno}"
        at = at.tb_next
    return ""


def is_first_party(origin: object) -> bool:
    """Return whether ``origin`` is one of the host's own plugins."""
    return str(origin).split(" ")[0] == HOST


def full_traceback(error: BaseException) -> str:
    """Return the whole traceback as text, with what caused what."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as another:
        return f"{type(error).__name__}: its traceback cannot be printed: {type(another).__name__}\n"


def trace_if_asked(error: BaseException) -> None:
    """Print the traceback where ``--debug`` asks for it."""
    if os.environ.get(DEBUG_VARIABLE):
        say_all(full_traceback(error))


def _between(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _BETWEEN or frame.f_code.co_filename.startswith("<frozen ")


def _goes_on(error: BaseException) -> bool:
    """Return whether ``error`` is the host's own kind of error, which can be printed: not one that a plugin made up."""
    return isinstance(error, BenchError) and type(error).__str__ is BenchError.__str__


def _is_theirs(error: BenchError, origin: object, method: str) -> bool:
    """Return whether an error of the host's own kind is a plugin's doing: not a user's mistake, disk or picture."""
    if isinstance(error, PluginError):
        return True
    if (
        isinstance(error, DataError)
        and not method.startswith("data set")
        and _raised_in(error).startswith("bench.data")
    ):
        return False
    return not isinstance(error, StoreError) and not is_first_party(origin)


def _raised_in(error: BaseException) -> str:
    frames = list(traceback.walk_tb(error.__traceback__))
    return str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
