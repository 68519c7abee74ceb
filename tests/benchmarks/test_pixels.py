"""``pixels.onnx``'s resize beside Pillow's.

``pytest tests/benchmarks/test_pixels.py --benchmark-only``; on one thread, as Pillow has, and on every core, as a
session has by itself.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from bench.exported.preprocess_onnx import with_preprocessing
from bench.onnx.sessions import open_session
from bench.records import Preprocessing


@pytest.fixture(params=[(375, 500), (3000, 4000)], ids=lambda sides: f"{sides[0]}x{sides[1]}")
def image(request):
    return np.random.default_rng(0).integers(0, 256, (*request.param, 3), dtype=np.uint8)


@pytest.fixture(params=["bilinear", "bicubic"])
def preprocessing(request):
    return Preprocessing(size=224, resize=256, interpolation=request.param)


def test_pillows_resize_alone(benchmark, image, preprocessing):
    picture, resample = Image.fromarray(image), Image.Resampling[preprocessing.interpolation.upper()]
    benchmark.group = f"resize {image.shape[0]}x{image.shape[1]}, {preprocessing.interpolation}"
    assert benchmark(picture.resize, (341, 256), resample).size == (341, 256)


@pytest.mark.parametrize("threads", [1, 0], ids=["one thread", "every core"])
def test_pixels_onnx_without_an_encoder(benchmark, image, preprocessing, threads, tmp_path):
    shape = ["batch", 3, 224, 224]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["scores"])],
        "nothing",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "nothing.onnx")
    with_preprocessing(tmp_path / "nothing.onnx", tmp_path / "pixels.onnx", preprocessing)
    session = open_session(tmp_path / "pixels.onnx", threads=threads)
    benchmark.group = f"resize {image.shape[0]}x{image.shape[1]}, {preprocessing.interpolation}"
    assert benchmark(session.run, None, {"image": image})[0].shape == (1, 3, 224, 224)
