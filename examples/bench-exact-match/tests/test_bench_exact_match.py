"""Whether the plugin keeps its contract, and its formula by hand."""

from collections.abc import Callable
from types import SimpleNamespace

import bench_exact_match
import numpy as np
import pytest
from bench_exact_match.formula import subset_accuracy

from bench.testing import parametrize_with_checks


@parametrize_with_checks([bench_exact_match])
def test_it_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([(2, 2, 2), (1, 2, 1), (1, 1, 2), (0, 0, 0)], 0.5),  # right; one too many; one missed; rightly none
        ([(0, 1, 1)], 0.0),  # one predicted and one true, but another one
    ],
)
def test_an_image_is_right_where_nothing_is_missed_and_nothing_is_too_much(
    counts: list[tuple[int, int, int]], expected: float
) -> None:
    true_positives, predicted, positives = np.array(counts).T
    counted = SimpleNamespace(true_positives=true_positives, predicted=predicted, positives=positives)
    assert subset_accuracy(SimpleNamespace(image_counts=counted)) == expected
