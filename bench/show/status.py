"""How runs stand, for people: one of them line by line, many as a table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.show.console import print_table, put, say
from bench.store.live import RUNNING, STATES, STOPPED, Live
from bench.system.clock import local_time
from bench.system.journal import LOG
from bench.system.progress import duration, rate_in_words

COLOURS = {"done": "green", "failed": "red", "damaged": "red", RUNNING: "cyan", STOPPED: "yellow"}

GO_ON = "the same command continues it"


def to_json(found: Sequence[Live]) -> list[dict[str, Any]]:
    """Return what is known of each run as JSON has it."""
    return [asdict(one) | {"folder": str(one.folder)} for one in found]


def print_one(one: Live) -> None:
    """Print a run's state line by line; what is not known has no line."""
    rows = {
        "run": str(one.folder),
        "of": f"{one.model} on {one.dataset}" + ("" if one.seed is None else f", seed {one.seed}"),
        "state": _state(one),
        "stage": _since(one.stage, one.stage_begun if one.state == RUNNING else None),
        "progress": _progress(one),
        "memory": f"{one.resident_bytes / 2**20:,.0f} MiB" if one.resident_bytes and one.state == RUNNING else "",
        "error": one.error,
        "log": str(one.folder / LOG) if (one.folder / LOG).exists() else "",
    }
    for name, text in rows.items():
        if text:
            say(f"{name:<10}{text}", indent=10)


def print_many(found: Sequence[Live]) -> None:
    """Print a table of the runs that are not done, and how many there are of each state."""
    from rich.text import Text

    rows: list[list[str | Text]] = [
        [one.folder.name[:8], one.dataset, one.model, Text(one.state, COLOURS[one.state]), one.stage, _progress(one)]
        for one in found
        if one.state != "done"
    ]
    if rows:
        texts = ("data set", "model", "state", "stage", "progress")
        print_table(["key", "data set", "model", "state", "stage", "progress"], rows, texts=texts)
    errors = [one for one in found if one.error]
    if errors:
        put()
    for one in errors:
        say(f"{one.folder.name[:8]}: {one.error}", "dim")
    counts = Counter(one.state for one in found)
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    put(f"{chr(10) * bool(rows)}{len(found)} run{'s' * (len(found) != 1)}: {told}")


def _state(one: Live) -> str:
    if one.state == RUNNING:
        process = "" if one.process is None else f": process {one.process} is at it"
        return f"running{process}{_ago(', begun', one.begun)}"
    if one.state == STOPPED:
        process = "none" if one.process is None else f"{one.process}, the last one, is gone"
        return f"stopped: process {process}{_ago(', last heard', one.written)}; {GO_ON}"
    return f"failed; {GO_ON}" if one.state == "failed" else one.state


def _ago(words: str, when: float | None) -> str:
    local = None if when is None else local_time(when)
    if when is None or local is None:
        return ""
    return f"{words} {local:%Y-%m-%d %H:%M:%S} ({duration(max(time.time() - when, 0.0))} ago)"


def _since(stage: str, begun: float | None) -> str:
    return stage if not stage or begun is None else f"{stage}, for {duration(max(time.time() - begun, 0.0))}"


def _progress(one: Live) -> str:
    """Return what is counted, in words, as in ``training: 12 of 60 epochs, 5.0 s each, about 4 min left``."""
    if not one.unit or one.done is None:
        return ""
    of_total = "" if one.total is None else f" of {one.total:,}"
    words = [f"{one.doing}: {one.done:,}{of_total} {one.unit}"]
    if one.state == RUNNING:
        words += [rate_in_words(one.speed, one.unit), "" if one.left is None else f"about {duration(one.left)} left"]
    return ", ".join(filter(None, words))
