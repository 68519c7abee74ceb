"""What folders are called that hold images, and those that hold what was drawn over each, to tell its parts apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

IMAGES = re.compile("images?|imgs?|jpegimages|rgb|inputs?|pictures?")
MASKS = re.compile("masks?|labels?|gt|ground|(ground)?truths?|targets?|outputs?|annotations?|instances?|segmentations?")
NO_LABELS = frozenset({"images", "imgs", "jpegimages"})
"""What a folder of images is called that is no label."""


def images_and_masks(names: Collection[str]) -> tuple[str, str]:
    """Return a name of images and one of masks where all names are such, as of segmentation; empty ones where not.

    Words beside are in all names: picture frames and masks are things.

    >>> images_and_masks({"images_png", "masks_png"}), images_and_masks({"picture frame", "mask"})
    (('images_png', 'masks_png'), ('', ''))
    """
    words = {name: _words(name) for name in names}
    shared = set[str].intersection(*words.values()) if words else set[str]()
    images = sorted(name for name in names if _are(words[name] - shared, IMAGES))
    masks = sorted(name for name in names if _are(words[name] - shared, MASKS))
    both = images and masks and len(images) + len(masks) == len(names)
    return (images[0], masks[0]) if both else ("", "")


def beside_images(names: Collection[str]) -> tuple[str, str]:
    """Return a name that is of images alone and one of masks, or the only other; empty ones where there are none.

    >>> beside_images({"images", "masks", "edges"}), beside_images({"images", "logos", "charts"})
    (('images', 'masks'), ('', ''))
    """
    images = min((name for name in names if name.lower() in NO_LABELS), default="")
    others = sorted(name for name in names if name != images)
    masks = [name for name in others if len(others) == 1 or any(map(MASKS.fullmatch, _words(name)))]
    return (images, masks[0]) if images and masks else ("", "")


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", name).lower()))


def _are(words: set[str], form: re.Pattern[str]) -> bool:
    return bool(words) and all(map(form.fullmatch, words))
