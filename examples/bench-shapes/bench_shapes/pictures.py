"""The data set: pictures and the labels that are true of each, the same ones for the same options."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import bench

CORNERS = {"triangle": 3, "square": 4, "hexagon": 6, "circle": 60}
SIDE, RADIUS, TEST_IMAGES = 64, 13, 200


def make(request: bench.DatasetRequest) -> bench.Dataset:
    """Return both splits. Files would be read by `bench.FolderImages` or `bench.EncodedImages`."""
    images, noise = int(request.options["images"]), int(request.options["noise"])
    train, test = split("train", images, noise, seed=0), split("test", TEST_IMAGES, noise, seed=1)
    return bench.Dataset("shapes", f"{images} drawn pictures", train, test, protocol="shapes@1")


def split(name: str, images: int, noise: int, seed: int) -> bench.Split:
    """Return `images` pictures of one to three shapes each, every kind at most once."""
    rng, labels = np.random.default_rng(seed), tuple(CORNERS)
    truth = np.zeros((images, len(labels)), dtype=np.bool_)
    for row in truth:
        row[rng.choice(len(labels), size=rng.integers(1, 4), replace=False)] = True
    pixels = np.stack([picture(np.flatnonzero(row), noise, rng) for row in truth])
    ids = tuple(f"{name}-{number}" for number in range(images))
    return bench.Split("shapes", name, ids, labels, truth, bench.ArrayImages(pixels, f"shapes/{name}"))


def picture(labels: NDArray[np.intp], noise: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return (SIDE, SIDE, 3) uint8: a shape of each of `labels` in a quarter of its own, turned by chance."""
    image, corners = Image.new("RGB", (SIDE, SIDE)), tuple(CORNERS.values())
    for label, quarter in zip(labels, rng.permutation(4), strict=False):
        x, y = (SIDE // 4 + SIDE // 2 * part + int(rng.integers(-2, 3)) for part in divmod(int(quarter), 2))
        colour, turned = tuple(map(int, rng.integers(100, 256, 3))), float(rng.integers(360))
        ImageDraw.Draw(image).regular_polygon((x, y, RADIUS), corners[label], rotation=turned, fill=colour)
    added = rng.integers(0, noise + 1, (SIDE, SIDE, 3))
    return np.clip(np.asarray(image) + added, 0, 255).astype(np.uint8)
