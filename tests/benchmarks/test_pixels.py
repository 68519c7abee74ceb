"""The resize inside pixels.onnx beside Pillow's own, from file size to network size: ``--benchmark-only``."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from bench.data.preprocess import preprocess
from bench.exported.preprocess_onnx import with_preprocessing
from bench.onnx.sessions import open_session
from bench.records import Preprocessing

SIZES = {"375x500": (375, 500), "3000x4000": (3000, 4000)}


@pytest.fixture(params=SIZES)
def image(request):
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZES[request.param], 3), dtype=np.uint8)
    return request.param, pixels


@pytest.fixture(params=["bilinear", "bicubic"])
def preprocessing(request):
    return Preprocessing(interpolation=request.param)


def test_pillow(benchmark, image, preprocessing):
    name, pixels = image
    benchmark.group = f"{name} to 224 pixels, {preprocessing.interpolation}"
    picture = Image.fromarray(pixels)
    benchmark(preprocess, picture, preprocessing)


def test_pixels_onnx(benchmark, image, preprocessing, tmp_path):
    name, pixels = image
    benchmark.group = f"{name} to 224 pixels, {preprocessing.interpolation}"
    shape = ["batch", 3, preprocessing.size, preprocessing.size]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("pixels", "scores")]
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["scores"])], "nothing", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "n.onnx")
    with_preprocessing(tmp_path / "n.onnx", tmp_path / "p.onnx", preprocessing)
    session = open_session(tmp_path / "p.onnx", threads=1)
    found = benchmark(session.run, None, {"image": pixels})[0][0]
    levels = np.array(preprocessing.std, np.float32).reshape(3, 1, 1) * 255
    assert np.abs((found - preprocess(pixels, preprocessing)) * levels).max() < 1.1
