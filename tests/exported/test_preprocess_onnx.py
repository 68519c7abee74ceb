import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

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


def rows_first(image, height, width, interpolation):
    """Pillow's resize in two passes, along the rows first: its own order, until version 13 began to choose."""
    kind = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(image).resize((width, len(image)), kind).resize((width, height), kind))


@settings(max_examples=150)
@given(
    sides=st.tuples(*[st.integers(1, 700)] * 2),
    size=st.integers(1, 160),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 9),
)
def test_any_size_is_resized_as_pillow_does_within_a_level_of_each_pass(
    tmp_path_factory, sides, size, interpolation, seed
):
    preprocessing = Preprocessing(size, size, "squash", interpolation, (0.0,) * 3, (1.0,) * 3)
    session = preprocessing_alone(tmp_path_factory.mktemp("model"), preprocessing)
    image = np.random.default_rng(seed).integers(0, 256, (*sides, 3), dtype=np.uint8)
    found = 255 * session.run(None, {"image": image})[0][0].transpose(1, 2, 0)
    difference = np.abs(found - rows_first(image, size, size, interpolation))
    assert difference.max() < 2.01  # a level of the first pass can be one and a half after a cubic second one
    assert (difference > 0.5).mean() < 0.3
