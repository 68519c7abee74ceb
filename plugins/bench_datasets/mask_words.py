"""What folders are called that hold images, and those that hold what was drawn over each, to tell its parts apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

ENDS = r"(?:.*[^a-z])?(?:{})(?:[^a-z].*)?"
IMAGES = re.compile(ENDS.format("images?|imgs?|jpegimages|rgb|inputs?|pictures?"))
MASKS = re.compile(
    ENDS.format("masks?|labels?|gt|ground[ _-]?truths?|targets?|outputs?|annotations?|instances?|segmentations?")
)


def images_and_masks(names: Collection[str]) -> tuple[str, str]:
    """Return a name of images and one of masks where all names are such, as of segmentation; empty ones where not.

    >>> images_and_masks({"images_png", "masks_png"}), images_and_masks({"mask", "no_mask"})
    (('images_png', 'masks_png'), ('', ''))
    """
    small = {name: unicodedata.normalize("NFKC", name).lower() for name in names}
    images = sorted(name for name in names if IMAGES.fullmatch(small[name]))
    masks = sorted(name for name in names if MASKS.fullmatch(small[name]) and name not in images)
    both = images and masks and len(images) + len(masks) == len(names)
    return (images[0], masks[0]) if both else ("", "")
