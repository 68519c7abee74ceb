"""``bench data``: what a data set holds, in numbers and in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.common import DataRoot, Sets, TestSplit, TrainSplit, open_named
from bench.cli.data_speed import speed

if TYPE_CHECKING:
    from bench.records import Dataset, Split

data = typer.Typer(help="Count, check and show a data set.", no_args_is_help=True, add_completion=False)

ROWS = (
    ("images", "images", ","),
    ("labels", "labels", ","),
    ("labels per image", "label_cardinality", ".2f"),
    ("images without label", "unlabelled_images", ","),
    ("ignored pairs", "ignored_pairs", ","),
    ("most / least frequent", "imbalance", ".0f"),
    ("fingerprint", "fingerprint", ""),
)
"""Title, name in ``bench.data.open.statistics``, and format."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="See: bench list datasets")]
Part = Annotated[str, typer.Option("--split", metavar="NAME", help="train, validation or test.")]


@data.command("stats")
def stats(  # noqa: PLR0917 - the parser passes options by name
    name: Name,
    data_root: DataRoot = None,
    sets: Sets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Draw label frequency, co-occurrence and cardinality of train."),
    ] = None,
) -> None:
    """Print labels, label cardinality, imbalance, co-occurrence and fingerprint of each split.

    Runs are compared by the fingerprint; what it is over is printed with it.
    """
    from bench.data.statistics import statistics

    dataset = open_named(name, data_root, sets, (train_split, test_split))
    counted = {part: statistics(split) for part, split in _splits(dataset).items()}
    if as_json:
        from bench.store.sealed import to_json

        described = {"dataset": dataset.name, "variant": dataset.variant, "notes": dataset.notes}
        print(to_json(described | {"splits": counted}), end="")
    else:
        _print(dataset, counted)
        print(*(f"note: {note}\n" for note in dataset.notes), sep="", end="")
    if plots:
        from bench.show.figures import save
        from bench.show.figures.dataset import of_split

        written = [path for figure in of_split(dataset.train) for path in save(figure, plots)]
        if not as_json:
            print(f"drawn of {dataset.train.name}: {', '.join(str(path) for path in written if path.suffix == '.png')}")


@data.command("show")
def show(  # noqa: PLR0917 - the parser passes options by name
    name: Name,
    split: Part = "train",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The PNG to write.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=240, help="Images on the sheet.")] = 24,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which images.")] = 0,
    data_root: DataRoot = None,
    sets: Sets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
) -> None:
    """Write a contact sheet, a PNG of images with their labels."""
    from bench.errors import unknown
    from bench.show import contact_sheet

    splits = _splits(open_named(name, data_root, sets, (train_split, test_split)))
    if split not in splits:
        raise unknown("split", split, splits, "Try: --split train")
    path = out or Path(f"{name}-{split}.png")
    shown = contact_sheet.draw(splits[split], path, count=count, seed=seed)
    print(f"{path}: {len(shown)} of {len(splits[split]):,} images of {name}/{splits[split].name}")


@data.command("list")
def list_datasets(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the data sets, as bench list datasets does."""
    from bench.cli.list import list_plugins

    list_plugins("datasets", options=False, as_json=as_json)


@data.command("verify")
def verify_images(  # noqa: PLR0917 - the parser passes options by name
    name: Name,
    data_root: DataRoot = None,
    sets: Sets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every image; name unreadable ones, copies in train and in test, and the known variant.

    The exit code is 2 where anything is wrong.
    """
    from dataclasses import asdict

    from bench import plugins
    from bench.data.verify import UNKNOWN, verify

    dataset = open_named(name, data_root, sets, (train_split, test_split))
    variants = plugins.installed().dataset(name).spec.variants
    found = verify(dataset, variants)
    if as_json:
        from bench.store.sealed import to_json

        print(to_json(asdict(found) | {"sound": found.sound}), end="")
    else:
        for split, count in found.images.items():
            print(f"{name}/{split}: {count:,} images, fingerprint {found.fingerprints[split]}")
        print(f"fingerprint over: {found.fingerprint_over}")
        print(f"variant: {found.variant}")
        print(f"known as: {found.known}")
        if found.known == UNKNOWN:
            for train, test, meaning in variants:
                print(f"  known with {train:,} / {test:,} images: {meaning}")
        print(*(f"note: {note}\n" for note in found.notes), sep="", end="")
        _print_some([f"gone, so in no split: {image}" for image in found.gone])
        for split in found.without_images:
            print(f"no images here for {split}: only its labels were checked")
        _print_some([f"unreadable: {message}" for message in found.unreadable])
        _print_some([f"in train and in test: {one} = {other}" for one, other in found.duplicates])
        print(
            f"{found.read:,} of {sum(found.images.values()):,} images read: {len(found.unreadable):,} unreadable,"
            f" {len(found.duplicates):,} in train and in test, {len(found.gone):,} listed but gone"
        )
    if not found.sound:
        raise typer.Exit(2)


@data.command("download")
def download(
    name: Name,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to unpack into: the data root.")],
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives once they are unpacked.")] = False,
) -> None:
    """Fetch a data set's official archives, check them, and unpack them; a stopped download is continued."""
    from bench import plugins
    from bench.data.download import checksum, fetch
    from bench.data.unpack import extract
    from bench.errors import NotRun

    spec = plugins.installed().dataset(name).spec
    if not spec.archives:
        raise NotRun(
            f"'{name}' has no archives that may be fetched. '--data-root' should hold: {spec.expects or 'nothing'}"
        )
    fetched = []
    for archive in spec.archives:
        path = fetch(archive, to / "downloads")
        fetched.append(path)
        how = "MD5 as published" if archive.md5 else f"no published checksum; its MD5 is {checksum(path)}"
        print(f"{path.name}: {path.stat().st_size / 1e6:,.1f} MB, {how}")
        print(f"{path.name}: {extract(path, to / archive.folder):,} files to {to / archive.folder}")
    if not keep:
        for path in fetched:
            path.unlink()
    print(f"next        bench data verify {name} --data-root {to}")


data.command("speed")(speed)


def _print_some(lines: list[str]) -> None:
    from bench.data.verify import MOST_NAMED

    print(*lines[:MOST_NAMED], sep="\n", end="\n" if lines else "")
    if len(lines) > MOST_NAMED:
        print(f"  and {len(lines) - MOST_NAMED:,} more of these; --json names all")


def _splits(dataset: Dataset) -> dict[str, Split]:
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {part: split for part, split in parts.items() if split is not None}


def _print(dataset: Dataset, counted: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{dataset.name}[/bold]: {dataset.variant}; protocol {dataset.protocol}", highlight=False)
    table = Table(box=None, header_style="bold")
    table.add_column("")
    for part in counted:
        table.add_column(part, justify="right")
    for title, key, style in ROWS:
        table.add_row(title, *(format(entry[key], style) for entry in counted.values()))
    console.print(table)
    train = counted["train"]
    console.print(f"fingerprint over: {train['fingerprint_over']}", highlight=False)
    frequent = sorted(train["label_counts"].items(), key=lambda item: -item[1])
    words = ", ".join(f"{label} {count:,}" for label, count in frequent[:8])
    console.print(f"most frequent in train: {words}", highlight=False)
    rare = ", ".join(f"{label} {count:,}" for label, count in frequent[-5:])
    console.print(f"least frequent: {rare}", highlight=False)
    pairs = "; ".join(
        f"{' + '.join(pair['labels'])} {pair['images']:,} (x{pair['lift']:.1f})" for pair in train["cooccurrence"][:5]
    )
    console.print(f"most often together (times chance): {pairs}", highlight=False)
