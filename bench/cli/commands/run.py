"""``bench run``: one model on one data set, from images to a table row."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import (
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
    ModelName,
    Out,
    PolicyName,
    ProtocolName,
    Seed,
    Sets,
    TestSplit,
    Track,
    TrackOut,
    TrainSplit,
    Trials,
    Weights,
)
from bench.cli.requests import comparison_of, run_request
from bench.cli.run_record import as_json as as_json_text
from bench.cli.tracking import destinations, print_failures, split_sets, tell
from bench.show.console import put, put_raw, say
from bench.show.result_tables import print_tables

if TYPE_CHECKING:
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench run --model cnn-rnn --dataset digit-scenes

  bench run --model cnn-rnn --dataset digit-scenes --set cell=gru --set beam_width=5

  bench run --model bce --dataset coco --data-root coco --train-split train2017 --test-split val2017

  bench run --model softmax --dataset voc2007 --data-root VOCdevkit --backbone timm/resnet18

  bench run --model bce --dataset shards --data-root s3://bucket/photos --out s3://bucket/runs

  bench run --model svm --dataset digit-scenes --trials 16

  bench run --model bce --dataset digit-scenes --policy threshold

  bench run --model bce --dataset digit-scenes --track tensorboard,mlflow --set tracker.experiment=digits"""


def run(  # noqa: PLR0917 - the parser passes options by name
    model: ModelName,
    dataset: DatasetName,
    backbone: BackboneName = "",
    sets: Sets = None,
    protocol: ProtocolName = "",
    policy: PolicyName = "",
    name: GivenName = "",
    data_root: DataRoot = None,
    weights: Weights = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    finetune: Finetune = None,
    seed: Seed = 0,
    trials: Trials = None,
    out: Out = STORE,
    cache: Cache = None,
    device: Device = "cpu",
    engine: Engine = "auto",
    track: Track = "",
    track_out: TrackOut = TRACKED,
    exports: Annotated[
        bool, typer.Option("--export", help="Also write the model as ONNX, to the run folder's 'onnx'.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run as JSON, without progress bars.")] = False,
) -> None:
    """Train, decode and measure one model on one data set, and print its table row.

    The same command again continues a run that was stopped, and only prints one that is done. Several processes or GPUs
    share features and fine-tuning of a run: torchrun --nproc-per-node 2 -m bench run ...
    """
    options = locals()  # what the parser has read, by the names of a request's fields
    import os
    import time

    from bench.pipeline import run_one
    from bench.system.progress import QUIET_VARIABLE

    if as_json:
        os.environ[QUIET_VARIABLE] = "1"
    own_sets, tracker_sets = split_sets(sets or ())
    places = destinations(track, tracker_sets, track_out)
    request = run_request(options, own_sets)
    started = time.perf_counter()
    folder = run_one(request)
    if exports:
        from bench.exported.publish import export_beside

        export_beside(folder)
    if as_json:
        put_raw(as_json_text(folder))
    else:
        following = comparison_of(request, ("cnn-rnn", "no-rnn", "bce", "softmax", "warp"), options)
        _print(folder, time.perf_counter() - started, following)
    failed: dict[str, str] = {}
    told = [folder.summary()] if places else []
    tell(places, failed, told)
    print_failures(places, failed, told)


def _print(folder: RunFolder, seconds: float, following: str) -> None:
    from bench.remote.copies import address_of
    from bench.show import tables
    from bench.store.following import of_store
    from bench.store.runs import by_other_code

    print_tables([tables.build([folder.summary()])], "terminal")
    timings = folder.read_timings()
    stages = ", ".join(f"{name} {spent:.1f} s" for name, spent in timings["seconds"].items() if spent >= 0.05)
    stages = stages or "every stage under 0.1 s"
    extraction = timings.get("feature_extraction") or {}
    speed = f" ({extraction['images_per_second']:,.0f} images/s)" if extraction else ""
    place = of_store(folder.path)
    put(f"\nrun folder  {folder.path}")
    if elsewhere := address_of(folder.path.parents[2]):
        put(f"published   {elsewhere}/{'/'.join(folder.path.parts[-3:])}")
    if folder.lists("trials"):
        from bench.show import trials

        told = f"{trials.told(folder.read_trials())}. All of them:"
        say(f"trials      {told}", indent=12, command=f"bench trials {folder.key}{place}")
    about = folder.summary().about
    for note in (*about.notes, *about.remarks):
        say(f"note        {note}", indent=12)
    made = stages.replace("features", f"features{speed}", 1)
    for older in by_other_code(folder):
        told = "a run that only the code tells from this one is kept. What differs:"
        say(f"note        {told}", indent=12, command=f"bench config {older.key} {folder.key}{place}")
    say(f"time        {seconds:.1f} s now; when it was made: {made}", indent=12)
    if (folder.path / "onnx").exists():
        exported = folder.path / "onnx"
        put(f"exported    {exported}; bench predict {shlex.quote(str(exported))} IMAGE...")
    put(f"next        {following}")
