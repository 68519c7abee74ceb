"""Whether the plugin keeps its contract, and whether its pictures show what is true of them."""

import math
from collections.abc import Callable

import bench_shapes
import numpy as np
import pytest
from bench_shapes.pictures import CORNERS, RADIUS, picture

import bench
from bench.testing import parametrize_with_checks


@parametrize_with_checks([bench_shapes])
def test_it_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


def test_without_noise_and_labels_a_picture_is_black() -> None:
    assert not picture(np.array([], dtype=np.intp), 0, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("label", "corners"), list(enumerate(CORNERS.values())))
def test_a_shape_has_the_area_of_its_polygon(label: int, corners: int) -> None:
    drawn = picture(np.array([label]), 0, np.random.default_rng(0)).any(axis=2).sum()
    area = corners / 2 * RADIUS**2 * math.sin(2 * math.pi / corners)
    assert drawn == pytest.approx(area, rel=0.15)  # whole pixels, those of the border too


def test_shapes_stand_beside_each_other_and_never_on_each_other() -> None:
    alone = [picture(np.array([label]), 0, np.random.default_rng(0)).any(axis=2).sum() for label in range(3)]
    together = picture(np.arange(3), 0, np.random.default_rng(0)).any(axis=2).sum()
    assert together == pytest.approx(sum(alone), rel=0.1)


def test_a_label_is_true_of_about_half_of_the_pictures() -> None:
    (spec,) = bench_shapes.bench_datasets()
    made = spec.build(bench.DatasetRequest({"images": 400, "noise": 40}))
    assert np.allclose(made.train.truth.mean(axis=0), 0.5, atol=0.1)
    assert set(made.train.truth.sum(axis=1)) == {1, 2, 3}
