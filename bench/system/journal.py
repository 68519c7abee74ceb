"""What a run is at and what it has done, for those who look from outside: two small files in its folder.

``log.jsonl``: one JSON object a line, appended: begin and end of the run and of its stages with seconds and memory,
notes, failures. ``progress.json``: what is under way now, replaced every few seconds, removed once the run is finished.

Neither counts among the run's records: no key, seal or result depends on them, and where they cannot be written the
work goes on without. They are not flushed to disk: after a power loss they may lack their end.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.system import memory, notes, progress
from bench.system.files import LEFTOVER
from bench.system.progress import LEVEL_VARIABLE
from bench.system.text import one_line

LOG, PROGRESS = "log.jsonl", "progress.json"

LEVELS = ("debug", "info", "warning", "error")
DEFAULT_LEVEL = "info"

EVERY = 5.0
"""Seconds between two writings of ``progress.json``; of longer stages every ``TICKS``-th is a line of level debug."""

TICKS = 6


def forget_progress(folder: Path) -> None:
    """Remove what a finished run was at, where its process was killed before it could."""
    with contextlib.suppress(OSError):
        (folder / PROGRESS).unlink(missing_ok=True)


class Journal:
    """One run's two files: notes of this process are events while the body of ``with`` works.

    The folder becomes known later (``kept_in``), and then gets what came before, too. Until its run ends or the process
    dies, its log is locked, so that others can tell without touching the run's own lock.
    """

    def __init__(self) -> None:
        chosen = os.environ.get(LEVEL_VARIABLE) or DEFAULT_LEVEL
        self._least = LEVELS.index(chosen) if chosen in LEVELS else LEVELS.index(DEFAULT_LEVEL)
        self._waiting: list[str] = []
        self._folder: Path | None = None
        self._log = -1
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._begun = self._stage_begun = time.time()
        self._stage = ""

    def __enter__(self) -> Journal:
        """Begin."""
        notes.LISTENERS.append(self._note)
        self.event("info", "run begins")
        return self

    def __exit__(self, *_: object) -> None:
        """Hear no more notes."""
        notes.LISTENERS.remove(self._note)

    @contextlib.contextmanager
    def kept_in(self, folder: Path) -> Iterator[None]:
        """Keep the files in ``folder``, which the caller holds against other processes, and say how the body ended.

        Of a run that did not finish, what it was at when that was written last stays told.
        """
        self._open(folder)
        # A daemon: it ends with the process, whatever it is at.
        beat = threading.Thread(target=self._keep_telling, name="journal", daemon=True)
        beat.start()
        try:
            yield
        except BaseException as error:
            self._end(beat)
            stopped = not isinstance(error, Exception)
            reason = "stopped by a signal" if stopped else one_line(f"{type(error).__name__}: {error}")
            self.event("warning" if stopped else "error", "run stops", stage=self._stage, reason=reason)
            raise
        else:
            self._end(beat)
            self.event("info", "run ends", seconds=round(time.time() - self._begun, 3), peak_bytes=memory.peak())
            forget_progress(folder)
        finally:
            if self._log >= 0:
                os.close(self._log)
            self._folder, self._log = None, -1

    def _open(self, folder: Path) -> None:
        self._folder = folder
        with contextlib.suppress(OSError):
            self._log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._hold()
        self._append("".join(self._waiting))
        self._waiting.clear()
        self._write_progress()

    def _end(self, beat: threading.Thread) -> None:
        self._ended.set()
        beat.join()

    def begin(self, stage: str) -> None:
        """Tell that ``stage`` begins."""
        self._stage, self._stage_begun = stage, time.time()
        self.event("info", "stage begins", stage=stage, resident_bytes=memory.resident())
        self._write_progress()

    def end(self, stage: str, seconds: float, peak_bytes: int) -> None:
        """Tell that ``stage`` ended, whether it worked or not."""
        sizes = {"resident_bytes": memory.resident(), "peak_bytes": peak_bytes}
        self.event("info", "stage ends", stage=stage, seconds=round(seconds, 6), **sizes)

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Append one line, if ``level`` is to be logged."""
        if LEVELS.index(level) < self._least:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        told = {"time": now, "level": level, "event": event, "process": os.getpid()} | fields
        line = json.dumps(told) + "\n"
        if self._folder is None:
            self._waiting.append(line)
        else:
            self._append(line)

    def _note(self, text: str) -> None:
        self.event("warning", "note", text=text)

    def _hold(self) -> None:
        for _ in range(3):  # one that looks holds it for a moment
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.01)

    def _append(self, text: str) -> None:
        if self._log >= 0 and text:
            with contextlib.suppress(OSError):
                os.write(self._log, text.encode())  # one call: lines of several threads do not mix

    def _keep_telling(self) -> None:
        ticks = 0
        while not self._ended.wait(EVERY):
            ticks += 1
            self._write_progress()
            if ticks % TICKS == 0 and (line := progress.line()):
                self.event("debug", "progress", stage=self._stage, text=line)

    def _state(self) -> dict[str, Any]:
        doing = progress.under_way()
        counted = {} if doing is None else doing.to_json()
        return {
            "process": os.getpid(),
            "begun": self._begun,
            "written": time.time(),
            "stage": self._stage,
            "stage_begun": self._stage_begun,
            "resident_bytes": memory.resident(),
            **counted,
        }

    def _write_progress(self) -> None:
        if self._folder is None:
            return
        temporary = self._folder / f".{PROGRESS}{LEFTOVER}"
        # A full disk, a folder that is gone, or a process that ends: the run itself will say so.
        with contextlib.suppress(OSError, AttributeError), self._lock:
            temporary.write_text(json.dumps(self._state()), encoding="utf-8")
            temporary.replace(self._folder / PROGRESS)
