"""A data set and a backbone of any size, made up: a plugin file, by which ``benchmarks/memory.py`` measures memory.

Two files for each part lie in the data root, written in blocks: ``<part>.pixels.npy``, one small picture an image, and
``<part>.labels.npy``, the numbers of its true labels. The picture is a sum of its labels' signatures and noise, so that
something can be learnt of it, and the backbone a fixed projection of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bench

LABELS, HELD, SIDE, DIMENSIONS = 1000, 3, 10, 256
"""Label names, true labels an image at most, the picture's side, and the length of a feature vector."""

BLOCK = 1 << 14
NOISE, CONTRAST = 24.0, 40.0

SHOWN = bench.Preprocessing(size=SIDE, resize=SIDE, crop="squash", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))


@dataclass(frozen=True, slots=True)
class Pictures(bench.Images):
    """The pictures of one part, memory-mapped."""

    pixels: NDArray[np.uint8]
    name: str

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture ``index``."""
        return np.array(self.pixels[index])

    def describe(self, index: int) -> str:
        """Return the part and the picture's number."""
        return f"generated/{self.name} {index}"

    def content_hash(self) -> str:
        """Return a hash over what the pictures are drawn from: the part and their number."""
        return bench.digest(self.name, str(self.pixels.shape))


def write(root: Path, part: str, images: int, seed: int) -> None:
    """Write a part of ``images`` images to ``root``, in blocks: memory does not depend on their number."""
    root.mkdir(parents=True, exist_ok=True)
    signatures = np.random.default_rng(0).normal(size=(LABELS, SIDE * SIDE * 3)).astype(np.float32)
    # Frequencies as of words: the thousandth is a thousandth as frequent as the first, smoothed.
    frequent = np.cumsum(1.0 / (np.arange(LABELS) + 10.0))
    with (root / f"{part}.pixels.npy").open("wb") as pixels, (root / f"{part}.labels.npy").open("wb") as labels:
        for file, kind, shape in ((pixels, "|u1", (images, SIDE, SIDE, 3)), (labels, "<u2", (images, HELD))):
            np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
        for number, first in enumerate(range(0, images, BLOCK)):
            rng = np.random.default_rng([seed, number])
            count = min(BLOCK, images - first)
            held = np.searchsorted(frequent, rng.random((count, HELD)) * frequent[-1]).astype(np.uint16)
            rows = first + np.arange(count)
            # Every label has an image, or no model could learn it.
            held[:, 0] = np.where(rows < 2 * LABELS, rows % LABELS, held[:, 0])
            drawn = signatures[held].sum(axis=1) * CONTRAST + rng.normal(scale=NOISE, size=(count, SIDE * SIDE * 3))
            pixels.write(np.clip(drawn + 128, 0, 255).astype(np.uint8).tobytes())
            labels.write(held.tobytes())


def split(root: Path, part: str) -> bench.Split:
    """Return the part that was written to ``root``."""
    held = np.load(root / f"{part}.labels.npy", mmap_mode="r")
    truth = np.zeros((len(held), LABELS), dtype=np.bool_)
    for first in range(0, len(held), BLOCK):
        np.put_along_axis(truth[first : first + BLOCK], held[first : first + BLOCK].astype(np.int64), True, axis=1)
    ids = tuple(f"{part}{row:08d}" for row in range(len(held)))
    pictures = Pictures(np.load(root / f"{part}.pixels.npy", mmap_mode="r"), part)
    return bench.Split("generated", part, ids, tuple(f"label{n:03d}" for n in range(LABELS)), truth, pictures)


def open_dataset(request: bench.DatasetRequest) -> bench.Dataset:
    """Return the data set that lies in the data root."""
    root = request.root
    assert root is not None, "the host refuses a request without a root"
    train, test = split(root, "train"), split(root, "test")
    return bench.Dataset("generated", f"{len(test):,} made-up images", train, test, protocol="top3@1")


def build_backbone(request: bench.BackboneRequest) -> bench.Backbone:
    """Return the projection of a picture's pixels to its feature vector."""
    import torch

    generator = torch.Generator().manual_seed(0)
    module: Any = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIDE * SIDE * 3, DIMENSIONS, bias=False))
    with torch.no_grad():
        module[1].weight.normal_(0.0, (SIDE * SIDE * 3) ** -0.5, generator=generator)
    return bench.Backbone("projection", module.eval(), DIMENSIONS, SHOWN, bench.digest("projection", "0"))


@bench.hookimpl
def bench_datasets() -> list[bench.DatasetSpec]:
    """Return the one data set."""
    expects = "what benchmarks/memory.py writes"
    return [bench.DatasetSpec("generated", "made-up images", open_dataset, expects=expects, backbone="projection")]


@bench.hookimpl
def bench_backbones() -> list[bench.BackboneSpec]:
    """Return the one backbone."""
    return [bench.BackboneSpec("projection", "a fixed projection of the pixels", build_backbone)]
