"""How a run stands, from outside: from small files, whether it is being made, was killed, failed or is done.

What the run's process wrote beside its records (``bench.system.journal``) is no record: nothing of it is trusted to be
whole or true, and what is not as expected is as if it were absent. No file of arrays or weights is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store.run_folder import RunFolder
from bench.system.journal import EVERY, LOG, PROGRESS
from bench.system.text import one_line

RUNNING, STOPPED = "running", "stopped"
STATES = (RUNNING, STOPPED, "failed", "damaged", "done")

MOST = 2**16
"""Bytes that are read of a file, of a log those at its end."""

SILENT = 6 * EVERY
"""Seconds without a word after which a process is taken for dead where no lock tells."""


@dataclass(frozen=True, slots=True)
class Live:
    """How one run stands. Times are seconds since 1970, ``None`` where not known.

    ``state`` is one of ``STATES``: running, stopped (unfinished, and no process at work on it), failed, damaged, done.
    ``done`` of ``total`` ``unit`` are of ``doing``, the innermost thing that its process counts, as epochs of a
    training; ``speed`` is in ``unit`` a second and ``left`` in seconds. ``error`` is the last that is known, also of an
    attempt before.
    """

    folder: Path
    state: str
    model: str = ""
    dataset: str = ""
    seed: int | None = None
    process: int | None = None
    begun: float | None = None
    written: float | None = None
    stage: str = ""
    stage_begun: float | None = None
    doing: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    speed: float | None = None
    left: float | None = None
    resident_bytes: int | None = None
    error: str = ""


def look(folder: RunFolder) -> Live:
    """Return how the run in ``folder`` stands now."""
    held, told = held_by_a_process(folder.path), _progress(folder.path)
    written = _number(told, "written")
    if held is None and written is not None:
        held = abs(time.time() - written) < SILENT  # a clock that was set back since makes no old word new
    try:
        config, status = folder.config, folder.status
        state = status.state if status.state in STATES else STOPPED
        error = f"{status.stage}: {status.reason}" if status.state == "failed" else ""
        if wrong := folder.plainly_wrong():
            state, error = "damaged", one_line(wrong)
    except StoreError as damage:
        config, state, error = {}, "damaged", one_line(str(damage))
    if held:
        state = RUNNING
    counts = {name: _number(told, name) for name in ("done", "total", "process", "resident_bytes")}
    whole = {name: None if value is None else int(value) for name, value in counts.items()}
    return Live(
        folder.path,
        state,
        model=str(config.get("model", {}).get("name", folder.path.parent.name)),
        dataset=str(config.get("dataset", {}).get("name", folder.path.parent.parent.name)),
        seed=config.get("seed"),
        begun=_number(told, "begun"),
        written=written,
        stage=_text(told, "stage"),
        stage_begun=_number(told, "stage_begun"),
        doing=_text(told, "doing"),
        unit=_text(told, "unit"),
        speed=_number(told, "speed"),
        # Since it was written, that much less.
        left=_left(_number(told, "left_seconds"), written) if state == RUNNING else None,
        error="" if state == "done" else error or _last_error(folder.path),
        **whole,
    )


def held_by_a_process(folder: Path) -> bool | None:
    """Return whether a process that lives makes the run in ``folder``; ``None``: no lock tells.

    Nothing is waited for, and nobody is kept from anything for longer than this looks.
    """
    try:
        file = (folder / LOG).open("rb")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
    return False


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events at the end of a run's log, the last first; what is no event is passed over."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - MOST, 0))
            content = file.read(MOST)
    except OSError:
        return
    for line in reversed(content.splitlines()):
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict):
                yield event


def _last_error(folder: Path) -> str:
    for event in events(folder):
        if event.get("level") == "error" or event.get("event") == "run stops":
            return ": ".join(filter(None, (_text(event, "stage"), _text(event, "reason"))))
    return ""


def _progress(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError), (folder / PROGRESS).open("rb") as file:
        content = json.loads(file.read(MOST))
        return content if isinstance(content, dict) else {}
    return {}


def _number(told: dict[str, Any], name: str) -> float | None:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 2**63 and math.isfinite(value) and value >= 0 else None


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    return one_line(value) if isinstance(value, str) else ""


def _left(seconds: float | None, written: float | None) -> float | None:
    if seconds is None or written is None:
        return None
    return max(seconds - max(time.time() - written, 0.0), 0.0)
