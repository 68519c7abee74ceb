"""Metrics against their plain definitions, on scores that may be infinite and masks that may hold anything."""

import math

import numpy as np
import plain_metrics
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench import Scores
from bench.errors import DataError
from bench.evaluation import metrics, protocols
from bench.evaluation.bits import BitMatrix
from bench.evaluation.measure import measure

INFINITE = st.sampled_from([-math.inf, -math.inf, -1.0, 0.0, 0.5, 0.5, 2.0, 2.0**127, math.inf])
"""Few distinct scores, so that ties are common, and both infinities."""


@st.composite
def cases(draw):
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 14)))
    truth, chosen, ignore = (draw(arrays(np.bool_, shape)) for _ in range(3))
    return truth, draw(arrays(np.float32, shape, elements=INFINITE)), chosen, ignore


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_measure_is_its_plain_definition(case):
    truth, values, chosen, ignore = case
    protocol = protocols.get("top1@1")
    scores = Scores(tuple(map(str, range(len(truth)))), values, "margin")
    names = tuple(map(str, range(truth.shape[1])))
    measured = measure(protocol, names, truth, ignore, chosen, scores).values
    expected = plain_metrics.every_measure(truth, values.tolist(), chosen, ignore, ap=protocol.ap, k=10)
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
    packed = (BitMatrix.pack([mask], truth.shape[1]) for mask in (truth, ignore, chosen))
    np.testing.assert_equal(measure(protocol, names, *packed, scores).values, measured)


@settings(max_examples=200, deadline=None)
@given(cases(), st.integers(1, 14))
def test_map_at_any_k_is_its_plain_definition(case, k):
    truth, values, _, ignore = case
    for function, plain in (
        (metrics.map_at_k_image, plain_metrics.map_at_k_image),
        (metrics.map_at_k_class, plain_metrics.map_at_k_class),
    ):
        found = metrics.mean_defined(function(truth, values, k, ignore))
        assert found == pytest.approx(plain(truth, values.tolist(), ignore, k), abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(cases(), st.integers(1, 14))
def test_top_k_of_infinite_scores_takes_exactly_k(case, k):
    _, values, _, _ = case
    k = min(k, values.shape[1])
    nothing = [False] * values.shape[1]
    for row, best in zip(values, metrics.top_k(values, k), strict=True):
        assert sorted(plain_metrics.best_labels(row.tolist(), nothing, k)) == np.flatnonzero(best).tolist()


def test_a_true_label_of_minus_infinity_ranks_before_an_ignored_one():
    truth, ignore = np.array([[False, True]]), np.array([[True, False]])
    values = np.array([[-np.inf, -np.inf]])
    assert metrics.map_at_k_image(truth, values, 10, ignore).tolist() == [1.0]
    assert metrics.map_at_k_class(truth, values, 1, ignore)[1] == 1.0


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("column", range(4))
def test_nan_is_refused_by_top_k_and_by_scores(k, column):
    values = np.full((3, 4), 0.5, dtype=np.float32)
    values[1, column] = np.nan
    with pytest.raises(DataError, match="scores hold NaN, which cannot be ranked"):
        metrics.top_k(values, k)
    with pytest.raises(DataError, match="scores hold NaN; the model diverged"):
        Scores(("a", "b", "c"), values, "logit")


def test_ignored_pairs_are_no_predicted_labels():
    truth, chosen = np.array([[True, False]]), np.array([[True, True]])
    scores = Scores(("a",), np.array([[1.0, 0.5]], dtype=np.float32), "logit")
    for ignore, labels in ((None, 2.0), (np.array([[False, True]]), 1.0)):
        measured = measure(protocols.get("top1@1"), ("x", "y"), truth, ignore, chosen, scores)
        assert measured["labels_per_image"] == labels
