"""A data set looked at image by image: what cannot be read, what is in train and in test, which known copy it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.data.fingerprint import fingerprint, fingerprint_over
from bench.data.images import MissingImages
from bench.errors import DataError
from bench.records import Dataset, Split
from bench.system.progress import progress_bar
from bench.system.threads import in_threads, thread_counts

UNKNOWN = "no known variant: compare with your own runs only"
MOST_NAMED = 10
"""Images named of each kind of fault; all are counted."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. ``duplicates`` pairs images of train with images of test whose pixels are equal.

    ``chosen_on`` does so with images of a validation part of its own, on which options and thresholds are chosen.
    ``other_labels`` pairs images of one split whose pixels are equal and whose labels are not, by the split's name.
    ``known`` is the variant with these numbers of images. ``gone`` are listed images that no split holds, ``notes``
    are the data set's own.
    """

    images: Mapping[str, int]
    fingerprints: Mapping[str, str]
    fingerprint_over: str
    read: int
    unreadable: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...]
    chosen_on: tuple[tuple[str, str], ...]
    other_labels: Mapping[str, tuple[tuple[str, str], ...]]
    without_images: tuple[str, ...]
    gone: tuple[str, ...]
    variant: str
    known: str
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Return whether every image was read and none of test is in another part."""
        return not (self.unreadable or self.duplicates or self.chosen_on or self.without_images)


def verify(dataset: Dataset, variants: Sequence[tuple[int, int, str]]) -> Verified:
    """Read every image; ``variants`` are those of the data set's spec."""
    splits = [split for split in (dataset.train, dataset.validation, dataset.test) if split is not None]
    unreadable: list[str] = []
    hashes: dict[str, dict[str, str]] = {}
    other_labels: dict[str, tuple[tuple[str, str], ...]] = {}
    for split in splits:
        first: dict[str, int] = {}
        differing: list[tuple[int, int]] = []
        for row, result in enumerate([] if isinstance(split.images, MissingImages) else _hashes(split)):
            if isinstance(result, DataError):
                unreadable.append(str(result))
            elif (split.truth[first.setdefault(result, row)] != split.truth[row]).any():
                differing.append((first[result], row))
        called = split.images.describe
        hashes[split.name] = {key: called(row) for key, row in first.items()}
        other_labels[split.name] = tuple((called(one), called(other)) for one, other in differing)
    in_test = hashes[dataset.test.name]

    def also_in_test(part: Split | None) -> tuple[tuple[str, str], ...]:
        found = {} if part is None else hashes[part.name]
        return tuple((found[key], in_test[key]) for key in found if key in in_test)

    sizes = (len(dataset.train), len(dataset.test))
    known = next((meaning for train, test, meaning in variants if (train, test) == sizes), UNKNOWN)
    return Verified(
        images={split.name: len(split) for split in splits},
        fingerprints={split.name: fingerprint(split) for split in splits},
        fingerprint_over=fingerprint_over(dataset.train),
        read=sum(len(split) for split in splits if not isinstance(split.images, MissingImages)),
        unreadable=tuple(unreadable),
        duplicates=also_in_test(dataset.train),
        chosen_on=also_in_test(dataset.validation),
        other_labels=other_labels,
        without_images=tuple(split.name for split in splits if isinstance(split.images, MissingImages)),
        gone=dataset.gone,
        variant=dataset.variant,
        known=known,
        notes=dataset.notes,
    )


def _hashes(split: Split) -> list[str | DataError]:
    """Return a hash of each image's pixels, or the error that reading it raised, in order."""

    def read(row: int) -> str | DataError:
        try:
            pixels = split.images.read(row)
        except DataError as error:
            return error
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    rows = in_threads(read, range(len(split)), thread_counts()["cores"])
    return list(progress_bar(rows, f"reading {split.dataset}/{split.name}", total=len(split)))
