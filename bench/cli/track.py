"""``bench track``: stored runs to experiment trackers; and what ``bench run`` and ``compare`` do with ``--track``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from bench.cli.common import TrackTo
from bench.cli.report import OneDataset, Runs, chosen

if TYPE_CHECKING:
    from bench.contracts import TrackedTable
    from bench.show.tracking import Destination
    from bench.store.stored import RunSummary

EXAMPLES = """Examples:

  bench track --to tensorboard

  bench track 9b2f 41aa --to mlflow,wandb --out trackers

  bench track --dataset digit-scenes --to mlflow --set uri=http://localhost:5000 --set experiment=digits"""

FOLDER = Path("trackers")
PREFIX = "tracker."


def track(  # noqa: PLR0917 - the parser passes options by name
    to: TrackTo,
    runs: Runs = None,
    runs_folder: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path(
        "runs"
    ),
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that trackers write below.")] = FOLDER,
    dataset: OneDataset = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the trackers. See: bench list --options"),
    ] = None,
) -> None:
    """Send what is stored of finished runs to trackers: config, curves, measures, tables. Needs no torch.

    Sent again, a run takes its old place: nothing stands twice. Exit code 2 if a tracker fails; the others go on.
    """
    from bench.errors import StoreError, UsageError
    from bench.show.tracking import comparisons

    places = destinations(to, sets or [], out)
    if not places:
        raise UsageError("--to: found none, allowed: names separated by commas. See: bench list trackers")
    summaries = chosen(runs, runs_folder, dataset)
    done = [run for run in summaries if run.measures is not None]
    for run in summaries:
        if run.measures is None:
            print(f"left out: {run.path}: {run.state}: {run.reason}", file=sys.stderr)
    if not done:
        raise StoreError(f"none of {len(summaries)} runs is finished. See: bench runs")
    failed: dict[str, str] = {}
    tell(places, failed, done, comparisons(summaries), sys.stdout)
    print_failures(places, failed, done)
    if failed:
        raise typer.Exit(2)


def destinations(names: str, sets: Sequence[str], folder: Path) -> list[Destination]:
    """Return the trackers in ``names``, comma-separated, with the options in ``sets``; all checked, none opened."""
    from bench import plugins
    from bench.options import parse_assignments
    from bench.show import tracking

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return tracking.destinations(wanted, parse_assignments(sets), folder, plugins.installed())


def split_sets(sets: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the ``--set`` of a run, and those of its trackers without their prefix."""
    given = [text.strip() for text in sets]
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
            print(f"{place.name}: {where}", file=stream or sys.stderr)


def print_failures(places: Iterable[Destination], failed: dict[str, str], runs: Iterable[RunSummary]) -> None:
    """Print a line on standard error for each failed tracker: why, and the command that repeats it."""
    for place in places:
        if place.name in failed:
            options = place.tracker.spec.options
            changed = [o.name for o in options if place.request.options[o.name] != o.default]
            sets = [part for name in changed for part in ("--set", f"{name}={place.request.options[name]}")]
            folder = str(place.request.folder.parent)
            words = ["bench", "track", *(str(run.path) for run in runs), "--to", place.name, "--out", folder, *sets]
            reason = failed[place.name].rstrip(".")
            print(
                f"not tracked: {place.name} ({place.tracker.origin}): {reason}. Then: {shlex.join(words)}",
                file=sys.stderr,
            )
