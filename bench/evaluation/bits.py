"""Bool matrices of images by labels with eight labels in a byte, as the store keeps them, worked on in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.records.checks import freeze
from bench.system.room import room_for

BLOCK_ENTRIES = 2**20
"""Image-label pairs worked on at once: bounds the working memory, and a block is still in the cache when read again."""


@dataclass(frozen=True, slots=True, eq=False)
class BitMatrix:
    """A mask of (images, labels) in an eighth of its memory: ``bits`` is what ``np.packbits(mask, axis=1)`` gives.

    Sliced by images, or by images and labels, it returns that part as a new bool array.
    """

    bits: NDArray[np.uint8]
    labels: int

    def __post_init__(self) -> None:
        width = -(-self.labels // 8)
        if self.bits.dtype != np.uint8 or self.bits.ndim != 2 or self.bits.shape[1] != width:
            raise DataError(
                f"packed bits are {self.bits.dtype} {self.bits.shape}, must be uint8 (images, {width})"
                f" for {self.labels} labels"
            )
        freeze(self.bits)

    @classmethod
    def pack(cls, blocks: Iterable[NDArray[np.bool_]], labels: int) -> BitMatrix:
        """Return the rows of ``blocks``, each (some images, ``labels``), one after another."""
        return cls(np.concatenate([np.packbits(block, axis=1) for block in blocks]), labels)

    @property
    def shape(self) -> tuple[int, int]:
        """Return images and labels."""
        return len(self.bits), self.labels

    def unpacked(self, room: Path | None = None) -> NDArray[np.bool_]:
        """Return all of it as a bool array; a large one lies in the folder ``room``."""
        found: NDArray[np.bool_] = room_for(self.shape, np.bool_, room)
        for rows in row_blocks(*self.shape):
            found[rows] = self[rows]
        return found

    def __getitem__(self, part: slice | tuple[slice, slice]) -> NDArray[np.bool_]:
        rows, columns = part if isinstance(part, tuple) else (part, slice(None))
        first, last, _ = columns.indices(self.labels)
        byte, last = first // 8, max(first, last)
        unpacked = np.unpackbits(self.bits[rows, byte : -(-last // 8)], axis=1, count=last - 8 * byte)
        return unpacked[:, first - 8 * byte :].view(np.bool_)


Mask = NDArray[np.bool_] | BitMatrix
"""What says yes or no of each image and label: truth, predicted label sets, pairs to ignore."""


def row_blocks(images: int, labels: int) -> Iterator[slice]:
    """Yield slices of images, in order, of about ``BLOCK_ENTRIES`` pairs each; an empty one where there is no image."""
    step = max(1, BLOCK_ENTRIES // max(1, labels))
    for first in range(0, max(1, images), step):
        yield slice(first, first + step)


def count(mask: Mask) -> int:
    """Return how many pairs of ``mask`` are true."""
    return sum(int(np.count_nonzero(mask[rows])) for rows in row_blocks(*mask.shape))
