"""``bench data verify``: whether a data set is whole."""

from __future__ import annotations

import typer

from bench.cli.datasets import NamedDataset, open_named
from bench.cli.options import AsJson, DataRoot, DataSets, GivenName, TestSplit, TrainSplit
from bench.show.console import put, put_raw, say

EXAMPLES = """Examples:

  bench data verify voc2007 --data-root voc

  bench data verify csv --data-root my-images --json"""


def verify_images(  # noqa: PLR0917 - the parser passes options by name
    name: NamedDataset,
    data_root: DataRoot = None,
    sets: DataSets = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    called: GivenName = "",
    as_json: AsJson = False,
) -> None:
    """Read every image; name unreadable ones, copies of test's in another part or with other labels, the known variant.

    The exit code is 2 where anything is wrong but labels, which are for you to judge.
    """
    from dataclasses import asdict

    from bench import plugins
    from bench.data.verify import UNKNOWN, verify
    from bench.guard import calling

    dataset = open_named(name, data_root, sets, (train_split, test_split), called)
    plugin = plugins.installed().dataset(name)
    variants = plugin.spec.variants
    with calling(plugin.origin, "verify", f"data set '{name}'"):
        found = verify(dataset, variants)
    if as_json:
        from bench.store.sealed import to_json

        put_raw(to_json(asdict(found) | {"sound": found.sound}))
    else:
        for split, count in found.images.items():
            put(f"{dataset.name}/{split}: {count:,} images, fingerprint {found.fingerprints[split]}")
        put(f"fingerprint over: {found.fingerprint_over}")
        put(f"variant: {found.variant}")
        put(f"known as: {found.known}")
        if found.known == UNKNOWN:
            for train, test, meaning in variants:
                put(f"  known with {train:,} / {test:,} images: {meaning}")
        for note in found.notes:
            say(f"note: {note}")
        _print_some([f"gone, so in no split: {image}" for image in found.gone])
        for split in found.without_images:
            put(f"no images here for {split}: only its labels were checked")
        _print_some([f"unreadable: {message}" for message in found.unreadable])
        _print_some([f"in train and in test: {one} = {other}" for one, other in found.duplicates])
        _print_some([f"in validation and in test: {one} = {other}" for one, other in found.chosen_on])
        for split, pairs in found.other_labels.items():
            _print_some([f"one picture with two label sets in {split}: {one} = {other}" for one, other in pairs])
        chosen_on = "" if dataset.validation is None else f" {len(found.chosen_on):,} in validation and in test,"
        put(
            f"{found.read:,} of {sum(found.images.values()):,} images read: {len(found.unreadable):,} unreadable,"
            f" {len(found.duplicates):,} in train and in test,{chosen_on} {len(found.gone):,} listed but gone"
        )
    if not found.sound:
        raise typer.Exit(2)


def _print_some(lines: list[str]) -> None:
    from bench.data.verify import MOST_NAMED

    for line in lines[:MOST_NAMED]:
        put(line)
    if len(lines) > MOST_NAMED:
        put(f"  and {len(lines) - MOST_NAMED:,} more of these; --json names all")
