"""Pictures that are those of the fingerprint, and whose failures name the plugin that reads them, in any thread."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data.fingerprint import AS_THEY_ARE
from bench.data.images import GROUP, READERS, ArrayImages, FolderImages, MissingImages, in_groups, samples_of_files
from bench.errors import DataError, PluginError
from bench.guard import is_first_party, naming
from bench.records import Dataset, Images, Split
from bench.system.files import digest
from bench.system.threads import in_threads

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


LOOKED_AT = 6
"""Pictures of a split that are read twice, and hashed as they are read."""

AGAIN = 3
"""Threads that read them for the second time."""


@dataclass(frozen=True, slots=True)
class WatchedImages(FolderImages):
    """Picture files, each as it was when the content hash was computed.

    Features are kept, and runs stored, under that hash: another picture would be found there by every later run.
    """

    _seen: list[NDArray[np.int64]] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look at no file again."""

    def _sampled(self) -> str:
        """Return the hash; from now on no file may change."""
        hasher, seen = hashlib.sha256(), []
        for contents, of_files in in_threads(_looked_at, in_groups(self.paths), READERS):
            hasher.update(b"".join(contents))
            seen.append(of_files)
        self._seen[:] = seen
        return hasher.hexdigest()[:16]

    def lengths(self) -> list[int]:
        """Return the length in bytes of each file as it was hashed; empty before, and of files elsewhere."""
        return [int(length) for group in self._seen for length in group[:, 1]]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB. Raises ``DataError`` where its file is another one by now."""
        pixels = FolderImages.read(self, index)
        self._check(index)
        return pixels

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it, as ``read``."""
        picture = FolderImages.picture(self, index)
        self._check(index)
        return picture

    def _check(self, index: int) -> None:
        group, place = divmod(index, GROUP)
        if self._seen and not _is_as_seen(self.paths[index], self._seen[group][place]):
            raise DataError(
                f"{self.describe(index)} was written after the data set was opened. Try: the same command again, once"
                " nothing writes there"
            )


def _looked_at(paths: Sequence[Path]) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return what the content hash is over of each file; and when each was written, its length and a hash of that."""
    written = [_written(path) for path in paths]  # before it is read
    contents = [samples_of_files([path]) for path in paths]
    hashes = [int.from_bytes(hashlib.sha256(content).digest()[:8], signed=True) for content in contents]
    return contents, np.array([(*one, told) for one, told in zip(written, hashes, strict=True)], np.int64)


def _written(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns % 2**63, status.st_size


def _is_as_seen(path: Path, seen: NDArray[np.int64]) -> bool:
    """Return whether a file is the one that was hashed; another time alone, as drives without times give, is nothing.

    Of pictures that are kept as they are the fingerprint is over more than what is looked at here.
    """
    with contextlib.suppress(OSError):
        if _written(path) == tuple(seen[:2]):
            return True
        return path.suffix.lower() not in AS_THEY_ARE and bool((_looked_at([path])[1][0, 1:] == seen[1:]).all())
    return False


@dataclass(frozen=True, slots=True)
class NamedImages(Images):
    """``images`` of the plugin ``origin``. Loader threads share the process's state, so here nothing is put back.

    ``made_by`` is a hash of a third party's code and options, which may draw other pictures under the same hash.
    """

    images: Images
    origin: object
    dataset: str
    made_by: str = ""
    _seen: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``PluginError`` for anything else."""
        with naming(self.origin, "reading pictures", self.dataset):
            pixels = self.images.read(index)
            shape = getattr(pixels, "shape", ())
            if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or shape[2:] != (3,) or 0 in shape:
                raise PluginError(f"image {index} is {_described(pixels)}, must be a uint8 array (height, width, 3)")
            return pixels

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it. Raises ``PluginError`` for anything else."""
        from PIL import Image

        with naming(self.origin, "reading pictures", self.dataset):
            picture = self.images.picture(index)
            if not isinstance(picture, Image.Image) or picture.mode != "RGB":
                raise PluginError(f"image {index} is {_described(picture)}, must be a Pillow image of mode RGB")
            return picture

    def describe(self, index: int) -> str:
        """Return the path, or another name by which a user finds image ``index``."""
        with naming(self.origin, "describing pictures", self.dataset):
            return self.images.describe(index)

    def content_hash(self) -> str:
        """Return a hash over the pictures' bytes: the plugin's, and of a third party, some pictures as they are read.

        Raises ``PluginError`` where one of these differs when it is read again.
        """
        with naming(self.origin, "hashing pictures", self.dataset):
            told = self.images.content_hash()
        if is_first_party(self.origin):
            return told
        if not self._seen:
            # By a thread, as every other reading: no user's Ctrl-C comes there, so that one is the plugin's own.
            self._seen.extend(in_threads(NamedImages._looked_at, [self], 1))
        return digest(told, *self._seen)

    def hashed_over(self) -> str:
        """Return in words what ``content_hash`` is over."""
        with naming(self.origin, "hashing pictures", self.dataset):
            told = self.images.hashed_over()
        return told if is_first_party(self.origin) else f"{told}; {min(LOOKED_AT, len(self))} pictures as they are read"

    def _looked_at(self) -> str:
        """Return a hash over the pixels of a few pictures, each read twice; one that cannot be read counts as that."""
        with naming(self.origin, "reading pictures", self.dataset):
            return self._looked_at_twice()

    def _looked_at_twice(self) -> str:
        rows = [int(row) for row in np.unique(np.linspace(0, len(self) - 1, min(LOOKED_AT, len(self))).round())]
        found: list[str] = []
        before: NDArray[np.uint8] | None = None
        for row in rows:
            try:
                pixels = self.read(row)
            except DataError:
                found.append("")
                continue
            if before is not None and _hash_of(before) != found[-1]:
                raise PluginError("reading an image changes the one read before. Try: a new array for each read")
            before = pixels
            found.append(_hash_of(pixels))
        readable = [(row, told) for row, told in zip(rows, found, strict=True) if told]
        again = in_threads(lambda one: _hash_of(np.asarray(self.picture(one[0]))), readable[::-1], AGAIN)
        for (row, told), other in zip(readable[::-1], again, strict=True):
            if other != told:
                raise PluginError(
                    f"image {row} ({self.describe(row)}) differs when it is read again, by picture in place of read or"
                    " by another thread. Try: the same pixels each time; a lock around what is shared"
                )
        return digest(*found)


def _hash_of(pixels: NDArray[np.uint8]) -> str:
    return digest(str(pixels.shape), np.ascontiguousarray(pixels).tobytes())


def named_images(dataset: Dataset, origin: object, made_by: str = "") -> Dataset:
    """Return ``dataset`` with pictures whose failures name the plugin ``origin``; files by the host's own reader need
    no name, and are watched.
    """  # noqa: D205 - one sentence

    def of(split: Split) -> Split:
        if isinstance(split.images, ArrayImages | MissingImages):
            return split
        if type(split.images) is FolderImages:
            return replace(split, images=WatchedImages(split.images.paths, split.images.listed_in))
        return replace(split, images=NamedImages(split.images, origin, f"data set '{dataset.name}'", made_by))

    return each_split(dataset, of)


def each_split(dataset: Dataset, of: Callable[[Split], Split]) -> Dataset:
    """Return ``dataset`` with what ``of`` makes of each of its splits."""
    validation = None if dataset.validation is None else of(dataset.validation)
    return replace(dataset, train=of(dataset.train), test=of(dataset.test), validation=validation)


def _described(value: Any) -> str:
    """Return in words what came back in place of a picture."""
    if hasattr(value, "dtype"):
        return f"a {value.dtype} array {tuple(value.shape)}"
    return f"a Pillow image of mode {value.mode}" if hasattr(value, "mode") else f"a {type(value).__name__}"
