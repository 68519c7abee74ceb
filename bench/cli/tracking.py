"""Trackers as ``bench track``, ``run`` and ``compare`` tell them of runs: chosen, told, and their failures said."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bench.cli.options import comma_separated
from bench.cli.requests import typed_before_any
from bench.show.console import put

if TYPE_CHECKING:
    from bench.contracts import TrackedTable
    from bench.show.tracking import Destination
    from bench.store.stored import RunSummary

PREFIX = "tracker."


def destinations(names: str, sets: Sequence[str], folder: Path) -> list[Destination]:
    """Return the trackers in ``names``, comma-separated, with the options in ``sets``; all checked, none opened."""
    from bench import plugins
    from bench.options import parse_assignments
    from bench.show import tracking

    given = parse_assignments(text.strip().removeprefix(PREFIX) for text in sets)  # as bench run takes them, too
    return tracking.destinations(comma_separated(names), given, folder, plugins.installed())


def split_sets(sets: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the ``--set`` of a run, and those of its trackers without their prefix."""
    given = [text.lstrip() for text in sets]
    own = [text for text in given if not text.startswith(PREFIX)]
    return own, [text.removeprefix(PREFIX) for text in given if text.startswith(PREFIX)]


def tell(
    places: Iterable[Destination],
    failed: dict[str, str],
    runs: Iterable[RunSummary],
    compared: Sequence[TrackedTable] = (),
    stream: TextIO | None = None,
) -> None:
    """Send to every tracker that has not ``failed`` yet, and add those that now do; print where the others put it.

    To standard error, as the output of a command that does something else must stay whole.
    """
    from bench.errors import BenchError
    from bench.show.tracking import send, tracked_run

    for place in places:
        if place.name in failed:
            continue
        try:
            found = send(place, [tracked_run(run) for run in runs], compared)
        except BenchError as error:
            failed[place.name] = str(error)
            continue
        for where in found:
            put(f"{place.name}: {where}", file=stream or sys.stderr)


def print_failures(places: Iterable[Destination], failed: dict[str, str], runs: Iterable[RunSummary]) -> None:
    """Print a line on standard error for each failed tracker: why, and the command that repeats it."""
    for place in places:
        if place.name in failed:
            options = place.tracker.spec.options
            changed = [o.name for o in options if place.request.options[o.name] != o.default]
            sets = [part for name in changed for part in ("--set", f"{name}={place.request.options[name]}")]
            folder = str(place.request.folder.parent)
            words = ["track", *(str(run.path) for run in runs), "--to", place.name, "--out", folder, *sets]
            reason = failed[place.name].rstrip(".")
            command = " ".join([*typed_before_any("bench"), shlex.join(words)])
            put(f"not tracked: {place.name} ({place.tracker.origin}): {reason}. Then: {command}", file=sys.stderr)
