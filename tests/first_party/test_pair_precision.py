"""What fitted models choose by: the average precision of all pairs, which says something of two labels, too."""

import numpy as np
import pytest
import torch
from bench_models.pair_precision import pair_precision
from example_fits import fitted
from example_models import make
from sklearn.metrics import average_precision_score

from bench import Validation


def validation(values, truth, ignore=None):
    return Validation(np.asarray(values, dtype=np.float32), np.asarray(truth), ignore, lambda model: 0.0)


class Same(torch.nn.Module):
    """Its scores are the features."""

    def __init__(self):
        super().__init__()
        self.register_buffer("held", torch.zeros(1))

    def forward(self, features):
        return features


def test_it_is_the_average_precision_of_the_counted_pairs_equal_scores_together():
    rng = np.random.default_rng(0)
    values, truth, ignore = rng.integers(5, size=(600, 3)), rng.random((600, 3)) < 0.3, rng.random((600, 3)) < 0.2
    found = pair_precision(Same(), validation(values, truth, ignore))
    assert found == pytest.approx(average_precision_score(truth[~ignore], values[~ignore]), abs=1e-12)


@pytest.mark.parametrize("ignored", [False, True])
def test_without_a_true_pair_it_is_zero(ignored):
    truth = np.full((2, 2), ignored)
    assert pair_precision(Same(), validation(np.eye(2), truth, truth)) == 0.0


FIRST = {"logistic": 1e-4, "svm": 0.05, "knn": 3}


@pytest.mark.parametrize(("name", "chosen"), [("logistic", "C"), ("svm", "C"), ("knn", "neighbours")])
def test_a_choice_is_made_where_there_are_no_more_labels_than_are_given(name, chosen):
    """Exactly k of k labels are right as often whatever is chosen: the first of the choices was taken."""
    rng = np.random.default_rng(0)
    which = rng.integers(2, size=400)
    values = np.eye(8)[which] + 0.6 * rng.normal(size=(400, 8))
    values[:, :2] += 3.0 * rng.normal(size=(400, 1))  # what both share says nothing, and is most of what there is
    values = values.astype(np.float32)
    truth = np.arange(2) == which[:, None]
    model = fitted(make(name, dimensions=8, counts=(1, 1)), values[:300], truth[:300], (values[300:], truth[300:]), k=2)
    first = fitted(make(name, dimensions=8, counts=(1, 1), **{chosen: str(FIRST[name])}), values[:300], truth[:300])
    held = validation(values[300:], truth[300:])
    assert model.chosen[chosen] != FIRST[name]
    assert pair_precision(model, held) > pair_precision(first, held)
