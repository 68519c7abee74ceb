"""How many labels official lists have: a copy with as many images and other labels is not the published set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench import Split

OTHER = "labels other than the published ones"
"""What such a copy is a part of, so that no row on it stands for a published one."""


class Official(NamedTuple):
    """What a split has: images, with and without those that have no label; labels of all of them, and ignored ones."""

    images: tuple[int, ...]
    labels: int
    ignored: int = 0


def otherwise(splits: Iterable[Split], official: Mapping[str, Official]) -> tuple[str, ...]:
    """Return a note on each split that has the official number of images and other labels.

    As where difficult objects were taken for others, small ones were left out, or a list is of another release. Whether
    the same number of labels are the same ones, no count can say.
    """
    notes = []
    for split in splits:
        own = official.get(split.name)
        found = int(split.truth.sum()), 0 if split.ignore is None else int(split.ignore.sum())
        if own and len(split) in own.images and found != (own.labels, own.ignored):
            notes.append(
                f"{split.name}: {found[0]:,} labels and {found[1]:,} ignored ones, the official {len(split):,} images"
                f" have {own.labels:,} and {own.ignored:,}: other labels than the published ones"
            )
    return tuple(notes)
