"""Pictures that stand twice in a data set: recompressed, resized or a little cropped copies, by what they look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.records import FloatArray, Split
from bench.system.files import digest
from bench.system.progress import progress_bar
from bench.system.sealed_files import keep, read_sealed
from bench.system.threads import in_threads

SIDE = 16
"""Of the small colour picture that is compared: larger ones see the compression, smaller ones fewer objects."""
ALIKE = 0.96
"""Correlation of two small pictures from which they count as one: of 10 million pairs of different scenes of
digits none has more than 0.942, and of copies at a fifth of the size in bytes 99 of 100 have more."""
BLANK = 2.0
"""Pictures whose grey levels vary less than this are all alike, and left out."""
BLOCK, READERS, MOST = 1024, 2, 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """Test image ``row`` looks like image ``other`` of ``part``, "train" or "test"; ``likeness`` is a correlation."""

    row: int
    part: str
    other: int
    likeness: float


def small_pictures(
    split: Callable[[], Split], count: int, fingerprint: str, folder: Path, name: str
) -> NDArray[np.uint8]:
    """Return the ``count`` images of a split, (images, SIDE * SIDE * 3); kept in ``folder`` by ``fingerprint``."""
    path = folder / "thumbnails" / f"{digest(fingerprint, str(SIDE))}.npy"
    content = read_sealed(path, fingerprint)
    if content is not None and len(content) == count * SIDE * SIDE * 3:
        return np.frombuffer(content, dtype=np.uint8).reshape(count, -1)
    opened = split()
    made = progress_bar(in_threads(lambda row: _small(opened, row), range(count), READERS), name, total=count)
    found = np.frombuffer(b"".join(made), dtype=np.uint8).reshape(count, -1)
    keep(path, fingerprint, found.tobytes())
    return found


def _small(split: Split, row: int) -> bytes:
    from PIL import Image

    image = split.images.picture(row).convert("RGB")
    return image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=3.0).tobytes()


def pairs(test: NDArray[np.uint8], train: NDArray[np.uint8]) -> list[Pair]:
    """Return the test images that look like another of test or train, the most alike first, at most ``MOST``."""
    own = _unit(test)
    found = [Pair(row, "test", other, like) for row, other, like in _alike(own, own) if other > row]
    found += [Pair(row, "train", other, like) for row, other, like in _alike(own, _unit(train))]
    return sorted(found, key=lambda pair: (-pair.likeness, pair.row, pair.part, pair.other))[:MOST]


def _alike(first: FloatArray, second: FloatArray) -> Iterator[tuple[int, int, float]]:
    for row in range(0, len(first), BLOCK):
        for column in range(0, len(second), 8 * BLOCK):
            likeness = first[row : row + BLOCK] @ second[column : column + 8 * BLOCK].T
            for i, j in np.argwhere(likeness >= ALIKE).tolist():
                yield row + i, column + j, float(likeness[i, j])


def _unit(pictures: NDArray[np.uint8]) -> FloatArray:
    """Return pictures less their mean, of length one: a product of two is their correlation; blank ones are 0."""
    values = pictures.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    blank = values.std(axis=1) < BLANK
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    values[blank] = 0
    return values
