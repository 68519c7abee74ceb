"""Room for arrays that may not fit in memory: beyond a size, in a file that has no name, so that no kill leaves one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.files import allocate, make_folder
from bench.system.lazy import lazy_import
from bench.system.notes import note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = lazy_import("numpy")

LARGE = 2**28
"""Bytes from which an array lies in a file: what is smaller is no trouble, and nothing is faster than memory."""

COPIED = 2**24
"""Bytes that are copied at once."""


def room_for(shape: tuple[int, ...], dtype: Any, folder: Path | None) -> NDArray[Any]:
    """Return an array to be filled: in memory, or where it is ``LARGE`` and there is a ``folder``, mapped from there.

    The file has no name and is gone with the array. Its whole length is allocated first: where the disk is full or the
    folder cannot be written, a note says so, and the array is in memory after all.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if folder is None or size < LARGE:
        return np.empty(shape, dtype)
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            allocate(file.fileno(), size)
            # A view without the checks that a memory map makes at every access.
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    except OSError as error:
        note(f"{size / 1e9:,.1f} GB are held in memory, since {folder} has no room: {error.strerror or error}")
        return np.empty(shape, dtype)


def copied(source: NDArray[Any], folder: Path | None, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
    """Return ``source``, or these ``rows`` of it, as a C-contiguous array of its own, in ``room_for`` it."""
    count = len(source) if rows is None else len(rows)
    target = room_for((count, *source.shape[1:]), source.dtype, folder)
    for some in blocks(target):
        target[some] = source[some] if rows is None else source[rows[some]]
    return target


def blocks(array: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of the rows of ``array``, in order, of about ``COPIED`` bytes each."""
    step = max(1, COPIED // max(1, math.prod(array.shape[1:]) * array.itemsize))
    yield from (slice(first, first + step) for first in range(0, len(array), step))
