import numpy as np
import pytest

from bench.evaluation import weighted_ranking


@pytest.mark.parametrize("images", [1, 2, 7, 300])
def test_scores_are_ordered_as_a_stable_sort_orders_them(images):
    rng = np.random.default_rng(images)
    scores = rng.choice(np.array([-np.inf, -2.5, -1e-40, -0.0, 0.0, 1e-40, 3.0, np.inf], dtype=np.float32), images)
    np.testing.assert_array_equal(weighted_ranking._descending(scores), np.argsort(-scores, kind="stable"))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 9, 10, 99, 101])
def test_running_sums_and_maxima_are_numpys(count):
    rng = np.random.default_rng(count)
    one, other = rng.integers(100, size=(count, 3)).astype(np.uint16), rng.integers(-100, 100, size=(count, 2))
    both = np.concatenate([one, other], axis=1).astype(np.float32)
    for step in (np.add, np.maximum):
        np.testing.assert_array_equal(weighted_ranking.running(step, one, other), step.accumulate(both, axis=0))


def test_more_images_than_two_bytes_count_are_added_up_exactly():
    images = 2**16 + 3
    truth = np.zeros((images, 1), dtype=bool)
    truth[-1] = True
    scores = np.linspace(1, 0, images, dtype=np.float32)[:, None]  # the only positive comes last
    weights = np.ones((images, 2), dtype=np.float32)
    weights[0, 1] = 5
    found = weighted_ranking.build(truth, scores, None).mean_average_precision(weights, "non_interpolated")
    np.testing.assert_allclose(found, [1 / images, 1 / (images + 4)], rtol=1e-6)


def test_weights_that_add_up_to_more_than_two_bytes_count_are_exact():
    truth = np.array([[False], [True]])
    scores = np.array([[1.0], [0.0]], dtype=np.float32)
    weights = np.array([[1e5], [1.0]], dtype=np.float32)
    (found,) = weighted_ranking.build(truth, scores, None).mean_average_precision(weights, "non_interpolated")
    assert found == pytest.approx(1 / 100_001, rel=1e-6)
