"""Arrays of an npz file that somebody else may have written: nothing is allocated that its bytes cannot fill."""

from __future__ import annotations

import io
import math
import sys
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from bench.system.lazy import lazy_import

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
else:
    np = lazy_import("numpy")

MOST_DEFLATED = 1032
"""A byte of deflate stands for 1,032 at most: a member that claims more is not what it says."""

CHUNK = 1 << 20
"""Bytes of a member that are read at once: the reader of zip makes pieces of them, each of these once more."""

LONGEST_HEADER = 10_000
"""Bytes of an array's header that are looked at; NumPy's own limit, beyond which evaluating it takes long."""


def save_npz(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> None:
    """Write the named arrays as an npz file; nothing is pickled. Raises ``ValueError`` for an array of objects.

    NumPy's own ``allow_pickle=False`` would do, but to older releases that is one more array, of that name.
    """
    for name, values in arrays.items():
        if values.dtype.hasobject:
            raise ValueError(f"{name} holds objects")
    write: Any = np.savez_compressed if compressed else np.savez
    write(file, **arrays)


def load_npz(content: bytes | BinaryIO, only: str | None = None) -> dict[str, NDArray[Any]]:
    """Return the named arrays of an npz file's ``content``, or of these the one that is called ``only``.

    Nothing in it is unpickled. Raises ``ValueError`` where a member stands twice, is larger than its bytes can be or
    another length than its header says, and whatever the readers of zip and npy run into elsewhere.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    arrays: dict[str, NDArray[Any]] = {}
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if only is not None and name != only:
                continue
            if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError(f"{name} is compressed in a way that npz files are not")
            if member.compress_size > size or member.file_size > MOST_DEFLATED * member.compress_size + LONGEST_HEADER:
                raise ValueError(f"{name} claims {member.file_size:,} bytes of {member.compress_size:,} in {size:,}")
            if name in arrays:
                raise ValueError(f"{name} stands twice")
            arrays[name] = _array(_read(archive, member))
    return arrays


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytearray:
    """Return a member's bytes, held once, which arrays may then be written to. Raises what the reader of zip does."""
    content = bytearray(member.file_size)
    with archive.open(member) as file:
        read = 0
        while count := file.readinto(memoryview(content)[read : read + CHUNK]):  # type: ignore[attr-defined]
            read += count
    if read < len(content):
        raise ValueError(f"{member.filename} ends after {read:,} of {len(content):,} bytes")
    return content


def map_npy(path: Path) -> NDArray[Any]:
    """Return the array of an npy file, memory-mapped: it need not fit in memory. Raises as ``load_npz`` does."""
    with path.open("rb") as file:
        shape, order, dtype = _header(file, path.stat().st_size)
        start = file.tell()
    values = np.memmap(path, dtype, "r", start, shape, order) if math.prod(shape) else np.empty(shape, dtype)
    _check_characters(values)
    return values


def _array(content: bytearray) -> NDArray[Any]:
    """Return the array of an npy file's ``content``."""
    file = io.BytesIO(memoryview(content)[: LONGEST_HEADER + 16])
    shape, order, dtype = _header(file, len(content))
    values = np.frombuffer(content, dtype=dtype, offset=file.tell()) if math.prod(shape) else np.empty(0, dtype)
    aligned = values if values.flags.aligned else values.copy()
    _check_characters(aligned)
    return aligned.reshape(shape, order=order)


def _header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Return what the header of an npy file of ``size`` bytes says of its array, once that is what follows.

    NumPy's own reader divides by the size of a number, which a file may say is 0.
    """
    version = np.lib.format.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"an array of npy version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = read(file, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which would have to be unpickled")
    count = math.prod(shape)
    # Of numbers without a byte any count would follow.
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - file.tell() or (count and not dtype.itemsize):
        raise ValueError(f"an array of shape {shape}, which is not what follows its header")
    return shape, "F" if in_columns else "C", dtype


def _check_characters(values: NDArray[Any]) -> None:
    """Raise ``ValueError`` where an array of texts holds what is no character: NumPy may make a broken text of it."""
    if values.dtype.kind == "U" and values.nbytes:
        characters = (
            np.ascontiguousarray(values).reshape(-1).view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
        )
        if characters.max() > sys.maxunicode:
            raise ValueError("an array of texts that are none")
