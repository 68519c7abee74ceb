"""Which images of a table belong together, as a patient's: told where parts share one, kept together where asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import bench
from bench_datasets.listing import printable
from bench_datasets.table_columns import of_one_thing, thing_of
from bench_datasets.tables import SPLIT_COLUMN, Row
from bench_datasets.typed import as_typed

if TYPE_CHECKING:
    import numpy as np
else:
    np = bench.lazy_import("numpy")

GROUP = bench.Option(
    "group_column", "", "column of what images are of, as a patient: drawn parts take all of one or none"
)


def group_of(row: Row) -> str:
    """Return what an image of a table with ``group_column`` belongs to: where the cell is empty, to itself."""
    return row.things[0] or f"\0{row.path}"


def draw(rows: Sequence[Row], fraction: float, seed: int, *, by_group: bool) -> set[int]:
    """Return which rows are drawn: about ``fraction`` of them, all of a group or none, never more than half for one."""
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(group_of(row) if by_group else str(number), []).append(number)
    together, drawn = list(groups.values()), set[int]()
    for group in np.random.default_rng(seed).permutation(len(together)).tolist():
        if len(drawn) < max(round(fraction * len(rows)), 1) and 2 * len(together[group]) <= len(rows):
            drawn.update(together[group])
    return drawn


def told_of_drawn(parts: Mapping[str, Sequence[Row]], things: Sequence[str]) -> tuple[str, ...]:
    """Return notes on the columns and folders ``things`` of which images are on both sides of a drawn split."""
    by_column = "The split is drawn by image. Try: {} to keep them together"
    by_folder = f"The split is drawn by image; a column '{SPLIT_COLUMN}' keeps them together"
    return tuple(
        f"{told}. {by_column.format(as_typed('group_column', name)) if name else by_folder}"
        for name, told in _shared(parts, things)
    )


def told_of_given(parts: Mapping[str, Sequence[Row]], things: Sequence[str], group: str) -> tuple[str, ...]:
    """Return notes where images of one thing are in train and in test, or will be where a validation part is drawn."""
    # Numbers of rows may begin anew in each part; groups that parts share are told of every data set, by bench.
    things = tuple(name if name != group and of_one_thing(name) else "" for name in things)
    notes = tuple(told for _, told in _shared(parts, things))
    if group or "validation" in parts:
        return notes
    for column, name in enumerate(things):
        images = Counter(row.things[column] for row in parts["train"] if row.things[column])
        if several := sorted(thing for thing, count in images.items() if name and count > 1):
            told = f"column '{name}': {len(several):,} have several images in train, as {several[0]:.60}"
            remedy = f"Try: {as_typed('group_column', name)} where they are alike"
            return (*notes, f"{told}. A validation part is drawn by image. {remedy}")
    return notes


def _shared(parts: Mapping[str, Sequence[Row]], things: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what says that images of one thing are in train and test, a column or "" for folders, and words on it."""
    train, test = parts["train"], parts["test"]
    for column, name in enumerate(things):
        if name and (both := {row.things[column] for row in train} & {row.things[column] for row in test} - {""}):
            yield name, f"column '{name}': images of {len(both):,} are in train and in test, as of {min(both):.60}"
    if both := {thing_of(row.path) for row in train} & {thing_of(row.path) for row in test} - {""}:
        yield "", f"images of {len(both):,} folders are in train and in test, as of {printable(min(both)):.60}"
