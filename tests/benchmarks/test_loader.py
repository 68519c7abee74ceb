"""Reading images by our loader and by torchvision's DataLoader: ``pytest tests/benchmarks --benchmark-only``.

The photographs are smooth noise, so that this runs anywhere; ``bench data speed`` takes a real data set.
"""

import numpy as np
import pytest
from PIL import Image

from bench.data.images import FolderImages
from bench.data.loading import load
from bench.records import Preprocessing
from bench.speed.loading import BATCH_SIZE, data_loader
from bench.system.threads import thread_counts

IMAGES = 128


@pytest.fixture(scope="module", params=[(192, 128), (500, 375), (640, 480)], ids=lambda size: f"{size[0]}x{size[1]}")
def photographs(request, tmp_path_factory):
    """JPEG files of the size of Corel-5k's, VOC's and COCO's."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    paths = []
    for number in range(IMAGES):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        paths.append(folder / f"{number}.jpg")
        coarse.resize(request.param, Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return "x".join(map(str, request.param)), paths


def count(batches):
    return sum(len(batch) for batch in batches)


def test_our_loader(benchmark, photographs):
    size, paths = photographs
    images = FolderImages(tuple(paths))
    batches = [range(start, start + BATCH_SIZE) for start in range(0, IMAGES, BATCH_SIZE)]
    benchmark.group = f"{IMAGES} photographs of {size}"
    call = lambda: count(load(images, batches, Preprocessing()))  # noqa: E731
    assert benchmark.pedantic(call, rounds=5, warmup_rounds=1) == IMAGES


@pytest.mark.parametrize("workers", [0, thread_counts()["cores"]])
def test_torchvisions_data_loader(benchmark, photographs, workers):
    size, paths = photographs
    loader = data_loader(paths, Preprocessing(), workers)
    benchmark.group = f"{IMAGES} photographs of {size}"
    assert benchmark.pedantic(lambda: count(loader), rounds=5, warmup_rounds=1) == IMAGES
