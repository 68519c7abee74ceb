"""Small copies of pictures, kept in the user's cache folder: a second report reads no image file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from bench.records import Split
from bench.system.files import digest
from bench.system.npz import save_npz
from bench.system.progress import progress_bar
from bench.system.sealed_files import keep, read_sealed
from bench.system.threads import in_threads

THUMBNAIL = 160
"""Largest side of a shown image in pixels."""
READERS = 2


def thumbnail(split: Split, row: int) -> bytes:
    """Return image ``row`` as a JPEG whose larger side has ``THUMBNAIL`` pixels at most."""
    from PIL import Image

    image = split.images.picture(row).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


def thumbnails(split: Callable[[], Split], rows: Iterable[int], fingerprint: str, folder: Path) -> dict[int, bytes]:
    """Return the JPEG of each of ``rows``; those kept in ``folder`` for this ``fingerprint`` need no ``split``.

    Raises what ``split`` raises where it is needed, and ``DataError`` for an image that cannot be read.
    """
    path = folder / "thumbnails" / f"{digest(fingerprint)}.npz"
    kept = unpacked(read_sealed(path, fingerprint))
    absent = [row for row in dict.fromkeys(rows) if row not in kept]
    if absent:
        opened = split()
        made = in_threads(lambda row: thumbnail(opened, row), absent, READERS)
        kept |= dict(zip(absent, progress_bar(made, "thumbnails", total=len(absent)), strict=True))
        keep(path, fingerprint, packed(kept))
    return {row: kept[row] for row in rows}


def packed(pictures: Mapping[int, bytes]) -> bytes:
    """Return encoded pictures, by their numbers, as the content of one file."""
    buffer = io.BytesIO()
    ends = np.cumsum([len(picture) for picture in pictures.values()]).astype(np.int64)
    content = np.frombuffer(b"".join(pictures.values()), dtype=np.uint8)
    save_npz(buffer, {"rows": np.array(list(pictures), dtype=np.int64), "ends": ends, "content": content})
    return buffer.getvalue()


def unpacked(content: bytes | None) -> dict[int, bytes]:
    """Return what ``packed`` was given; nothing where nothing is kept."""
    if content is None:
        return {}
    try:
        stored = np.load(io.BytesIO(content), allow_pickle=False)
        data, ends, rows = stored["content"].tobytes(), stored["ends"].tolist(), stored["rows"].tolist()
    except (ValueError, KeyError, EOFError, OSError):
        return {}  # sealed by another version of this file
    return {row: data[start:end] for row, start, end in zip(rows, [0, *ends[:-1]], ends, strict=True)}
