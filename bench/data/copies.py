"""Whether a validation part is the test part, under whatever names and in whatever order: nothing is chosen on test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.data.guarded import NamedImages
from bench.data.images import (
    READERS,
    ArrayImages,
    EncodedImages,
    FolderImages,
    MissingImages,
    in_groups,
    samples,
    samples_of_files,
)
from bench.data.splits import Subset
from bench.errors import DataError
from bench.records import Images, Split
from bench.system.threads import in_threads


def refuse_test_images(dataset: str, validation: Split, test: Split) -> None:
    """Raise ``DataError`` where an image is in both parts by its id, or all of one part are copies of the other's.

    A few copies are left to ``bench data verify``: published sets have some. Copies are told by the bytes that the
    fingerprint is over, where the host reads the images; a plugin's are compared as a whole and in their order.
    """
    if shared := set(validation.ids) & set(test.ids):
        raise _refusal(
            dataset, f"{len(shared):,} images of its validation part are in its test part, as '{min(shared)}'"
        )
    if isinstance(validation.images, MissingImages) or isinstance(test.images, MissingImages):
        return
    if len(validation) == len(test) and validation.images.content_hash() == test.images.content_hash():
        raise _refusal(dataset, "its validation part is its test part under other names")
    one, other = image_hashes(validation.images), image_hashes(test.images)
    if one is None or other is None:
        return
    if set(one) <= set(other):
        raise _refusal(dataset, "every image of its validation part is a copy of one in its test part")
    if set(other) <= set(one):
        raise _refusal(dataset, "every image of its test part has a copy in its validation part")


def _refusal(dataset: str, what: str) -> DataError:
    remedy = "Try: another test split, or none for validation"
    return DataError(f"{dataset}: {what}, on which nothing may be chosen. {remedy}")


def image_hashes(images: Images, rows: Sequence[int] | None = None) -> list[bytes] | None:
    """Return a hash of each picture over the bytes that the fingerprint is over; ``None`` of a plugin's own reading.

    ``rows`` are the pictures that are asked for, in this order; ``None``: all.
    """
    rows = range(len(images)) if rows is None else rows
    if isinstance(images, NamedImages):
        return image_hashes(images.images, rows)
    if isinstance(images, Subset):
        return image_hashes(images.images, images.indices[rows].tolist())
    if isinstance(images, ArrayImages):
        return _hashes(images.pixels[row].tobytes() for row in rows)
    if isinstance(images, EncodedImages):
        every = _hashes(samples(*section) for section in images.sections())
        return [every[row] for row in rows]
    if isinstance(images, FolderImages):
        groups = in_threads(_of_files, in_groups([images.paths[row] for row in rows]), READERS)
        return [found for group in groups for found in group]
    return None


def _of_files(paths: Sequence[Path]) -> list[bytes]:
    return _hashes(samples_of_files([path]) for path in paths)


def _hashes(contents: Iterable[bytes]) -> list[bytes]:
    return [hashlib.sha256(content).digest()[:16] for content in contents]
