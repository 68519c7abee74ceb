"""Labels in doubt: planted errors are found, and cleanlab doubts the same ones."""

import numpy as np
import pytest

from bench.evaluation import chances
from bench.evaluation.label_errors import most_likely


@pytest.fixture(scope="module")
def noisy():
    """Truth with 4 % of its pairs turned, the real truth, and chances of a model that is mostly right."""
    generator = np.random.default_rng(0)
    real = generator.random((600, 6)) < np.linspace(0.1, 0.5, 6)
    truth = real ^ (generator.random(real.shape) < 0.04)
    evidence = np.where(real, 3.0, -3.0) + generator.normal(0, 1.2, real.shape)
    return truth, real, (1 / (1 + np.exp(-evidence))).astype(np.float32)


def likely_errors(truth, chance, ignore=None):
    """Return all that are doubted, the most doubtful first."""
    every = np.arange(len(truth))
    rows = [every if ignore is None else np.flatnonzero(~ignore[:, label]) for label in range(truth.shape[1])]
    columns = ((label, some, truth[some, label], chance[some, label]) for label, some in enumerate(rows))
    found, count = most_likely(columns, truth.size)
    assert count == len(found)
    return found


def test_turned_labels_are_doubted_and_few_others(noisy):
    truth, real, chance = noisy
    found = likely_errors(truth, chance)
    wrong = truth != real
    right = sum(bool(wrong[one.row, one.label]) for one in found)
    assert right > 0.6 * wrong.sum()
    assert right > 0.9 * len(found)
    assert all(one.given == truth[one.row, one.label] for one in found)
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)


def test_ignored_pairs_and_labels_without_two_sides_are_not_doubted(noisy):
    truth, _, chance = noisy
    ignore = np.zeros_like(truth)
    ignore[:, 0] = True
    truth = truth.copy()
    truth[:, 1] = True
    assert {one.label for one in likely_errors(truth, chance, ignore)} == {2, 3, 4, 5}


def test_cleanlab_doubts_the_same_labels(noisy):
    reason = "cleanlab is not installed: a second opinion, and no dependency"
    found = pytest.importorskip("cleanlab.multilabel_classification.filter", reason=reason)
    truth, _, chance = noisy
    lists = [np.flatnonzero(row).tolist() for row in truth]
    theirs = np.array(
        found.find_multilabel_issues_per_class(
            lists, chance.astype(np.float64), filter_by="confident_learning", min_examples_per_class=0
        )
    )
    own = np.zeros_like(truth)
    for one in likely_errors(truth, chance):
        own[one.row, one.label] = True
    assert (own == theirs).all()


@pytest.mark.parametrize("kind", ["logit", "margin", "log_probability", "probability"])
def test_fitted_chances_rise_with_the_score_and_are_true_on_average(kind):
    generator = np.random.default_rng(1)
    truth = generator.random((2000, 5)) < 0.3
    evidence = (np.where(truth, 1.0, -1.0) + generator.normal(0, 1.5, truth.shape)).astype(np.float32)
    scale = {"logit": evidence, "margin": 40 * evidence - 7, "log_probability": evidence - 6}
    scores = scale.get(kind, 1 / (1 + np.exp(-evidence))).astype(np.float32)
    fitted = chances.fitted(kind, scores, truth)
    assert fitted is not None
    found = fitted(scores)
    order = np.argsort(scores.ravel())
    assert (np.diff(found.ravel()[order]) >= 0).all()
    assert found.mean() == pytest.approx(truth.mean(), abs=0.002)
    sure = found > 0.8
    assert truth[sure].mean() == pytest.approx(found[sure].mean(), abs=0.03)


def test_scores_that_say_nothing_of_an_image_give_no_chances():
    truth = np.random.default_rng(0).random((50, 4)) < 0.5
    same = np.tile(np.arange(4, dtype=np.float32), (50, 1))
    assert chances.fitted("logit", same, truth) is None
    assert chances.fitted("logit", -truth.astype(np.float32), truth) is None
    assert chances.fitted("logit", truth.astype(np.float32), np.zeros_like(truth)) is None


def test_infinite_scores_and_truth_told_without_an_error_give_finite_chances():
    truth = np.array([[True, False], [False, True], [True, True], [False, False]])
    scores = np.where(truth, np.float32(np.inf), np.float32(-np.inf))
    fitted = chances.fitted("log_probability", np.where(truth, 0, scores).astype(np.float32), truth)
    assert fitted is not None
    assert np.isfinite(fitted(scores)).all()
