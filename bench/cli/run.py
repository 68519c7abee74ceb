"""``bench run``: one model on one data set, from images to a table row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.common import (
    BackboneName,
    Cache,
    DataRoot,
    DatasetName,
    Device,
    Finetune,
    ModelName,
    Out,
    ProtocolName,
    Seed,
    Sets,
    TestSplit,
    Track,
    TrackOut,
    TrainSplit,
    Weights,
)
from bench.cli.track import FOLDER, destinations, print_failures, split_sets, tell

if TYPE_CHECKING:
    from bench.records import RunRequest
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench run --model cnn-rnn --dataset digit-scenes

  bench run --model cnn-rnn --dataset digit-scenes --set cell=gru --set beam_width=5

  bench run --model bce --dataset coco --data-root coco --train-split train2017 --test-split val2017

  bench run --model softmax --dataset voc2007 --data-root VOCdevkit --backbone timm/resnet18

  bench run --model bce --dataset digit-scenes --track tensorboard,mlflow --set tracker.experiment=digits"""


def run(  # noqa: PLR0917 - the parser passes options by name
    model: ModelName,
    dataset: DatasetName,
    backbone: BackboneName = "",
    sets: Sets = None,
    protocol: ProtocolName = "",
    data_root: DataRoot = None,
    weights: Weights = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    finetune: Finetune = 0,
    seed: Seed = 0,
    out: Out = Path("runs"),
    cache: Cache = None,
    device: Device = "cpu",
    track: Track = "",
    track_out: TrackOut = FOLDER,
    exports: Annotated[
        bool, typer.Option("--export", help="Also write the model as ONNX, to the run folder's 'onnx'.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run as JSON, without progress bars.")] = False,
) -> None:
    """Train, decode and measure one model on one data set, and print its table row.

    The same command again continues a run that was stopped, and only prints one that is done.
    """
    import os
    import time

    from bench.pipeline import run_one
    from bench.records import RunRequest
    from bench.system.files import default_cache
    from bench.system.progress import QUIET_VARIABLE

    if as_json:
        os.environ[QUIET_VARIABLE] = "1"
    own_sets, tracker_sets = split_sets(sets or ())
    places = destinations(track, tracker_sets, track_out)
    request = RunRequest(
        model=model,
        dataset=dataset,
        backbone=backbone,
        sets=tuple(own_sets),
        protocol=protocol,
        data_root=data_root,
        weights=weights,
        train_split=train_split,
        test_split=test_split,
        finetune=finetune,
        seed=seed,
        out=out,
        cache=cache or default_cache(),
        device=device,
    )
    started = time.perf_counter()
    folder = run_one(request)
    if exports and not (folder.path / "onnx" / "pixels.onnx").exists():
        from bench.exported.publish import export_run

        export_run(folder, folder.path / "onnx")
    if as_json:
        _print_json(folder)
    else:
        _print(folder, time.perf_counter() - started, _same_place(request))
    failed: dict[str, str] = {}
    told = [folder.summary()] if places else []
    tell(places, failed, told)
    print_failures(places, failed, told)


def _print(folder: RunFolder, seconds: float, place: str) -> None:
    from bench.cli.table import print_tables
    from bench.show import tables

    print_tables([tables.build([folder.summary()])], "terminal")
    timings = folder.read_timings()
    stages = ", ".join(f"{name} {spent:.1f} s" for name, spent in timings["seconds"].items() if spent >= 0.05)
    stages = stages or "every stage under 0.1 s"
    extraction = timings.get("feature_extraction") or {}
    speed = f" ({extraction['images_per_second']:,.0f} images/s)" if extraction else ""
    print(f"\nrun folder  {folder.path}")
    print(*(f"note        {note}\n" for note in folder.summary().about.notes), sep="", end="")
    print(f"time        {seconds:.1f} s now; when it was made: {stages.replace('features', f'features{speed}', 1)}")
    if (folder.path / "onnx").exists():
        print(f"exported    {folder.path / 'onnx'}; bench predict {folder.path / 'onnx'} IMAGE...")
    print(f"next        bench compare {place} --models cnn-rnn,no-rnn,bce,softmax,warp")


def _same_place(request: RunRequest) -> str:
    """Return the options that a following command on the same data and features needs."""
    import shlex

    given = {
        "--dataset": request.dataset,
        "--data-root": request.data_root,
        "--train-split": request.train_split,
        "--test-split": request.test_split,
        "--backbone": request.backbone,
        "--weights": request.weights,
        "--out": request.out if request.out != Path("runs") else None,
    }
    words = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value]
    words += [f"--set {shlex.quote(text)}" for text in request.sets if text.startswith(("dataset.", "backbone."))]
    return " ".join(words)


def _print_json(folder: RunFolder) -> None:
    from dataclasses import asdict

    from bench.store.sealed import to_json

    record: dict[str, Any] = {
        "folder": str(folder.path),
        "key": folder.key,
        "config": folder.config,
        "measures": asdict(folder.read_measures()),
        "timings": folder.read_timings(),
    }
    print(to_json(record), end="")
