"""Timing how images get to a backbone: our loader, torchvision's DataLoader, the backbone, and all of it together."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import Backbone
from bench.data.loading import load
from bench.errors import NotRun
from bench.model.encoding import in_batches
from bench.model.engine import forward, has_onnx_form, onnx_form, open_engine, rows_at_once
from bench.onnx.sessions import open_session
from bench.records import FloatArray, Preprocessing, Split
from bench.speed.spread import Spread, summarize
from bench.system.clock import seconds, turns
from bench.system.threads import in_threads, thread_counts

BATCH_SIZE = 64
"""Images in a batch, as features are extracted."""

SECONDS_OF_EXTRACTION = 4.0
"""The backbone and the whole extraction are timed on as many batches as the backbone does in this time."""

LOADER, TORCHVISION = "our loader", "torchvision DataLoader, {} worker{}"
BACKBONE, WHOLE = "backbone alone, torch", "features: reading and backbone"
RUNTIME, ENGINE = "backbone alone, ONNX Runtime", "backbone alone, our engine"


@dataclass(frozen=True, slots=True)
class Rate:
    """Images a second of one way, over turns of ``images``; ``ratio`` is the median over our loader's."""

    method: str
    images: int
    per_second: Spread
    ratio: float


@dataclass(frozen=True, slots=True)
class Loading:
    """What was timed. ``equal`` of ``compared`` images have torchvision's pixels to the bit.

    ``largest_difference`` is in levels of 255; ``height`` and ``width`` are medians of the first batch's pictures.
    """

    split: str
    backbone: str
    size: int
    height: int
    width: int
    cores: int
    batch_size: int
    compared: int
    equal: int
    largest_difference: float
    rates: tuple[Rate, ...]

    def rate(self, method: str) -> float:
        """Return the median images a second of ``method``."""
        return next(rate.per_second.median for rate in self.rates if rate.method == method)

    @property
    def network(self) -> float:
        """Return the median images a second of the backbone alone, by the engine that features are computed with."""
        return self.rate(ENGINE if any(rate.method == ENGINE for rate in self.rates) else BACKBONE)


def compare(split: Split, backbone: Backbone, cache: Path, *, images: int = 0, device: str = "cpu") -> Loading:
    """Time every way on ``images`` of ``split``, repeated where it has fewer; 0: some batches for each core.

    Everything is read once before it is timed, so the files come from the operating system's cache. Workers of the
    DataLoader live from turn to turn, and their start is not counted. Raises ``NotRun`` where the images are no files.
    """
    cores = thread_counts()["cores"]
    rows = [row % len(split) for row in range(images or max(256, 2 * BATCH_SIZE * cores))]
    paths = [Path(split.images.describe(row)) for row in rows]
    if not all(map(Path.is_file, paths)):
        raise NotRun(f"{split.dataset}/{split.name} has no image files that a DataLoader could read")
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    # Ours first: a bad image is then an error that names it.
    _exhaust(load(split.images, batches, backbone.preprocessing))
    differences = _differences(split, rows[: len(split)], paths[: len(split)], backbone.preprocessing)
    sides = np.median([split.images.read(row).shape[:2] for row in rows[:BATCH_SIZE]], axis=0)
    ways = _ways(split, backbone, batches, paths, device, cache=cache)
    times = turns({name: call for name, (_, call) in ways.items()})
    rates = {name: summarize(each).per_second(ways[name][0]) for name, each in times.items()}
    return Loading(
        split=f"{split.dataset}/{split.name}",
        backbone=backbone.name,
        size=backbone.preprocessing.size,
        height=int(sides[0]),
        width=int(sides[1]),
        cores=cores,
        batch_size=BATCH_SIZE,
        compared=len(differences),
        equal=differences.count(0.0),
        largest_difference=max(differences),
        rates=tuple(
            Rate(name, ways[name][0], rate, rate.median / rates[LOADER].median) for name, rate in rates.items()
        ),
    )


def _ways(
    split: Split, backbone: Backbone, batches: list[list[int]], paths: list[Path], device: str, *, cache: Path
) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return by name how many images a call handles, and the call."""
    scale, rows = backbone.preprocessing, list(itertools.chain.from_iterable(batches))
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        LOADER: (len(rows), lambda: _exhaust(load(split.images, batches, scale)))
    }
    for workers in (thread_counts()["cores"], 0):
        loader = data_loader(paths, scale, workers)
        ways[TORCHVISION.format(workers or "no", "" if workers == 1 else "s")] = (len(rows), partial(_exhaust, loader))
    # A copy, for the extraction moves the module back to the processor when it is done.
    alone = dataclasses.replace(backbone, module=copy.deepcopy(backbone.module).to(device))
    pixels = next(load(split.images, batches[:1], scale))
    ways[BACKBONE] = (len(pixels), lambda: forward(alone, pixels, device))
    ways[BACKBONE][1]()  # the first call also sets things up
    batch_seconds = seconds(ways[BACKBONE][1])
    if has_onnx_form(backbone) and device == "cpu":
        ways |= _onnx_ways(backbone, pixels, cache)
        batch_seconds = min(batch_seconds, seconds(ways[ENGINE][1]))
    some = rows[: max(int(SECONDS_OF_EXTRACTION / batch_seconds), 1) * len(pixels)]
    ways[WHOLE] = (len(some), lambda: _exhaust(in_batches(split, some, backbone, BATCH_SIZE, device, cache=cache)))
    return ways


def _onnx_ways(backbone: Backbone, pixels: FloatArray, cache: Path) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return ONNX Runtime as its own documentation uses it, and as features are computed, both on a ready batch."""
    plain = open_session(onnx_form(backbone, cache))
    compute, cores = open_engine(backbone, "cpu", cache), thread_counts()["cores"]
    size = rows_at_once(backbone, "cpu", len(pixels))
    parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        RUNTIME: (len(pixels), lambda: plain.run(None, {"pixels": pixels})),
        ENGINE: (len(pixels), lambda: _exhaust(in_threads(compute, parts, cores))),
    }
    for _, call in ways.values():
        call()
    return ways


def _exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def _differences(split: Split, rows: list[int], paths: list[Path], preprocessing: Preprocessing) -> list[float]:
    """Return for each image the largest difference between our values and torchvision's, in levels of 255."""
    levels = np.array(preprocessing.std, dtype=np.float32).reshape(3, 1, 1) * 255
    theirs = itertools.chain.from_iterable(data_loader(paths, preprocessing, 0))
    ours = load(split.images, [[row] for row in rows], preprocessing)
    return [float((np.abs(one[0] - other.numpy()) * levels).max()) for one, other in zip(ours, theirs, strict=True)]


class TorchvisionImages:
    """A ``torch.utils.data.Dataset`` as torchvision's documentation writes it: Pillow opens, transforms follow."""

    def __init__(self, paths: list[Path], preprocessing: Preprocessing) -> None:
        from torchvision import transforms
        from torchvision.transforms import InterpolationMode

        side = preprocessing.size
        fit = (side, side) if preprocessing.crop == "squash" else preprocessing.resize
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize(fit, InterpolationMode(preprocessing.interpolation)),
                transforms.CenterCrop(side),
                transforms.ToTensor(),
                transforms.Normalize(preprocessing.mean, preprocessing.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def data_loader(paths: list[Path], preprocessing: Preprocessing, workers: int) -> Any:
    """Return a ``torch.utils.data.DataLoader`` over the files, whose workers live until it is dropped."""
    from torch.utils.data import DataLoader

    images: Any = TorchvisionImages(paths, preprocessing)
    return DataLoader(images, batch_size=BATCH_SIZE, num_workers=workers, persistent_workers=workers > 0)
