"""Pictures changed at random as they are read for fine-tuning, by torchvision's transforms.

Each picture's change is drawn from the seed, the epoch and its own number: neither the number of threads nor the order
in which they read changes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.preprocess import resize_and_crop
from bench.records import Images, Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

RATIO = (3 / 4, 4 / 3)
"""Smallest and largest ratio of a random crop's sides, as torchvision's ``RandomResizedCrop`` has them."""

TRIES = 10
"""Crops drawn until one fits into the picture, as there; then it is cut from the middle."""

ADJUSTED = ("brightness", "contrast", "saturation")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How pictures are changed; see ``FINETUNING_OPTIONS``, whose names these are. As built, not at all."""

    horizontal_flip: float = 0.0
    random_resized_crop: float = 1.0
    color_jitter: float = 0.0

    @property
    def changes(self) -> bool:
        """Return whether any picture is changed."""
        return self != Augmentation()


@dataclass(frozen=True, slots=True)
class Augmented(Images):
    """The pictures of ``images`` as one epoch sees them: (size, size), cropped, mirrored and coloured anew."""

    images: Images
    preprocessing: Preprocessing
    augmentation: Augmentation
    seed: int
    epoch: int

    def __len__(self) -> int:
        return len(self.images)

    def picture(self, index: int) -> Picture:
        """Return picture ``index`` as this epoch sees it; the same whenever it is asked for."""
        from PIL import Image

        chosen, preprocessing = self.augmentation, self.preprocessing
        random = np.random.default_rng([self.seed, self.epoch, index])
        picture = self.images.picture(index)
        if chosen.random_resized_crop < 1.0:
            picture = _resized_crop(picture, crop(random, *picture.size, chosen.random_resized_crop), preprocessing)
        else:
            picture = Image.fromarray(resize_and_crop(picture, preprocessing))
        return _coloured(_mirrored(picture, chosen.horizontal_flip, random), chosen.color_jitter, random)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture ``index``, (size, size, 3)."""
        return np.asarray(self.picture(index))

    def describe(self, index: int) -> str:
        """Return where the picture is."""
        return self.images.describe(index)

    def content_hash(self) -> str:
        """Return the hash of the pictures as they are."""
        return self.images.content_hash()


def crop(random: np.random.Generator, width: int, height: int, smallest: float) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a crop of at least the part ``smallest`` of a picture's area.

    Drawn as torchvision's ``RandomResizedCrop`` draws: area uniform, ratio of the sides uniform in its logarithm.
    """
    for _ in range(TRIES):
        area = width * height * random.uniform(smallest, 1.0)
        ratio = math.exp(random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = random.integers(width - across + 1), random.integers(height - down + 1)
            return int(left), int(top), across, down
    low, high = RATIO
    across, down = min(width, round(height * high)), min(height, round(width / low))
    return (width - across) // 2, (height - down) // 2, across, down


def _resized_crop(picture: Picture, place: tuple[int, int, int, int], preprocessing: Preprocessing) -> Picture:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    left, top, across, down = place
    size, interpolation = [preprocessing.size] * 2, InterpolationMode(preprocessing.interpolation)
    return _as_picture(functional.resized_crop(picture, top, left, down, across, size, interpolation))


def _mirrored(picture: Picture, chance: float, random: np.random.Generator) -> Picture:
    from torchvision.transforms.v2 import functional

    return _as_picture(functional.horizontal_flip(picture)) if random.random() < chance else picture


def _coloured(picture: Picture, most: float, random: np.random.Generator) -> Picture:
    from torchvision.transforms.v2 import functional

    if not most:
        return picture
    for name in random.permutation(ADJUSTED):
        adjust = getattr(functional, f"adjust_{name}")
        picture = _as_picture(adjust(picture, random.uniform(1.0 - most, 1.0 + most)))
    return picture


def _as_picture(changed: Any) -> Picture:
    found: Picture = changed
    return found
