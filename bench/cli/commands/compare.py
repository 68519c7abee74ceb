"""``bench compare``: several models and seeds on one data set, then one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.completion import names_of
from bench.cli.options import (
    MACHINE,
    MODEL,
    STORE,
    TRACKED,
    BackboneName,
    Cache,
    DataRoot,
    DatasetName,
    Device,
    Engine,
    Finetune,
    GivenName,
    Goals,
    Out,
    ProtocolName,
    Sets,
    Significance,
    TableFormat,
    TestSplit,
    Track,
    TrackOut,
    TrainSplit,
    Trials,
    Weights,
    comma_separated,
)
from bench.cli.requests import run_request
from bench.cli.tracking import destinations, print_failures, split_sets, tell
from bench.show.console import put, say
from bench.show.result_tables import print_tables

if TYPE_CHECKING:
    from bench.contracts import Goal
    from bench.records import RunRequest
    from bench.store.stored import RunSummary
    from bench.sweep import Makers

EXAMPLES = """Examples:

  bench compare --dataset digit-scenes --models cnn-rnn,no-rnn,bce,softmax,warp --seeds 3 --significance

  bench compare --dataset digit-scenes --models cnn-rnn,bce --set epochs=20 --set cnn-rnn.cell=gru

  bench compare --dataset digit-scenes --models cnn-rnn,bce,svm,knn --trials 16

  bench compare --dataset digit-scenes --models cnn-rnn,bce --policy threshold,cnn-rnn=decoded

  bench compare --dataset coco --data-root coco --models bce,softmax --format markdown

  bench compare --dataset shards --data-root s3://bucket/photos --models bce,softmax --out s3://bucket/runs"""


def compare(  # noqa: PLR0917 - the parser passes options by name
    dataset: DatasetName,
    models: Annotated[
        str,
        typer.Option(
            "--models", metavar="A,B", help="Model names. See: bench list models", autocompletion=names_of("models")
        ),
    ],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each model, with seeds 0, 1, ...")] = 1,
    backbone: BackboneName = "",
    sets: Sets = None,
    protocol: ProtocolName = "",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="NAME,...",
            help="As of bench run, for all models; MODEL=NAME for one, as in threshold,cnn-rnn=decoded.",
            rich_help_panel=MODEL,
        ),
    ] = "",
    name: GivenName = "",
    data_root: DataRoot = None,
    weights: Weights = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    finetune: Finetune = None,
    trials: Trials = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, metavar="N", help="Runs made side by side; results are the same.")
    ] = 1,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Make runs on a Ray cluster, with the same results: auto, the one of this machine; local, a new one;"
            " or HOST:PORT.",
            rich_help_panel=MACHINE,
        ),
    ] = "",
    out: Out = STORE,
    cache: Cache = None,
    device: Device = "cpu",
    engine: Engine = "auto",
    track: Track = "",
    track_out: TrackOut = TRACKED,
    goals: Goals = None,
    significance: Significance = False,
    prior: Annotated[
        bool,
        typer.Option("--prior/--no-prior", help="Also the label prior, which any method must beat, where not named."),
    ] = True,
    style: TableFormat = "terminal",
) -> None:
    """Run what is missing of several models and seeds; print one table with mean and spread, and which model to take.

    The recommendation is chosen on validation scores, for --for or the protocol's main metric, and told on test.
    A run that fails is a row with its reason; the others go on, and the exit code is then 1, or 2 where the data cannot
    be opened. Several processes or GPUs share each run's features and fine-tuning: torchrun --nproc-per-node 2 -m bench
    compare ...
    """
    options = locals()  # what the parser has read, by the names of a request's fields
    from bench.contracts.goals import parse_goal
    from bench.evaluation import choosing
    from bench.show.rendering import check_format
    from bench.show.tables import by_comparison
    from bench.show.tracking import comparison
    from bench.sweep import plan_runs, sweep, sweep_side_by_side

    _check_where(jobs, cluster, engine, device)

    own_sets, tracker_sets = split_sets(sets or ())
    check_format(style, significance)
    asked = [parse_goal(text) for text in goals or ()]
    if asked:
        choosing.wish(asked, protocol or "top3@1")  # a goal that is none is said before anything is run
    places = destinations(track, tracker_sets, track_out)
    request = run_request(options, own_sets, model="")
    requests = plan_runs(request, comma_separated(models), seeds, controls=prior)
    summaries: list[RunSummary] = []
    failed: dict[str, str] = {}

    def starting(number: int, one: RunRequest, left: str) -> None:
        _tell_start(number, len(requests), one, left)

    makers = _makers(min(jobs, len(requests)), cluster, device)
    runs = sweep_side_by_side(requests, makers, starting=starting) if makers else sweep(requests, starting=starting)
    for summary in runs:
        summaries.append(summary)
        if summary.measures is not None:
            tell(places, failed, [summary])
        else:
            seed, name = summary.config["seed"], summary.config["model"]["name"]
            put(f"{summary.state}: {name} seed {seed}: {summary.reason}", file=sys.stderr)
    groups = by_comparison(summaries)
    groups = groups if len(groups) > 1 else [summaries]
    _print(groups, style, significance, cache)
    if style == "terminal" and (asked or len({run.config["model"]["name"] for run in summaries}) > 1):
        _print_recommendation(summaries, asked, cache)
    for note in dict.fromkeys(note for run in summaries for note in run.about.notes):
        say(f"note: {note}", file=sys.stderr)
    done = [run for run in summaries if run.measures is not None]
    tell(places, failed, [], [comparison(group) for group in groups if any(run.measures for run in group)])
    print_failures(places, failed, done)
    if len(done) < len(summaries):
        raise typer.Exit(1)


def _check_where(jobs: int, cluster: str, engine: str, device: str) -> None:
    """Raise ``UsageError`` where what is asked for does not say one place to make runs in."""
    from bench.errors import UsageError
    from bench.system import ranks

    if engine == "ray":
        raise UsageError("--engine: found 'ray', but it says what computes features. Try: --cluster auto")
    if ranks.current() is not None and (cluster or jobs > 1):
        found = f"--cluster: found '{cluster}'" if cluster else f"--jobs: found {jobs}"
        raise UsageError(f"{found}, but the processes of torchrun share each run. Try: without it, or without torchrun")
    if cluster and jobs > 1:
        raise UsageError(
            f"--jobs: found {jobs}, but with --cluster its cores say how many runs are made at once."
            " Try: OMP_NUM_THREADS=1 before the command, for one core a run"
        )
    if cluster and device.startswith("cuda:"):
        raise UsageError(f"--device: found '{device}', but with --cluster Ray chooses the GPU. Try: --device cuda")


def _makers(jobs: int, cluster: str, device: str) -> Makers | None:
    """Return those that make runs side by side; ``None``: this process makes them, one after another."""
    if cluster:
        from bench.cluster import Cluster

        return Cluster(cluster, device)
    if jobs > 1:
        from bench.processes import Processes

        return Processes(jobs)
    return None


def _tell_start(number: int, total: int, request: RunRequest, left: str) -> None:
    from bench.system.progress import QUIET_VARIABLE

    if not os.environ.get(QUIET_VARIABLE):
        put(f"[{number}/{total}] {request.model} seed {request.seed}{f'; {left}' if left else ''}", file=sys.stderr)


def _print(groups: Sequence[Sequence[RunSummary]], style: str, significance: bool, cache: Path | None) -> None:
    from bench.show import tables

    built = [tables.build(group) for group in groups]
    if not significance:
        print_tables(built, style)
        return
    from bench.show.differences import print_with_differences
    from bench.store.resamples import kept_in
    from bench.system.files import default_cache

    print_with_differences(built, groups, style, kept_in(cache or default_cache()))


def _print_recommendation(summaries: list[RunSummary], goals: Sequence[Goal], cache: Path | None) -> None:
    """Print which of the finished runs to take; where none is, the table has said why."""
    from bench.show.recommendation import recommend
    from bench.show.recommended import print_recommendation
    from bench.show.tables import by_key
    from bench.store.resamples import kept_in
    from bench.system.files import default_cache

    for group in by_key(summaries):
        put()
        print_recommendation(recommend(group, goals, kept_in(cache or default_cache())))
