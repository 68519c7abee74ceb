"""Where the pictures of a split are: in memory, files in a folder, encoded bytes anywhere, or not here."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.data.pictures import ImageBytes, open_rgb, read_rgb, shown
from bench.errors import DataError
from bench.records import Images
from bench.remote.blocks import remembered, version_of
from bench.remote.paths import RemotePath
from bench.system.files import digest
from bench.system.lazy import lazy_import
from bench.system.threads import in_threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = lazy_import("numpy")

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SAMPLED_BYTES = 4096
"""Of each file, its length and this many bytes from its start, middle and end enter the content hash."""

SAMPLED = f"of each image file, its length and three samples of {SAMPLED_BYTES // 1024} KiB"
"""What the content hash of encoded images is over, in words."""

READERS, GROUP = 8, 64
"""Groups of files that wait for the disk at the same time, and files in a group."""


@dataclass(frozen=True, slots=True)
class ArrayImages(Images):
    """Pictures as one array, (n, height, width, 3) uint8."""

    pixels: NDArray[np.uint8]
    name: str

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise DataError(
                f"{self.name}: pictures are {self.pixels.dtype} {self.pixels.shape}, must be uint8 (n,h,w,3)"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture ``index``, (height, width, 3)."""
        return np.asarray(self.pixels[index])

    def describe(self, index: int) -> str:
        """Return the split's name and the picture's number."""
        return f"{self.name} image {index}"

    def content_hash(self) -> str:
        """Return a hash over all pixels."""
        return digest(str(self.pixels.shape), np.ascontiguousarray(self.pixels).tobytes())

    def hashed_over(self) -> str:
        """Return what the content hash is over, in words."""
        return "every pixel"


@dataclass(frozen=True, slots=True)
class FolderImages(Images):
    """Picture files. That each exists is checked when built; what they hold, when they are read."""

    paths: tuple[Path, ...]
    listed_in: str = ""
    _hash: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        absent = [path for paths in in_threads(_absent, in_groups(self.paths), READERS) for path in paths]
        if absent:
            source = f", listed in {self.listed_in}. Is the data set unpacked whole?" if self.listed_in else ""
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(f"no image file {shown(absent[0])}{more}{source}")

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` with its path."""
        return read_rgb(self.paths[index])

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it: ``read`` without the copy to an array."""
        return open_rgb(self.paths[index])

    def describe(self, index: int) -> str:
        """Return the path."""
        return shown(self.paths[index])

    def content_hash(self) -> str:
        """Return a hash over each file's length and three samples of ``SAMPLED_BYTES``; names do not count.

        It is computed once: a change of a file is noticed when the data set is opened again.
        """
        if not self._hash:
            versions = versions_of_files(self.paths)
            self._hash.append(remembered([SAMPLED, *versions], self._sampled) if versions else self._sampled())
        return self._hash[0]

    def _sampled(self) -> str:
        hasher = hashlib.sha256()
        for content in in_threads(samples_of_files, in_groups(self.paths), READERS):
            hasher.update(content)
        return hasher.hexdigest()[:16]

    def hashed_over(self) -> str:
        """Return what the content hash is over, in words."""
        return SAMPLED


def versions_of_files(paths: Sequence[Path]) -> list[str]:
    """Return what stands for each file's content without reading it, where all lie elsewhere; empty: some do not."""
    found = [path.content_version for path in paths if isinstance(path, RemotePath)]
    return found if len(found) == len(paths) else []


def versions_of_sections(images: EncodedImages) -> list[str]:
    """Return what stands for each picture's content, as ``versions_of_files``."""
    found = []
    for file, start, size in images.sections():
        if not (version := version_of(file)):
            return []
        found.append(f"{version} {start} {size}")
    return found


def in_groups(paths: Sequence[Path]) -> list[Sequence[Path]]:
    """Return ``paths`` in the groups that a thread takes at once."""
    return [paths[start : start + GROUP] for start in range(0, len(paths), GROUP)]


def _absent(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if not _is_file(path)]


def _is_file(path: Path) -> bool:
    """Return whether a file is there; a name that is too long to be one, or no system's name, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def sampled_hash(sections: Iterable[tuple[BinaryIO, int, int]]) -> str:
    """Return a hash over pictures wherever they are kept: each is an open file, a start in it and a length in bytes."""
    hasher = hashlib.sha256()
    for file, start, size in sections:
        hasher.update(samples(file, start, size))
    return hasher.hexdigest()[:16]


def samples_of_files(paths: Sequence[Path]) -> bytes:
    """Return what the content hash is over of each file, one behind another."""
    parts = []
    for path in paths:
        with path.open("rb", buffering=0) as file:
            parts.append(samples(file, 0, file.seek(0, 2)))
    return b"".join(parts)


def samples(file: BinaryIO | io.FileIO, start: int, size: int) -> bytes:
    """Return a section's length in eight bytes, and bytes from its start, middle and end."""
    parts = [size.to_bytes(8, "little")]
    for place in (0, max(size // 2 - SAMPLED_BYTES // 2, 0), max(size - SAMPLED_BYTES, 0)):
        file.seek(start + place)
        parts.append(file.read(min(SAMPLED_BYTES, size - place)))
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class MissingImages(Images):
    """Pictures that are listed but not here: labels can be counted, and reading one raises ``DataError``."""

    names: tuple[str, ...]
    reason: str

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Raise ``DataError`` with the reason."""
        raise DataError(f"cannot read image {self.names[index]}: {self.reason}")

    def describe(self, index: int) -> str:
        """Return the listed name."""
        return self.names[index]

    def content_hash(self) -> str:
        """Return a mark that no picture's hash equals."""
        return "missing"

    def hashed_over(self) -> str:
        """Return what the content hash is over, in words."""
        return "no image, as none is here"


class EncodedImages(Images, ABC):
    """Images of which a data set has the encoded bytes, wherever it keeps them."""

    __slots__ = ()

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """Return the bytes of image ``index``, as an image file holds them. Raises ``DataError`` naming it."""

    @abstractmethod
    def describe(self, index: int) -> str:
        """Return where image ``index`` is, for people."""

    @abstractmethod
    def sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield of each image an open file, its start in it and its length in bytes."""

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it."""
        return open_rgb(ImageBytes(self.encoded(index), self.describe(index)))

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` naming it."""
        return np.asarray(self.picture(index))

    def content_hash(self) -> str:
        """Return a hash over each image's length and samples; see ``sampled_hash``."""
        versions = versions_of_sections(self)
        if not versions:
            return sampled_hash(self.sections())
        return remembered([SAMPLED, *versions], lambda: sampled_hash(self.sections()))

    def hashed_over(self) -> str:
        """Return what the content hash is over, in words."""
        return SAMPLED
