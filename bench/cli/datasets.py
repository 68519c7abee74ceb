"""The data set that a ``bench data`` command names, opened, and its parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.completion import names_of

if TYPE_CHECKING:
    from bench.records import Dataset, Split

NamedDataset = Annotated[
    str, typer.Argument(metavar="NAME", help="See: bench list datasets", autocompletion=names_of("datasets"))
]


def open_named(
    name: str, data_root: Path | None, sets: list[str] | None, names: tuple[str | None, str | None], called: str = ""
) -> Dataset:
    """Return the data set ``name``; ``sets`` are its options, ``names`` those of its train and test split.

    It and its splits have the name that it is ``called``, where one was given. Raises ``UsageError`` for one that runs
    could not be given either.
    """
    from bench import plugins
    from bench.contracts import DatasetRequest
    from bench.data.open import open_dataset
    from bench.options import parse_assignments, resolve
    from bench.plan import check_name
    from bench.system.files import default_cache

    found = plugins.installed().dataset(name)
    spec = found.spec
    check_name(called, found, plugins.installed())
    given = {key.removeprefix("dataset."): value for key, value in parse_assignments(sets or []).items()}
    options = resolve(spec.options, given, f"dataset '{name}'", "dataset.")
    dataset = open_dataset(spec, DatasetRequest(options, data_root, *names, default_cache()), found.origin)
    if not called:
        return dataset
    train, test = (replace(split, dataset=called) for split in (dataset.train, dataset.test))
    validation = None if dataset.validation is None else replace(dataset.validation, dataset=called)
    return replace(dataset, name=called, train=train, validation=validation, test=test)


def splits_of(dataset: Dataset) -> dict[str, Split]:
    """Return the splits that the data set has, by train, validation and test."""
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {part: split for part, split in parts.items() if split is not None}
