"""``bench track``: stored runs to experiment trackers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import run_summaries
from bench.cli.options import STORE, TRACKED, OneDataset, RunNames, RunsFolder, TrackTo
from bench.cli.tracking import destinations, print_failures, tell
from bench.show.console import put

EXAMPLES = """Examples:

  bench track --to tensorboard

  bench track 9b2f 41aa --to mlflow,wandb --out trackers

  bench track --dataset digit-scenes --to mlflow --set uri=http://localhost:5000 --set experiment=digits"""


def track(  # noqa: PLR0917 - the parser passes options by name
    to: TrackTo,
    runs: RunNames = None,
    store: RunsFolder = STORE,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that trackers write below.")] = TRACKED,
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
    from bench.store.following import runs_of

    places = destinations(to, sets or [], out)
    if not places:
        raise UsageError("--to: found none, allowed: names separated by commas. See: bench list trackers")
    summaries = run_summaries(runs, store, dataset)
    done = [run for run in summaries if run.measures is not None]
    for run in summaries:
        if run.measures is None:
            put(f"left out: {run.path}: {run.state}: {run.reason}", file=sys.stderr)
    if not done:
        raise StoreError(f"none of {len(summaries)} runs is finished. See: bench runs{runs_of(store)}")
    failed: dict[str, str] = {}
    tell(places, failed, done, comparisons(summaries), sys.stdout)
    print_failures(places, failed, done)
    if failed:
        raise typer.Exit(2)
