"""A frozen backbone by torch, by plain ONNX Runtime and by our engine, on ready batches: ``--benchmark-only``.

MobileNetV2 with random weights, which change no time; ``bench data speed`` takes real ones, and reads pictures too.
"""

import dataclasses

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from bench.contracts import Backbone
from bench.model.engine import difference, forward, onnx_form, open_engine, rows_at_once
from bench.onnx.sessions import open_session
from bench.records import Preprocessing
from bench.system.threads import in_threads, thread_counts

IMAGES = 32


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    torch.manual_seed(0)
    module = mobilenet_v2(weights=None)
    module.classifier = torch.nn.Identity()
    backbone = Backbone("mobilenet", module.eval(), 1280, Preprocessing(), "random", "mobilenet_v2", engine="onnx")
    pixels = np.random.default_rng(0).standard_normal((IMAGES, 3, 224, 224), dtype=np.float32)
    return backbone, pixels, tmp_path_factory.mktemp("cache")


def ours(backbone, pixels, cache):
    compute = open_engine(backbone, "cpu", cache)
    size = rows_at_once(backbone, "cpu", len(pixels))
    parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    return lambda: np.concatenate(list(in_threads(compute, parts, thread_counts()["cores"])))


@pytest.mark.benchmark(group=f"features of {IMAGES} ready images")
def test_torch(benchmark, work):
    backbone, pixels, _ = work
    benchmark(forward, dataclasses.replace(backbone, engine="torch"), pixels)


@pytest.mark.benchmark(group=f"features of {IMAGES} ready images")
def test_plain_onnx_runtime(benchmark, work):
    backbone, pixels, cache = work
    session = open_session(onnx_form(backbone, cache))
    benchmark(session.run, None, {"pixels": pixels})


@pytest.mark.benchmark(group=f"features of {IMAGES} ready images")
def test_our_engine(benchmark, work):
    backbone, pixels, cache = work
    values = benchmark(ours(backbone, pixels, cache))
    assert difference(values, forward(backbone, pixels)) <= 1e-5
