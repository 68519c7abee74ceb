"""``bench compare``: several models and seeds on one data set, then one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.common import (
    BackboneName,
    Cache,
    DataRoot,
    DatasetName,
    Device,
    Finetune,
    Out,
    ProtocolName,
    Sets,
    TestSplit,
    Track,
    TrackOut,
    TrainSplit,
    Weights,
)
from bench.cli.track import FOLDER, destinations, print_failures, split_sets, tell

if TYPE_CHECKING:
    from bench.plan import RunRequest
    from bench.store.stored import RunSummary

EXAMPLES = """Examples:

  bench compare --dataset digit-scenes --models cnn-rnn,no-rnn,bce,softmax,warp --seeds 3 --significance

  bench compare --dataset digit-scenes --models cnn-rnn,bce --set epochs=20 --set cnn-rnn.cell=gru

  bench compare --dataset coco --data-root coco --models bce,softmax --format markdown"""


def compare(  # noqa: PLR0917 - the parser passes options by name
    dataset: DatasetName,
    models: Annotated[str, typer.Option("--models", metavar="A,B", help="Model names. See: bench list models")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each model, with seeds 0, 1, ...")] = 1,
    backbone: BackboneName = "",
    sets: Sets = None,
    protocol: ProtocolName = "",
    data_root: DataRoot = None,
    weights: Weights = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    finetune: Finetune = 0,
    out: Out = Path("runs"),
    cache: Cache = None,
    device: Device = "cpu",
    track: Track = "",
    track_out: TrackOut = FOLDER,
    significance: Annotated[
        bool, typer.Option("--significance", help="Also pairwise differences with 95 % intervals over test images.")
    ] = False,
    style: Annotated[
        Literal["terminal", "markdown", "latex", "csv", "json"],
        typer.Option("--format", help="How to print the table."),
    ] = "terminal",
) -> None:
    """Run what is missing of several models and seeds, and print one table with mean and spread.

    A run that fails is a row with its reason; the others go on, and the exit code is then 1.
    """
    from bench.plan import RunRequest, default_cache
    from bench.show.tracking import comparison

    own_sets, tracker_sets = split_sets(sets or ())
    places = destinations(track, tracker_sets, track_out)
    request = RunRequest(
        model="",
        dataset=dataset,
        backbone=backbone,
        protocol=protocol,
        data_root=data_root,
        weights=weights,
        train_split=train_split,
        test_split=test_split,
        finetune=finetune,
        out=out,
        cache=cache or default_cache(),
        device=device,
    )
    requests = plan_requests(request, [name.strip() for name in models.split(",") if name.strip()], own_sets, seeds)
    summaries: list[RunSummary] = []
    failed: dict[str, str] = {}
    for number, one in enumerate(requests, 1):
        summary = run_or_record(one, f"[{number}/{len(requests)}]")
        summaries.append(summary)
        if summary.measures is not None:
            tell(places, failed, [summary])
    _print(summaries, style, significance)
    done = [run for run in summaries if run.measures is not None]
    tell(places, failed, [], [comparison(summaries)] if done else [])
    print_failures(places, failed, done)
    if len(done) < len(summaries):
        raise typer.Exit(1)


def plan_requests(request: RunRequest, models: Sequence[str], sets: Sequence[str], seeds: int) -> list[RunRequest]:
    """Return one request per model and seed, every name and option checked before anything is run.

    A bare ``NAME=VALUE`` of ``sets`` goes to the models that have this option, ``MODEL.NAME=VALUE`` to one.
    Raises ``UsageError``, also where no model has the option.
    """
    from bench import plugins
    from bench.errors import UsageError
    from bench.plan import make_plan

    registry = plugins.installed()
    if not models:
        raise UsageError("--models: found none, allowed: names separated by commas. See: bench list models")
    specs = {name: registry.model(name).spec for name in models}
    options = {name: _option_names(spec) for name, spec in specs.items()}
    chosen: dict[str, list[str]] = {name: [] for name in specs}
    for text in sets:
        name = text.partition("=")[0].strip()
        owner, _, rest = name.rpartition(".")
        if owner in specs:
            takers = {owner: text.strip()[len(owner) + 1 :]}
        elif owner:
            takers = dict.fromkeys(specs, text)
        else:
            # An option that none has goes to all, so that the plan's error names it and what there is.
            takers = dict.fromkeys([model for model in specs if rest in options[model]] or specs, text)
        for model, assignment in takers.items():
            chosen[model].append(assignment)
    requests = [replace(request, model=model, sets=tuple(own)) for model, own in chosen.items()]
    for one in requests:
        make_plan(one, registry)
    return [replace(one, seed=seed) for one in requests for seed in range(seeds)]


def _option_names(spec: object) -> set[str]:
    from bench.contracts import SEARCH_OPTIONS, ModelSpec
    from bench.plan import training_options

    assert isinstance(spec, ModelSpec)
    search = SEARCH_OPTIONS if spec.kind == "sequence" else ()
    return {option.name for option in (*spec.options, *training_options(spec), *search)}


def run_or_record(request: RunRequest, progress: str) -> RunSummary:
    """Return the summary of the finished run, or of its failure, which is also one line on standard error."""
    from bench.errors import BenchError, NotRun
    from bench.pipeline import run_one
    from bench.store.run_folder import find
    from bench.store.stored import RunSummary
    from bench.system.progress import QUIET_VARIABLE

    name = f"{request.model} seed {request.seed}"
    if not os.environ.get(QUIET_VARIABLE):
        print(f"{progress} {name}", file=sys.stderr)
    try:
        return run_one(request).summary()
    except BenchError as error:
        state, reason = ("not run" if isinstance(error, NotRun) else "failed"), str(error)
    except Exception as error:  # a plugin may fail in any way; the other models must still run
        state, reason = "failed", f"{type(error).__name__}: {error}".splitlines()[0]
    print(f"{state}: {name}: {reason}", file=sys.stderr)
    for folder in find(request.out, request.dataset, (request.model,)):
        # A failure that the store knows has its config, and so stands beside the seeds that worked.
        summary = folder.summary()
        if summary.state == "failed" and folder.has("request") and folder.request() == request:
            return summary
    config = {"model": {"name": request.model}, "dataset": {"name": request.dataset}, "seed": request.seed}
    return RunSummary(request.out, "", config, state, reason)


def _print(summaries: list[RunSummary], style: str, significance: bool) -> None:
    from bench.cli.table import print_tables
    from bench.show import tables

    table = tables.build(summaries)
    if not significance:
        print_tables([table], style)
        return
    from bench.evaluation.significance import differences, distributions, ties
    from bench.store.run_folder import RunFolder

    paths = {run.key: run.path for run in summaries if run.measures is not None}
    rows = {row.label: [RunFolder(paths[key]) for key in row.keys if key in paths] for row in table.rows}
    found = distributions({label: folders for label, folders in rows.items() if folders})
    print_tables([tables.with_ties(table, ties(found))], style)
    if style != "terminal":
        return
    print("\npairwise differences, seeds averaged; 95 % of 1,000 paired resamples of the test images")
    for entry in differences(found):
        mark = "" if entry.distinguishable else "  not distinguishable"
        low, value, high = (100 * part for part in (entry.low, entry.value, entry.high))
        print(f"{entry.metric:<5} {entry.first} - {entry.second}: {value:+.1f} [{low:+.1f}, {high:+.1f}]{mark}")
