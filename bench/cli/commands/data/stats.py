"""``bench data stats``: what a data set holds, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.datasets import NamedDataset, open_named, splits_of
from bench.cli.options import AsJson, DataRoot, DataSets, GivenName, TestSplit, TrainSplit
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from bench.records import Dataset

EXAMPLES = """Examples:

  bench data stats digit-scenes

  bench data stats voc2007 --data-root voc --plots plots

  bench data stats csv --data-root s3://bucket/photos"""

ROWS = (
    ("images", "images", ","),
    ("labels", "labels", ","),
    ("labels per image", "label_cardinality", ".2f"),
    ("images without label", "unlabelled_images", ","),
    ("ignored pairs", "ignored_pairs", ","),
    ("most / least frequent", "imbalance", ".0f"),
    ("fingerprint", "fingerprint", ""),
)
"""Title, name in ``bench.data.statistics.statistics``, and format."""


def stats(  # noqa: PLR0917 - the parser passes options by name
    name: NamedDataset,
    data_root: DataRoot = None,
    sets: DataSets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    called: GivenName = "",
    as_json: AsJson = False,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Draw label frequency, co-occurrence and cardinality of train."),
    ] = None,
) -> None:
    """Print labels, label cardinality, imbalance, co-occurrence and fingerprint of each split.

    Runs are compared by the fingerprint; what it is over is printed with it.
    """
    from bench import plugins
    from bench.data.statistics import statistics
    from bench.guard import calling

    dataset = open_named(name, data_root, sets, (train_split, test_split), called)
    with calling(plugins.installed().dataset(name).origin, "count", f"data set '{name}'"):
        counted = {part: statistics(split) for part, split in splits_of(dataset).items()}
    if as_json:
        from bench.store.sealed import to_json

        described = {"dataset": dataset.name, "variant": dataset.variant, "notes": dataset.notes}
        put_raw(to_json(described | {"splits": counted}))
    else:
        _print(dataset, counted)
        for note in dataset.notes:
            say(f"note: {note}")
    if plots:
        from bench.show.figures import save
        from bench.show.figures.dataset import of_split

        written = [path for figure in of_split(dataset.train) for path in save(figure, plots)]
        if not as_json:
            put(f"drawn of {dataset.train.name}: {', '.join(str(path) for path in written if path.suffix == '.png')}")


def _print(dataset: Dataset, counted: dict[str, dict[str, Any]]) -> None:
    say(f"{dataset.name}: {dataset.variant}; protocol {dataset.protocol}", "bold")
    rows = [(title, *(format(entry[key], style) for entry in counted.values())) for title, key, style in ROWS]
    print_table(("", *counted), rows)
    put()
    train = counted["train"]
    say(f"fingerprint over: {train['fingerprint_over']}")
    frequent = sorted(train["label_counts"].items(), key=lambda item: -item[1])
    say("most frequent in train: " + ", ".join(f"{label} {count:,}" for label, count in frequent[:8]))
    say("least frequent: " + ", ".join(f"{label} {count:,}" for label, count in frequent[-5:]))
    pairs = "; ".join(
        f"{' + '.join(pair['labels'])} {pair['images']:,} (x{pair['lift']:.1f})" for pair in train["cooccurrence"][:5]
    )
    say(f"most often together (times chance): {pairs}")
