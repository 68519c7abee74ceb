import doctest
import importlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from bench.evaluation import metrics

HALVES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
"""Few distinct scores, so that ties are common."""


@st.composite
def cases(draw):
    shape = (draw(st.integers(1, 12)), draw(st.integers(2, 6)))  # one column is not multi-label to scikit-learn
    truth = draw(arrays(np.bool_, shape))
    predicted = draw(arrays(np.bool_, shape))
    scores = draw(arrays(np.float32, shape, elements=HALVES))
    ignore = draw(arrays(np.bool_, shape)) & ~truth
    return truth, predicted, scores, ignore


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"bench.evaluation.metrics.{part}"
            for part in ("counts", "precision_recall", "average_precision", "ranking")
        ),
        "bench.evaluation.protocols",
        "bench.errors",
        "bench.show.markdown",
        "bench.speed.spread",
    ],
)
def test_the_examples_of_the_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@given(cases())
def test_precision_recall_and_f1_equal_scikit_learns(case):
    truth, predicted, _, _ = case
    counts = metrics.class_counts(truth, predicted)
    expected = precision_recall_fscore_support(truth, predicted, average=None, zero_division=0.0)
    np.testing.assert_allclose(metrics.precision(counts), expected[0])
    present = truth.any(axis=0)
    np.testing.assert_allclose(metrics.recall(counts)[present], expected[1][present])
    if present.any():
        micro = precision_recall_fscore_support(truth, predicted, average="micro", zero_division=0.0)
        np.testing.assert_allclose(metrics.micro(counts), micro[:3])
        assert metrics.mean_of_f1(counts) == pytest.approx(expected[2][present].mean())
        macro = metrics.macro(counts)
        assert macro[:2] == pytest.approx((expected[0][present].mean(), expected[1][present].mean()))
        assert macro[2] == pytest.approx(metrics.harmonic_mean(macro[0], macro[1]))


@given(cases())
def test_non_interpolated_average_precision_equals_scikit_learns_ties_included(case):
    truth, _, scores, _ = case
    ours = metrics.average_precisions(truth, scores, ("non_interpolated",))["non_interpolated"]
    for label in range(truth.shape[1]):
        if truth[:, label].any():
            assert ours[label] == pytest.approx(average_precision_score(truth[:, label], scores[:, label]))
        else:
            assert math.isnan(ours[label])


@given(cases(), st.sampled_from(["11_point", "all_point", "non_interpolated"]))
def test_ignored_images_count_as_if_they_were_not_there(case, kind):
    truth, predicted, scores, ignore = case
    with_mask = metrics.average_precisions(truth, scores, (kind,), ignore)[kind]
    counts = metrics.class_counts(truth, predicted, ignore)
    for label in range(truth.shape[1]):
        kept = ~ignore[:, label]
        alone = metrics.average_precision(truth[kept, label], scores[kept, label], kind)
        np.testing.assert_equal(with_mask[label], alone)
        assert counts.predicted[label] == predicted[kept, label].sum()


@given(cases(), st.randoms())
def test_the_order_of_images_never_matters(case, random):
    truth, _, scores, _ = case
    order = list(range(len(truth)))
    random.shuffle(order)
    for kind in ("11_point", "all_point", "non_interpolated"):
        np.testing.assert_array_equal(
            metrics.average_precisions(truth, scores, (kind,))[kind],
            metrics.average_precisions(truth[order], scores[order], (kind,))[kind],
        )
    np.testing.assert_array_equal(
        metrics.map_at_k_class(truth, scores, 2), metrics.map_at_k_class(truth[order], scores[order], 2)
    )


def devkit_11_point(truth, scores):
    """VOC 2007's own loop: the largest precision at recall >= 0, 0.1, ..., 1."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    precision = hits / np.arange(1, len(order) + 1)
    # In whole tenths: the devkit's 0:0.1:1 has rounding errors of its own.
    reached = [precision[hits * 10 >= tenth * truth.sum()] for tenth in range(11)]
    return sum(part.max() if len(part) else 0.0 for part in reached) / 11


def test_eleven_point_average_precision_equals_the_devkits_loop():
    rng = np.random.default_rng(0)
    for _ in range(50):
        truth = rng.random(40) < 0.3
        truth[0] = True
        scores = rng.permutation(40).astype(np.float32)
        assert metrics.average_precision(truth, scores, "11_point") == pytest.approx(devkit_11_point(truth, scores))


def test_three_kinds_of_average_precision_by_hand():
    # Ranked: hit, miss, hit. Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    truth, scores = np.array([True, False, True]), np.array([0.9, 0.8, 0.7])
    assert metrics.average_precision(truth, scores, "non_interpolated") == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision(truth, scores, "all_point") == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision(truth, scores, "11_point") == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_harmonic_of_means_and_mean_of_f1_differ_and_are_never_mixed():
    # Class 1: P 1, R 1/2. Class 2: P 1/3, R 1. Means 2/3 and 3/4; F1 2/3 and 1/2.
    counts = metrics.Counts(np.array([1, 1]), np.array([1, 3]), np.array([2, 1]))
    assert metrics.macro(counts)[2] == pytest.approx(2 * (2 / 3) * (3 / 4) / (2 / 3 + 3 / 4))
    assert metrics.mean_of_f1(counts) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_class_that_is_never_predicted_counts_zero_and_one_without_positives_is_left_out():
    truth = np.array([[True, True, False], [True, False, False]])
    predicted = np.array([[True, False, True], [True, False, False]])
    counts = metrics.class_counts(truth, predicted)
    assert metrics.macro(counts) == pytest.approx((0.5, 0.5, 0.5))
    assert metrics.macro(counts, "one")[0] == pytest.approx(1.0)
    # O-P counts the prediction in the class without positives.
    assert metrics.micro(counts) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


@given(cases(), st.integers(1, 6))
def test_top_k_takes_exactly_k_and_equal_scores_go_to_the_lower_label(case, k):
    _, _, scores, _ = case
    k = min(k, scores.shape[1])
    expected = np.zeros(scores.shape, dtype=np.bool_)
    for row, values in enumerate(scores):
        best = sorted(range(len(values)), key=lambda label: (-values[label], label))[:k]
        expected[row, best] = True
    np.testing.assert_array_equal(metrics.top_k(scores, k), expected)


@given(cases(), st.integers(1, 6))
def test_map_at_k_per_image_equals_the_formula(case, k):
    truth, _, scores, ignore = case
    result = metrics.map_at_k_image(truth, scores, k, ignore)
    for row in range(len(truth)):
        labels = [label for label in range(truth.shape[1]) if not ignore[row, label]]
        ranked = sorted(labels, key=lambda label: (-scores[row, label], label))[:k]
        hits = [truth[row, label] for label in ranked]
        gained = sum(hit * sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits))
        positives = truth[row].sum()
        np.testing.assert_allclose(result[row], gained / min(positives, k) if positives else math.nan)
