"""From an RGB picture to a backbone's input, by Pillow and NumPy alone, so that prediction needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.records import FloatArray, Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def preprocess(
    image: NDArray[np.uint8] | Picture, preprocessing: Preprocessing, out: FloatArray | None = None
) -> FloatArray:
    """Return ``image``, (height, width, 3) uint8 or Pillow's RGB, as the backbone wants it: (3, size, size) float32.

    With ``out``, the result is written there.
    """
    pixels = resize_and_crop(image, preprocessing)
    if out is None:
        out = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
    mean, std = (
        np.array(values, dtype=np.float32).reshape(3, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    # Channels first, then arithmetic in place: the same values as in any other order, in a fifth of the time.
    np.copyto(out, pixels.transpose(2, 0, 1))
    out /= np.float32(255)
    out -= mean
    out /= std
    return out


def resize_and_crop(image: NDArray[np.uint8] | Picture, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the (size, size, 3) part of ``image`` that the backbone sees, still as uint8.

    Sizes and offsets are rounded as torchvision's ``Resize`` and ``CenterCrop`` round them.
    """
    from PIL import Image

    size = preprocessing.size
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.size[::-1]
    if preprocessing.crop == "squash":
        target = (size, size)
    elif width <= height:
        target = (preprocessing.resize, max(int(preprocessing.resize * height / width), 1))
    else:
        target = (max(int(preprocessing.resize * width / height), 1), preprocessing.resize)
    left, top = (round((side - size) / 2.0) for side in target)
    if target != (width, height):
        whole = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image = whole.resize(target, Image.Resampling[preprocessing.interpolation.upper()])
    if isinstance(image, np.ndarray):
        return image[top : top + size, left : left + size]
    return np.asarray(image.crop((left, top, left + size, top + size)))


def seen_part(height: int, width: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of what the backbone sees of a picture, as shares of its width and height.

    >>> seen_part(100, 200, Preprocessing(size=224, resize=224))
    (0.25, 0.0, 0.75, 1.0)
    """
    if preprocessing.crop == "squash":
        return 0.0, 0.0, 1.0, 1.0
    across, down = (preprocessing.size / preprocessing.resize * min(height, width) / side for side in (width, height))
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2
