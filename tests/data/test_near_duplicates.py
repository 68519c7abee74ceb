"""Pictures that stand twice, and small copies that are kept."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.data import near_duplicates, thumbnails
from bench.data.images import ArrayImages
from bench.errors import DataError


def scene(seed):
    """A picture of large coloured patches, as photographs are at 16 by 16 pixels."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((96, 80), Image.Resampling.BICUBIC)


def recompressed(image):
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


COPIES = {
    "recompressed": recompressed,
    "smaller": lambda image: image.resize((48, 40)).resize((96, 80)),
    "brighter": lambda image: image.point(lambda value: min(255, int(1.1 * value))),
    "cropped": lambda image: image.crop((1, 1, 95, 79)).resize((96, 80)),
}


def split(pictures):
    return SimpleNamespace(images=ArrayImages(np.stack([np.asarray(one) for one in pictures]), "toy"))


def small(pictures, tmp_path, name):
    return near_duplicates.small_pictures(lambda: split(pictures), len(pictures), name, tmp_path, name)


def test_copies_are_found_in_train_and_within_test_and_nothing_else(tmp_path):
    test = [scene(seed) for seed in range(40)]
    test[7] = COPIES["smaller"](test[3])
    train = [scene(seed) for seed in range(100, 160)]
    for place, (copy, row) in enumerate(zip(COPIES.values(), (0, 5, 11, 20), strict=True)):
        train[place] = copy(test[row])
    found = near_duplicates.pairs(small(test, tmp_path, "test"), small(train, tmp_path, "train"))
    pairs = {(pair.row, pair.part, pair.other) for pair in found}
    assert pairs == {(3, "test", 7), (0, "train", 0), (5, "train", 1), (11, "train", 2), (20, "train", 3)}


def test_blank_pictures_are_no_copies_of_each_other(tmp_path):
    blank = [Image.new("RGB", (96, 80), (200, 200, 200)) for _ in range(3)]
    assert near_duplicates.pairs(small(blank, tmp_path, "a"), small(blank, tmp_path, "b")) == []


def refuse():
    raise DataError("not here")


def test_small_copies_are_kept_and_made_anew_where_damaged(tmp_path):
    pictures = [scene(seed) for seed in range(3)]
    made = thumbnails.thumbnails(lambda: split(pictures), [2, 0], "print", tmp_path)
    assert thumbnails.thumbnails(refuse, [0, 2], "print", tmp_path) == made
    with pytest.raises(DataError, match="not here"):
        thumbnails.thumbnails(refuse, [1], "print", tmp_path)
    with pytest.raises(DataError, match="not here"):
        thumbnails.thumbnails(refuse, [0], "another print", tmp_path)
    (kept,) = tmp_path.rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(DataError, match="not here"):
        thumbnails.thumbnails(refuse, [0], "print", tmp_path)
