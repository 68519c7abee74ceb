"""What a split is known by: a hash over its ids, labels, truth and pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.images import READERS, FolderImages, in_groups
from bench.errors import DataError
from bench.records import Images, Split
from bench.remote.paths import RemotePath
from bench.system.files import digest
from bench.system.threads import in_threads

AS_THEY_ARE = frozenset(
    {".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".tga", ".icb", ".vda", ".vst", ".pcx", ".dcx"}
    | {".dds", ".ico", ".icns", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".psd", ".qoi"}
)
"""Endings of pictures that are not compressed, or by rows of their own."""


def fingerprint(split: Split) -> str:
    """Return 16 hex digits over ids, labels, truth, ignore mask and the pictures' content, in their order."""
    ignore = b"" if split.ignore is None else np.packbits(split.ignore).tobytes()
    truth = np.packbits(split.truth).tobytes()
    names = "\n".join(split.ids), "\n".join(split.labels)
    return digest(*names, truth, ignore, split.images.content_hash(), *_whole_files(split.images))


def truth_hash(
    ids: Sequence[str], labels: Sequence[str], truth: NDArray[np.uint8], ignore: NDArray[np.uint8] | None
) -> str:
    """Return 16 hex digits over ids, labels and masks, packed as ``np.packbits(mask, axis=1)``: all but the pictures.

    A run's config holds it of the test part, so that the truth stored with a run is bound to the run's key.
    """
    names = (json.dumps(list(one)) for one in (ids, labels))
    return digest(*names, truth.tobytes(), b"" if ignore is None else ignore.tobytes())


def truth_hash_of(split: Split) -> str:
    """Return ``truth_hash`` of a split."""
    ignore = None if split.ignore is None else np.packbits(split.ignore, axis=1)
    return truth_hash(split.ids, split.labels, np.packbits(split.truth, axis=1), ignore)


def refuse_choosing_on_test(dataset: str, fingerprints: Mapping[str, str]) -> None:
    """Raise ``DataError`` where a data set's validation part is its test part: learning rates and label-set policies
    are chosen on the one, and nothing on the other.
    """  # noqa: D205 - one sentence
    if fingerprints["validation"] == fingerprints["test"]:
        raise DataError(
            f"{dataset}: its validation part is its test part, on which nothing may be chosen."
            " Try: another test split, or none for validation"
        )


def fingerprint_over(split: Split) -> str:
    """Return in words what ``fingerprint`` is over."""
    whole = "; every byte of BMP, TIFF and others that keep pixels as they are" if _uncompressed(split.images) else ""
    return f"ids, labels, truth, ignore mask; {split.images.hashed_over()}{whole}"


def _whole_files(images: Images) -> list[str]:
    """Return a hash over every byte of the files that samples do not suffice for; empty where there are none."""
    paths = _uncompressed(images)
    return [digest(*chain.from_iterable(in_threads(_hashes, in_groups(paths), READERS)))] if paths else []


def _hashes(paths: Sequence[Path]) -> list[bytes]:
    found = []
    for path in paths:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").digest())
    return found


def _uncompressed(images: Images) -> list[Path]:
    """Return the files of this machine that keep pixels as they are, by their endings.

    There a picture may change between the samples alone. In a compressed one a change moves all that follows.
    """
    while type(images).__module__.startswith("bench.") and hasattr(images, "images"):
        images = images.images
    paths = images.paths if isinstance(images, FolderImages) else ()
    return [path for path in paths if path.suffix.lower() in AS_THEY_ARE and not isinstance(path, RemotePath)]
