"""``bench data export``: ids, labels, truth and paths of a data set, for code of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.datasets import NamedDataset
from bench.cli.options import DataRoot, DataSets, TestSplit, TrainSplit
from bench.cli.requests import data_words, run_request
from bench.show.console import print_table, put, say

EXAMPLES = """Examples:

  bench data export digit-scenes --out data

  bench data export csv --data-root my-images --out data --pictures"""


def export_data(  # noqa: PLR0917 - the parser passes options by name
    dataset: NamedDataset,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    data_root: DataRoot = None,
    sets: DataSets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also write every picture as PNG, where none has a file of its own.")
    ] = False,
) -> None:
    """Write ids, label names, truth and image paths of train, validation and test, as .npz and .csv.

    Train on train, choose on validation, predict test by its ids: bench score takes what comes out. The parts share no
    image; where the data set has no validation split, it is the one that every model here is judged on.
    """
    options = locals()  # what the parser has read, by the names of a request's fields
    from bench.external.data_folder import write
    from bench.external.score import open_data

    request = run_request({**options, "out": None}, sets or (), model="data")
    opened = open_data(request)
    parts, notes = write(opened, out, pictures)
    rows = [(part, split.name, f"{len(split):,}", f"{out / part}.npz") for part, split in parts.items()]
    print_table(
        ("part", "split", "images", "file"), rows, title=f"{opened.parts.dataset.name} in {out}", texts=("file",)
    )
    put()
    for note in (*opened.parts.dataset.notes, *notes):
        say(f"note: {note}")
    put(f"next: bench score FILE {data_words(request)} --kind probability")
