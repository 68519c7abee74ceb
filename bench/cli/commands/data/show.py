"""``bench data show``: images of a data set with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.completion import one_of
from bench.cli.datasets import NamedDataset, open_named, splits_of
from bench.cli.options import DataRoot, DataSets, GivenName, TestSplit, TrainSplit
from bench.show.console import put

EXAMPLES = """Examples:

  bench data show digit-scenes --out sheet.png

  bench data show csv --data-root my-images --split test --count 60"""


def show(  # noqa: PLR0917 - the parser passes options by name
    name: NamedDataset,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="NAME",
            help="train, validation or test.",
            autocompletion=one_of(("train", "validation", "test")),
        ),
    ] = "train",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The PNG to write.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=240, help="Images on the sheet.")] = 24,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which images.")] = 0,
    data_root: DataRoot = None,
    sets: DataSets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    called: GivenName = "",
) -> None:
    """Write a contact sheet, a PNG of images with their labels."""
    from bench.errors import unknown
    from bench.show import contact_sheet
    from bench.store.runs import folder_name

    dataset = open_named(name, data_root, sets, (train_split, test_split), called)
    splits = splits_of(dataset)
    if split not in splits:
        raise unknown("split", split, splits, "Try: --split train")
    path = out or Path(f"{folder_name(dataset.name)}-{split}.png")
    shown = contact_sheet.draw(splits[split], path, count=count, seed=seed)
    put(f"{path}: {len(shown)} of {len(splits[split]):,} images of {dataset.name}/{splits[split].name}")
