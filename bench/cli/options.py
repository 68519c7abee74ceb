"""Options that several commands share, declared once, ``def run(model: ModelName, ...)``, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.completion import names_of
from bench.cli.places import anywhere

ASKED_BY_ADDRESS: set[Path] = set()
"""Copies of stores elsewhere that this command was given by their addresses: they are brought up to date first."""


def store_here(ctx: typer.Context, place: Path) -> Path:
    """Return the folder of a store; of one elsewhere this machine's copy, as it is."""
    from bench.remote.copies import copy_of

    folder = place if ctx.resilient_parsing else copy_of(place)  # where a shell completes, nothing is made
    (ASKED_BY_ADDRESS.discard if folder == place else ASKED_BY_ADDRESS.add)(folder)
    return folder


def cache_here(ctx: typer.Context, place: Path | None) -> Path | None:
    """Return the folder of a cache; of one elsewhere that of this machine."""
    from bench.remote.copies import copy_of

    return place if place is None or ctx.resilient_parsing else copy_of(place, cache=True)


DATA, MODEL, MACHINE = "Data and features", "Model", "Machine and store"
STORE, TRACKED = Path("runs"), Path("trackers")
"""Folders that runs are stored in, and that trackers write below, where none is named."""

GivenName = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="What the data set is called in lists, tables and reports, as in posters; results do not depend on it.",
        rich_help_panel=DATA,
    ),
]
ModelName = Annotated[
    str, typer.Option("--model", metavar="NAME", help="See: bench list models", autocompletion=names_of("models"))
]
DatasetName = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="See: bench list datasets", autocompletion=names_of("datasets"))
]
BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="Image network, or FAMILY/NAME as in timm/resnet18; the data set names its default.",
        autocompletion=names_of("backbones"),
        rich_help_panel=DATA,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="Folder with the data set's files, or an address as s3://bucket/folder.",
        callback=anywhere,
        rich_help_panel=DATA,
    ),
]
TrainSplit = Annotated[
    str | None, typer.Option("--train-split", metavar="NAME", help="As in train2017.", rich_help_panel=DATA)
]
TestSplit = Annotated[
    str | None, typer.Option("--test-split", metavar="NAME", help="As in val2017.", rich_help_panel=DATA)
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Backbone weights: safetensors, a state dict, or a folder as the hub lays it out, whose config.json"
        " says the preprocessing. Downloaded if not given.",
        rich_help_panel=DATA,
    ),
]
MovedData = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="Folder or address where the data set's files lie now; that of the run if not given.",
        callback=anywhere,
        rich_help_panel=DATA,
    ),
]
MovedWeights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Where the backbone's weights lie now; those of the run if not given.",
        rich_help_panel=DATA,
    ),
]
Finetune = Annotated[
    int | None,
    typer.Option(
        "--finetune",
        metavar="EPOCHS",
        min=0,
        help="Epochs of end-to-end training of the backbone first; 0 keeps it frozen, as in the paper and as most"
        " models do where this is not given. Its options are --set finetune.NAME=VALUE.",
        rich_help_panel=DATA,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of the model, its training or search, of dataset.NAME, backbone.NAME or"
        " finetune.NAME; repeatable."
        " See: bench list --options",
        rich_help_panel=MODEL,
    ),
]
DataSets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="dataset.NAME=VALUE",
        help="An option of the data set; repeatable. See: bench list datasets --options",
        rich_help_panel=DATA,
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="Evaluation protocol; the data set names its default.",
        autocompletion=names_of("protocols"),
        rich_help_panel=MODEL,
    ),
]
_POLICY = (
    "How scores become label sets, chosen on validation: exactly-k, natural-threshold, decoded, own, one of: bench list"
    " policies, or a goal as precision>=0.9."
)
PolicyName = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="NAME",
        help=f"{_POLICY} The protocol's, if not given.",
        autocompletion=names_of("policies"),
        rich_help_panel=MODEL,
    ),
]
OtherPolicy = Annotated[
    str,
    typer.Option("--policy", metavar="NAME", help=_POLICY, autocompletion=names_of("policies"), rich_help_panel=MODEL),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.", rich_help_panel=MODEL)]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        help="Choose options on the validation part, of N that each model's search space gives, then train once more on"
        " train and validation. Every model gets the same N.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="As in cpu or cuda.", rich_help_panel=MACHINE)]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="What computes a frozen backbone's features: auto, onnx, onnx-fp16 or torch. auto: ONNX Runtime on the"
        " CPU where it gives torch's features, else torch; torch for a fine-tuned one.",
        rich_help_panel=MACHINE,
    ),
]
Track = Annotated[
    str,
    typer.Option(
        "--track",
        metavar="A,B",
        help="Trackers told of each run once it is stored; their options are --set tracker.NAME=VALUE."
        " See: bench list trackers",
        autocompletion=names_of("trackers"),
        rich_help_panel=MACHINE,
    ),
]
TrackOut = Annotated[
    Path, typer.Option("--track-out", metavar="DIR", help="Folder that trackers write below.", rich_help_panel=MACHINE)
]
TrackTo = Annotated[
    str,
    typer.Option("--to", metavar="A,B", help="Trackers. See: bench list trackers", autocompletion=names_of("trackers")),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder that runs are stored in, or an address as s3://bucket/runs.",
        callback=anywhere,
        rich_help_panel=MACHINE,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Folder for features and resamples; the platform's cache folder if not given. Of an address as"
        " s3://bucket/cache, features are shared with other machines.",
        callback=cache_here,
        rich_help_panel=MACHINE,
    ),
]
RunsFolder = Annotated[
    Path,
    typer.Option(
        "--runs",
        metavar="DIR",
        help="Folder of the stored runs, or an address as s3://bucket/runs.",
        callback=store_here,
    ),
]
RunNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUNS",
        help="Rows of bench runs, first digits of keys, run folders or folders that hold runs; all of --runs if"
        " not given.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's row number in bench runs, first digits of its key, or its folder.")
]
OneDataset = Annotated[
    str,
    typer.Option("--dataset", metavar="NAME", help="Only runs on this data set.", autocompletion=names_of("datasets")),
]
TableFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="How to print it: terminal, markdown, latex, csv, json, or a plugin's (bench list table_formats).",
        autocompletion=names_of("table_formats"),
    ),
]
Goals = Annotated[
    list[str] | None,
    typer.Option(
        "--for",
        metavar="GOAL",
        help="What the recommendation is for: a metric as mAP or O-F1, precision>=0.9, recall>=0.8, latency<20ms,"
        " size<50MB; repeatable. The protocol's main metric if not given.",
    ),
]
Significance = Annotated[
    bool, typer.Option("--significance", help="Also pairwise differences with 95 % intervals over test images.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the names in ``text``, as in ``bce,warp``."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def whole_numbers(option: str, text: str) -> list[int]:
    """Return the numbers in ``text``, as in ``1,2,5``. Raises ``UsageError`` naming ``option``."""
    from bench.errors import UsageError

    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UsageError(
            f"{option}: found '{text}', allowed: whole numbers from 1, separated by commas. Try: {option} 2"
        )
    return numbers
