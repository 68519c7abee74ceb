"""Labels of pictures from an exported model: files, folders, Pillow images or arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.pictures import open_rgb, to_rgb
from bench.data.sources import image_endings
from bench.errors import DataError, UsageError
from bench.exported.predict import Labelled, Predictor
from bench.notebook.arrays import as_array
from bench.notebook.running import whole
from bench.records import Images
from bench.system.threads import MOST_THREADS

DECODING = tuple(Lock() for _ in range(64))
"""Held, one by its identity, while Pillow decodes a picture: two threads cannot do it, and it may be given twice."""


def predict(
    model: str | Path,
    images: Any,
    *,
    device: str = "auto",
    threads: int = 0,
    batch: int = 16,
) -> list[Labelled]:
    """Return the labels of each image with their scores, by the exported model in the folder ``model``.

    ``images`` is one image or several: paths of image files, or of folders, which stand for the image files directly in
    them, by name; Pillow images; uint8 arrays or CPU tensors, (height, width, 3), or (height, width) in grey, or many
    as (n, height, width, 3). Needs neither torch nor the data set; may be called from several threads. The model is
    loaded at each call, so give it all images at once, or keep a ``bench.ExportedModel``. Raises ``DataError`` naming
    an image that cannot be used, ``ModelError`` for a folder that holds no whole model.
    """
    pictures = MixedImages(tuple(_each(images)))
    batch = min(whole("batch", batch, 1), max(len(pictures), 1))
    return ExportedModel(model, device=device, threads=threads, batch=batch).predict(pictures)


class ExportedModel:
    """The exported model in a folder, loaded once: ``predict(images)`` as often as there are images, from any thread.

    ``device`` is ``auto``, ``cpu`` or ``cuda``; ``threads`` 0 takes every core. ``batch`` images are computed at once,
    and fewer take as long, so that it is 1 where they come one by one. The folder has to stay as it is meanwhile.
    Raises ``ModelError`` for one that holds no whole model.
    """

    def __init__(self, model: str | Path, *, device: str = "auto", threads: int = 0, batch: int = 1) -> None:
        batch, threads = whole("batch", batch, 1), whole("threads", threads, 0)
        if threads > MOST_THREADS:
            raise UsageError(f"threads: found {threads}, allowed: 0, for every core, to {MOST_THREADS}")
        if not isinstance(model, str | Path) or model == "":
            raise UsageError(f"model: found {model!r}, allowed: the path of a folder that bench export wrote")
        self._predictor = Predictor(Path(model).absolute(), device, threads, batch)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of all labels that the model knows, in its order."""
        return self._predictor.description.labels

    def predict(self, images: Any) -> list[Labelled]:
        """Return the labels of ``images``, which are as ``bench.predict`` takes them, with its errors."""
        pictures = images if isinstance(images, MixedImages) else MixedImages(tuple(_each(images)))
        names = [pictures.describe(index) for index in range(len(pictures))]
        return list(self._predictor.predict_images(pictures, names))


@dataclass(frozen=True, slots=True)
class MixedImages(Images):
    """Pictures wherever they are; what a file holds is known when it is read."""

    sources: tuple[Path | Image.Image | NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.sources)

    def picture(self, index: int) -> Image.Image:
        """Return image ``index`` as RGB. Raises ``DataError`` naming it."""
        source = self.sources[index]
        if isinstance(source, Path):
            return open_rgb(source)
        if isinstance(source, Image.Image):
            with DECODING[id(source) // 64 % len(DECODING)], _unmapped(source):
                return to_rgb(source, self.describe(index))
        return Image.fromarray(source).convert("RGB")

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as an array, (height, width, 3)."""
        return np.asarray(self.picture(index))

    def describe(self, index: int) -> str:
        """Return the path, or the image's number."""
        source = self.sources[index]
        return str(source) if isinstance(source, Path) else f"image {index}"

    def content_hash(self) -> str:
        """Return a mark that no picture's hash equals: these are labelled once, and nothing of them is kept."""
        return "mixed"


@contextlib.contextmanager
def _unmapped(picture: Image.Image) -> Iterator[None]:
    """Keep Pillow from mapping the file of a picture not decoded yet: it turns TIFFs on their side twice then."""
    name = getattr(picture, "filename", "")
    if name:
        picture.filename = ""  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if name:
            picture.filename = name  # type: ignore[attr-defined]


def _each(images: Any) -> Iterator[Path | Image.Image | NDArray[np.uint8]]:
    if isinstance(images, str) and not images:
        raise DataError("images: found an empty name, allowed: paths, Pillow images and uint8 arrays")
    if isinstance(images, str | Path):
        yield from _files(Path(images))
    elif isinstance(images, Image.Image):
        yield images
    elif hasattr(images, "__array__"):
        yield from _arrays(images)
    elif isinstance(images, Iterable) and not (isinstance(images, bytes | bytearray) or hasattr(images, "read")):
        for image in images:
            if not (isinstance(image, str | Path | Image.Image) or hasattr(image, "__array__")):
                raise _no_picture(image)
            yield from _each(image)
    else:
        raise _no_picture(images)


def _no_picture(found: Any) -> DataError:
    hint = ". Try: PIL.Image.open(...) of it" if hasattr(found, "read") else ""
    return DataError(f"images: found a {type(found).__name__}, allowed: paths, Pillow images and uint8 arrays{hint}")


def _files(path: Path) -> list[Path]:
    """Return the file, or the image files directly in the folder, by name: those of which ``bench predict`` tells."""
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"no image file {path}")
        return [path]
    endings = image_endings()
    there = (file for file in sorted(path.iterdir()) if file.suffix.lower() in endings)
    found = [file for file in there if not file.name.startswith(".") and file.is_file()]
    if not found:
        raise DataError(f"{path}: no image files directly in it, by the endings of their names, as in .jpg and .png")
    return found


def _arrays(value: Any) -> list[NDArray[np.uint8]]:
    array = as_array(value, "images")
    several = array.ndim == 4
    coloured = array.ndim in {3, 4} and array.shape[-1] == 3
    if array.dtype != np.uint8 or not (coloured or array.ndim == 2) or 0 in array.shape[several:]:
        raise DataError(
            f"images: found an array of {array.dtype} {array.shape}, allowed: uint8 of (height, width, 3),"
            f" (height, width) or (n, height, width, 3){'. Of paths, try: list(images)' if array.ndim == 1 else ''}"
        )
    return list(array) if several else [array]
