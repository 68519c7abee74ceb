import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.data.pictures import read_rgb
from bench.data.preprocess import preprocess
from bench.exported.preprocess_onnx import with_preprocessing
from bench.onnx.sessions import open_session
from bench.records import Preprocessing

LEVELS = 0.226 * 255
"""Levels of 255 in one unit of a preprocessed value, about: the mean of the three standard deviations."""


def preprocessing_alone(tmp_path, preprocessing):
    """A session of the preprocessing in front of a network that does nothing."""
    shape = ["batch", 3, preprocessing.size, preprocessing.size]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["scores"])],
        "nothing",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "n.onnx")
    with_preprocessing(tmp_path / "n.onnx", tmp_path / "p.onnx", preprocessing)
    return open_session(tmp_path / "p.onnx")


@pytest.mark.parametrize("shape", [(37, 51, 3), (500, 333, 3), (128, 128, 3), (96, 400, 3), (131, 129, 3)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop", ["center", "squash"])
def test_operators_equal_pillow_within_a_level(tmp_path, shape, interpolation, crop):
    preprocessing = Preprocessing(size=96, resize=128, interpolation=interpolation, crop=crop)
    session = preprocessing_alone(tmp_path, preprocessing)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = session.run(None, {"image": image})[0][0]
    assert np.abs(found - preprocess(image, preprocessing)).max() * LEVELS < 1.1


def test_the_nearest_pixel_is_pillows(tmp_path):
    preprocessing = Preprocessing(size=96, resize=96, crop="squash", interpolation="nearest")
    session = preprocessing_alone(tmp_path, preprocessing)
    image = np.random.default_rng(0).integers(0, 256, (288, 480, 3), dtype=np.uint8)
    np.testing.assert_allclose(session.run(None, {"image": image})[0][0], preprocess(image, preprocessing), atol=1e-5)


def test_operators_equal_pillow_on_photographs(tmp_path, reference_data):
    preprocessing = Preprocessing(size=224, resize=256, interpolation="bicubic")
    session = preprocessing_alone(tmp_path, preprocessing)
    for path in sorted((reference_data / "coco128" / "val2017").iterdir())[:10]:
        image = read_rgb(path)
        difference = np.abs(session.run(None, {"image": image})[0][0] - preprocess(image, preprocessing)) * LEVELS
        assert difference.max() < 1.1
        assert difference.mean() < 0.1
