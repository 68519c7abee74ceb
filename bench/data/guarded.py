"""Pictures whose failures name the plugin that reads them, in whichever thread they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data.images import ArrayImages, FolderImages, MissingImages
from bench.errors import PluginError
from bench.guard import naming
from bench.records import Dataset, Images

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class NamedImages(Images):
    """``images`` of the plugin ``origin``. Loader threads share the process's state, so here nothing is put back."""

    images: Images
    origin: object
    dataset: str

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
        """Return a hash over the pictures' bytes."""
        with naming(self.origin, "hashing pictures", self.dataset):
            return self.images.content_hash()

    def hashed_over(self) -> str:
        """Return in words what ``content_hash`` is over."""
        with naming(self.origin, "hashing pictures", self.dataset):
            return self.images.hashed_over()


def named_images(dataset: Dataset, origin: object) -> Dataset:
    """Return ``dataset`` with pictures whose failures name the plugin ``origin``; the host's own need no name."""

    def of(split: Any) -> Any:
        if split is None or isinstance(split.images, ArrayImages | FolderImages | MissingImages):
            return split
        return replace(split, images=NamedImages(split.images, origin, f"data set '{dataset.name}'"))

    return replace(dataset, train=of(dataset.train), test=of(dataset.test), validation=of(dataset.validation))


def _described(value: Any) -> str:
    """Return in words what came back in place of a picture."""
    if hasattr(value, "dtype"):
        return f"a {value.dtype} array {tuple(value.shape)}"
    return f"a Pillow image of mode {value.mode}" if hasattr(value, "mode") else f"a {type(value).__name__}"
