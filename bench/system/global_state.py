"""What holds for the whole process, read before foreign code is called and put back after it.

A library that is not loaded is not loaded here: of one that the foreign code loads, the state is read as it was loaded.
Only what differs is written, so where nothing was changed the cost is that of reading. See docs/plugins.md for what
this cannot put back.
"""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

from bench.system.interrupts import NUMBERS
from bench.system.library_state import LOADED_LATER, Setting, differs, library_settings, told_when_loaded
from bench.system.redirect import prints_to_stderr
from bench.system.seeding import imports_seeded, seed_loaded, seeded


@contextlib.contextmanager
def kept(seed: int | None = None) -> Iterator[None]:
    """Leave the process's state as it was, whatever the body does to it and however it ends.

    Standard output is standard error in the body. With ``seed``, the global random generators of Python, NumPy and
    torch start from it; what modules draw as they are imported is the same with any. The body's own thread is meant:
    nothing is put back while other threads work.
    """
    with prints_to_stderr():
        settings = _settings()
        before = _read(settings)
        late: list[tuple[Mapping[str, Setting], dict[str, Any]]] = []

        def loaded(name: str) -> None:
            late.append((of := library_settings(name), _read(of)))
            seed_loaded(name)

        try:
            with told_when_loaded(loaded), imports_seeded(), contextlib.nullcontext() if seed is None else seeded(seed):
                yield
        finally:
            for own, values in [(settings, before), *late]:
                _restore(own, values)


@contextlib.contextmanager
def changes() -> Iterator[list[str]]:
    """Yield a list that holds, after the body, the names of what it left changed; nothing is put back."""
    settings, changed = _settings(), list[str]()
    before = _read(settings)
    yield changed
    after = _read(settings)
    changed += [name for name, value in before.items() if name not in after or differs(after[name], value)]


def _settings() -> dict[str, Setting]:
    settings = dict(_PROCESS)
    if threading.current_thread() is threading.main_thread():
        settings |= _SIGNALS
    for name in LOADED_LATER:
        if name in sys.modules:
            settings |= library_settings(name)
    return settings


def _read(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the value of each setting that can be read here; a machine or a version may lack one."""
    values = {}
    for name, setting in settings.items():
        with contextlib.suppress(Exception):
            values[name] = setting.read()
    return values


def _restore(settings: Mapping[str, Setting], before: Mapping[str, Any]) -> None:
    for name, value in before.items():
        # What cannot be read any more was changed, too: a folder that is gone, a generator replaced.
        with contextlib.suppress(Exception):
            try:
                changed = differs(settings[name].read(), value)
            except Exception:
                changed = True
            if changed:
                settings[name].write(value)


def _read_umask() -> int:
    # There is no way to read it but to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_environment(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
    time.tzset()


def _write_filters(before: list[Any]) -> None:
    # It alone says publicly that filters have changed, so that no warning is judged by the old ones.
    warnings.resetwarnings()
    warnings.filters[:] = before  # type: ignore[index]


def _write_path(before: list[str]) -> None:
    """Keep what was added, as a plugin may import from there later, but behind all else: it hides no module."""
    sys.path[:] = [*before, *(entry for entry in sys.path if entry not in before)]


def _read_path() -> list[str]:
    return list(sys.path)


def _read_logging() -> tuple[Any, ...]:
    root = logging.getLogger()
    return root.level, root.manager.disable, root.disabled, list(root.handlers), list(root.filters)


def _write_logging(before: tuple[Any, ...]) -> None:
    root = logging.getLogger()
    root.setLevel(before[0])
    root.manager.disable, root.disabled = before[1], before[2]
    root.handlers[:], root.filters[:] = before[3], before[4]


def _attribute(holder: Any, name: str) -> Setting:
    return Setting(lambda: getattr(holder, name), lambda value: setattr(holder, name, value))


_PROCESS: dict[str, Setting] = {
    "working directory": Setting(os.getcwd, os.chdir),
    "environment": Setting(lambda: dict(os.environ), _write_environment),
    "umask": Setting(_read_umask, os.umask),
    "locale": Setting(lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    "warnings": Setting(lambda: list(warnings.filters), _write_filters),
    "showwarning": _attribute(warnings, "showwarning"),
    "logging": Setting(_read_logging, _write_logging),
    "random": Setting(random.getstate, random.setstate),
    "module path": Setting(_read_path, _write_path),
    "recursion limit": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": Setting(sys.getswitchinterval, sys.setswitchinterval),
    "garbage collection": Setting(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    "garbage collection thresholds": Setting(gc.get_threshold, lambda value: gc.set_threshold(*value)),
    "trace": Setting(sys.gettrace, sys.settrace),
    "profile": Setting(sys.getprofile, sys.setprofile),
    "standard input": _attribute(sys, "stdin"),
    "excepthook": _attribute(sys, "excepthook"),
    "unraisablehook": _attribute(sys, "unraisablehook"),
    "displayhook": _attribute(sys, "displayhook"),
    "threading.excepthook": _attribute(threading, "excepthook"),
}


_VALID_SIGNALS = frozenset(map(int, signal.valid_signals()))


def _read_handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _VALID_SIGNALS}


def _write_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # None: not set from Python, and so not to be set from it.
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _write_alarm(before: tuple[float, float]) -> None:
    # One that ran before goes on by its own clock; one that was set meanwhile would end the process later.
    if before == (0.0, 0.0):
        signal.setitimer(signal.ITIMER_REAL, 0.0)


_SIGNALS: dict[str, Setting] = {
    "alarm": Setting(lambda: signal.getitimer(signal.ITIMER_REAL), _write_alarm),
    "signal handlers": Setting(_read_handlers, _write_handlers),
}


@dataclass(slots=True)
class Interrupts:
    """Whether a user's Ctrl-C or SIGTERM came while this was entered; a ``KeyboardInterrupt`` that code raises is none.

    Entered in another than the main thread, it takes every ``KeyboardInterrupt`` for a user's.
    """

    came: bool = False
    _watching: bool = False
    _before: dict[int, Callable[[int, FrameType | None], Any]] = field(default_factory=dict)

    def __enter__(self) -> Interrupts:
        """Begin to watch."""
        if threading.current_thread() is threading.main_thread():
            self._watching = True
            for number in NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop watching."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def meant(self, error: BaseException | None) -> bool:
        """Return whether the user interrupted: a signal came, or cannot be told from what ``error`` is."""
        return self.came or (not self._watching and isinstance(error, KeyboardInterrupt))

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if number in self._before:
            self._before[number](number, frame)
