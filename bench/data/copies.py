"""Whether a validation part is the test part, under whatever names and in whatever order: nothing is chosen on test."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path

from bench.data.guarded import NamedImages, WatchedImages
from bench.data.images import (
    READERS,
    SAMPLED,
    ArrayImages,
    EncodedImages,
    FolderImages,
    MissingImages,
    in_groups,
    samples,
    samples_of_files,
    versions_of_files,
    versions_of_sections,
)
from bench.data.splits import Subset
from bench.errors import DataError
from bench.records import Images, Split
from bench.remote.blocks import remembered
from bench.system.text import first_few
from bench.system.threads import in_threads

LENGTH = 16
"""Bytes of a picture's hash."""

FEW = 8
"""Test images that are looked for among the training images before all are; images of one picture that are few."""

MANY, ASKED = 0.01, 64
"""The share of a part's files that one picture is looked for in, and how many of these are looked at."""

OFTEN = 0.02
"""The share of images of one length that may be copies of others with other labels without a word."""


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


def trained_on(train: Split, test: Split) -> tuple[str, ...]:
    """Return a note where most images of ``test`` are copies of ones in ``train``: its numbers then say little.

    So it is of COCO's train2017 and val2014. Looked at are files of this machine, and arrays. A few of test's are
    looked for first, among those of their lengths, so that it costs next to nothing where they are not there.
    """
    of_train, of_test = file_sizes(train.images), file_sizes(test.images)
    few = list(range(0, len(of_test), max(1, len(of_test) // FEW)))
    lengths = {of_test[row] for row in few}
    alike = [row for row, size in enumerate(of_train) if size in lengths]
    wanted: list[bytes] = []
    copies = 0
    for of_these, among in ((few, alike), (None, None)):
        wanted, there = image_hashes(test.images, of_these) or [], {*(image_hashes(train.images, among) or ())}
        copies = sum(one in there for one in wanted)
        if 2 * copies <= len(wanted):
            return ()
    if copies == len(wanted):
        return (f"every image of {test.name} is a copy of one in {train.name}: the numbers are of what was trained on",)
    what = f"{copies:,} of the {len(wanted):,} images of {test.name} are copies of ones in {train.name}"
    return (f"{what}: the numbers are for the most part of what was trained on",)


def parted_groups(parts: Iterable[Split]) -> tuple[str, ...]:
    """Return a note for each two of ``parts`` that share a group, as a patient, whom a model knows from training."""
    told = []
    for (one, theirs), (other, its) in combinations([(part, part.groups) for part in parts if part.groups], 2):
        if shared := {*theirs} & {*its}:
            named = first_few(list(map(repr, sorted(shared))), 3)
            told.append(
                f"{sum(group in shared for group in its):,} of the {len(other):,} images of {other.name} are of groups"
                f" that {one.name} has too ({named}): numbers may be of what was trained on."
                " Try: each group in one part"
            )
    return tuple(told)


def one_picture(split: Split) -> tuple[str, ...]:
    """Return a note where one picture stands for many images of other labels, as what a server sends for those gone.

    Looked at are files of this machine, and arrays, and of these a few of the commonest length in bytes.
    """
    sizes = file_sizes(split.images)
    size, count = Counter(sizes).most_common(1)[0] if sizes else (0, 0)
    if count < max(FEW, len(sizes) * MANY):
        return ()
    same = [row for row, length in enumerate(sizes) if length == size]
    some = same[:: -(-len(same) // ASKED)]
    hashes = image_hashes(split.images, some) or []
    picture, times = Counter(hashes).most_common(1)[0] if hashes else (b"", 0)
    shown = [row for row, found in zip(some, hashes, strict=True) if found == picture]
    other = next((row for row in shown if (split.truth[row] != split.truth[shown[0]]).any()), None)
    if 2 * times <= len(some) or other is None:
        return ()
    about = "" if len(some) == len(same) else "about "
    what = f"{about}{times * len(same) // len(some):,} of the {len(sizes):,} images of {split.name} are one picture"
    named = f"as '{split.ids[shown[0]]}' and '{split.ids[other]}'"
    return (f"{what} with several label sets, {named}: is it what a server sends for those that are gone?",)


def several_label_sets(split: Split) -> tuple[str, ...]:
    """Return a note where pictures stand in a part under several names and label sets, as in a folder of each label.

    Looked at are files of this machine that have the length of another, of some lengths, and arrays. A few copies are
    left to ``bench data verify``: published sets have some.
    """
    sizes = file_sizes(split.images)
    lengths = sorted(size for size, count in Counter(sizes).items() if count > 1)
    some = {*lengths[:: -(-len(lengths) // ASKED) or 1]}
    rows = [row for row, size in enumerate(sizes) if size in some][: ASKED * FEW]
    first: dict[bytes, int] = {}
    copies: list[tuple[int, int]] = []
    for row, found in zip(rows, image_hashes(split.images, rows) or (), strict=False):
        other = first.setdefault(found, row)
        if (split.truth[row] != split.truth[other]).any():
            copies.append((other, row))
    if not copies or len(copies) < len(rows) * OFTEN:
        return ()
    one, two = (split.ids[row] for row in copies[0])
    told = f"pictures of {split.name} stand in it under several names with several label sets, as '{one}' and '{two}'"
    return (f"{told}: 'bench data verify' names them",)


def file_sizes(images: Images) -> list[int]:
    """Return the length in bytes of each image's file, or array; empty where they are neither, or not here."""
    if isinstance(images, NamedImages):
        return file_sizes(images.images)
    if isinstance(images, ArrayImages):
        return [images.pixels[:1].nbytes] * len(images)
    if not isinstance(images, FolderImages) or versions_of_files(images.paths):
        return []
    if isinstance(images, WatchedImages) and (known := images.lengths()):
        return known
    return [path.stat().st_size for path in images.paths]


def image_hashes(images: Images, rows: Sequence[int] | None = None) -> list[bytes] | None:
    """Return a hash of each picture over the bytes that the fingerprint is over; ``None`` of a plugin's own reading.

    ``rows`` are the pictures that are asked for, in this order; ``None``: all. Without one, encoded ones have ``None``.
    """
    rows = range(len(images)) if rows is None else rows
    if isinstance(images, NamedImages):
        return image_hashes(images.images, rows)
    if isinstance(images, Subset):
        return image_hashes(images.images, images.indices[rows].tolist())
    if isinstance(images, ArrayImages):
        return _hashes(images.pixels[row].tobytes() for row in rows)
    if isinstance(images, EncodedImages) and len(rows):  # all are read where one is asked for
        every = _remembered(versions_of_sections(images), lambda: _hashes(samples(*one) for one in images.sections()))
        return [every[row] for row in rows]
    if isinstance(images, FolderImages):
        paths = [images.paths[row] for row in rows]
        return _remembered(versions_of_files(paths), lambda: _of_all(paths))
    return None


def _remembered(versions: list[str], make: Callable[[], list[bytes]]) -> list[bytes]:
    """Return ``make()``, which is kept of pictures elsewhere: no command reads these for the hashes of another."""
    if not versions:
        return make()
    kept = bytes.fromhex(remembered(["one by one", SAMPLED, *versions], lambda: b"".join(make()).hex()))
    return [kept[start : start + LENGTH] for start in range(0, len(kept), LENGTH)]


def _of_all(paths: Sequence[Path]) -> list[bytes]:
    return [found for group in in_threads(_of_files, in_groups(paths), READERS) for found in group]


def _of_files(paths: Sequence[Path]) -> list[bytes]:
    return _hashes(samples_of_files([path]) for path in paths)


def _hashes(contents: Iterable[bytes]) -> list[bytes]:
    return [hashlib.sha256(content).digest()[:LENGTH] for content in contents]
