import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from bench.data.pictures import read_rgb
from bench.data.preprocess import preprocess
from bench.exported import preprocess_onnx
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


@pytest.mark.parametrize("crop", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "resize"), [(1, 1), (7, 7), (33, 50), (96, 128)])
def test_images_of_any_sides_are_resized_as_pillow_resizes_them(tmp_path, size, resize, interpolation, crop):
    preprocessing = Preprocessing(size=size, resize=resize, interpolation=interpolation, crop=crop)
    session = preprocessing_alone(tmp_path, preprocessing)

    @given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1), st.booleans())
    @settings(max_examples=40, deadline=None)
    def check(height, width, seed, only_black_and_white):
        assume(crop == "squash" or max(height, width) <= 50 * min(height, width))
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        if only_black_and_white:  # where a cubic overshoots most, so that the order of its two passes shows
            image = (image // 128) * np.uint8(255)
        difference = np.abs(session.run(None, {"image": image})[0][0] - preprocess(image, preprocessing)) * LEVELS
        # A level that the first pass rounds otherwise can cross a border of the second: two levels, in hardly a value.
        assert difference.max() < (0.01 if interpolation == "nearest" else 2.2)
        assert (difference > 1.1).sum() <= max(1, 0.002 * difference.size)

    check()


def pixels_off(session, preprocessing, shape):
    """The share of values that are not Pillow's, for noise of this shape."""
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    difference = np.abs(session.run(None, {"image": image})[0][0] - preprocess(image, preprocessing)) * LEVELS
    return float((difference > 0.5).mean())


@pytest.mark.parametrize("shape", [(375, 500, 3), (500, 375, 3), (800, 200, 3), (200, 800, 3), (1500, 2000, 3)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_of_photograph_sizes_hardly_a_pixel_is_another(tmp_path, shape, interpolation):
    preprocessing = Preprocessing(size=224, resize=256, interpolation=interpolation)
    assert pixels_off(preprocessing_alone(tmp_path, preprocessing), preprocessing, shape) < 0.005


def test_passes_come_in_the_order_of_the_installed_pillow(tmp_path, monkeypatch):
    # A fifth of the height and all of the width: Pillow 13 takes columns first, earlier ones always rows.
    preprocessing = Preprocessing(size=100, resize=100, crop="squash", interpolation="bicubic")
    right = pixels_off(preprocessing_alone(tmp_path, preprocessing), preprocessing, (500, 90, 3))
    columns_may_come_first = preprocess_onnx.pillow_may_resize_columns_first()
    monkeypatch.setattr(preprocess_onnx, "pillow_may_resize_columns_first", lambda: not columns_may_come_first)
    wrong = pixels_off(preprocessing_alone(tmp_path, preprocessing), preprocessing, (500, 90, 3))
    assert right < 0.005
    assert wrong > 0.1


def test_operators_equal_pillow_on_photographs(tmp_path, reference_data):
    preprocessing = Preprocessing(size=224, resize=256, interpolation="bicubic")
    session = preprocessing_alone(tmp_path, preprocessing)
    for path in sorted((reference_data / "coco128" / "val2017").iterdir())[:10]:
        image = read_rgb(path)
        difference = np.abs(session.run(None, {"image": image})[0][0] - preprocess(image, preprocessing)) * LEVELS
        assert difference.max() < 1.1
        assert difference.mean() < 0.1
