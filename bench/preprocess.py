"""From an RGB picture to a backbone's input, by Pillow and NumPy alone, so that prediction needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.records import FloatArray, Preprocessing


def preprocess(image: NDArray[np.uint8], preprocessing: Preprocessing) -> FloatArray:
    """Return ``image``, (height, width, 3) uint8, as the backbone wants it: (3, size, size) float32."""
    pixels = resize_and_crop(image, preprocessing).astype(np.float32) / np.float32(255)
    mean, std = (np.array(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


def resize_and_crop(image: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the (size, size, 3) part of ``image`` that the backbone sees, still as uint8.

    Sizes and offsets are rounded as torchvision's ``Resize`` and ``CenterCrop`` round them.
    """
    from PIL import Image

    size = preprocessing.size
    height, width = image.shape[:2]
    if preprocessing.crop == "squash":
        target = (size, size)
    elif width <= height:
        target = (preprocessing.resize, max(int(preprocessing.resize * height / width), 1))
    else:
        target = (max(int(preprocessing.resize * width / height), 1), preprocessing.resize)
    if target != (width, height):
        method = Image.Resampling[preprocessing.interpolation.upper()]
        image = np.asarray(Image.fromarray(image).resize(target, method))
    top, left = (round((side - size) / 2.0) for side in image.shape[:2])
    return np.asarray(image[top : top + size, left : left + size])
