"""Each label-set policy gives what brute force gives, and is worth its while on data made to need it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import plugins
from bench.evaluation import policies, protocols
from bench.records import Scores

NAMES = ("threshold", "thresholds", "at-most-k", "count")


def policy(name, k=2):
    protocol = protocols.get(f"top{k}@1")
    return policies.chosen(name, plugins.loaded().policy(name, "scores"), protocol, "scores"), protocol


def as_scores(values, kind="logit"):
    return Scores(tuple(map(str, range(len(values)))), np.asarray(values, dtype=np.float32), kind)


def fitted(name, values, truth, ignore=None, k=2):
    chosen, protocol = policy(name, k)
    return policies.fit(chosen, protocol, as_scores(values), truth, ignore=ignore)


def label_sets(name, values, state, k=2):
    chosen, protocol = policy(name, k)
    return policies.read(chosen, protocol, as_scores(values), state)[:]


def f1(predicted, truth):
    return 2 * (predicted & truth).sum() / max(predicted.sum() + truth.sum(), 1)


def made_up(images, labels, offsets_of_labels=0.0, offsets_of_images=0.0, seed=0):
    """Scores that tell of truth, shifted for each label and for each image: a shift says nothing of truth."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(-1.5, 1.0, size=labels)
    many = rng.normal(0.0, 1.5, size=(images, 1)) * offsets_of_images
    logits = 2.5 * rng.normal(size=(images, labels)) + ease + many
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    values = logits + offsets_of_labels * np.random.default_rng(99).normal(size=labels)
    return values.astype(np.float32), truth


small = st.integers(0, 2**31).map(np.random.default_rng)


@given(small)
def test_one_threshold_is_the_best_of_all(rng):
    values = rng.integers(-3, 4, size=(6, 4)).astype(np.float32)  # with ties
    truth, ignore = rng.random(values.shape) < 0.4, rng.random(values.shape) < 0.2
    truth &= ~ignore
    state = fitted("threshold", values, truth, ignore)
    found = f1(label_sets("threshold", values, state) & ~ignore, truth)
    best = max(f1((values >= at) & ~ignore, truth) for at in (*np.unique(values), 9))
    assert found == pytest.approx(best)


@given(small)
def test_at_most_k_is_the_best_threshold_among_the_k_best(rng):
    values = rng.integers(-3, 4, size=(6, 5)).astype(np.float32)
    truth = rng.random(values.shape) < 0.4
    found = label_sets("at-most-k", values, fitted("at-most-k", values, truth))
    top = protocols.predicted_top_k(as_scores(values), 2)
    assert (found.sum(axis=1) <= 2).all()
    assert f1(found, truth) == pytest.approx(max(f1(top & (values >= at), truth) for at in (*np.unique(values), 9)))


def test_a_threshold_lies_between_scores_so_that_rounding_turns_no_label():
    state = fitted("threshold", [[3.0, 1.0], [2.0, 0.0]], np.array([[1, 0], [1, 0]], dtype=bool))
    assert state["threshold"] == 1.5


def test_thresholds_of_labels_are_worth_it_where_labels_are_scored_apart_and_cost_little_elsewhere():
    for offsets, gain in ((2.0, 0.03), (0.0, -0.01)):
        values, truth = made_up(600, 30, offsets_of_labels=offsets)
        others, of_others = made_up(600, 30, offsets_of_labels=offsets, seed=1)
        one, each = (
            f1(label_sets(name, others, fitted(name, values, truth)), of_others) for name in ("threshold", "thresholds")
        )
        assert each - one > gain


def test_a_count_is_worth_it_where_whole_images_are_scored_higher_than_they_should_be():
    rng = np.random.default_rng(5)
    values, truth = made_up(1200, 30)
    values = values + rng.normal(0, 4.0, size=(len(values), 1)).astype(np.float32)
    half = slice(0, 600), slice(600, 1200)
    one, count = (
        f1(label_sets(name, values[half[1]], fitted(name, values[half[0]], truth[half[0]])), truth[half[1]])
        for name in ("threshold", "count")
    )
    assert count - one > 0.05


def test_a_count_follows_the_scores():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, size=400)
    truth = np.arange(8) < counts[:, None]
    values = np.where(truth, 3.0, -3.0) + rng.normal(0, 0.3, size=truth.shape)
    found = label_sets("count", values, fitted("count", values, truth))
    assert (found == truth).all(axis=1).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_odd_parts_are_fitted(name):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 4)).astype(np.float32)
    truth = rng.random(values.shape) < 0.4
    infinite = values.copy()
    infinite[0, 0], infinite[1, 1] = np.inf, -np.inf
    constant = np.ones_like(values)
    for given_values, given_truth in (
        (infinite, truth),
        (constant, truth),
        (values, np.zeros_like(truth)),
        (values, np.ones_like(truth)),
        (values[:1], truth[:1]),
        (values[:, :1], truth[:, :1]),
    ):
        k = min(2, given_values.shape[1])
        state = fitted(name, given_values, given_truth, k=k)
        found = label_sets(name, given_values, state, k)
        if not given_truth.any():
            assert not found.any()


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_pair_changes_no_choice(name):
    values, truth = made_up(80, 6)
    ignore = np.random.default_rng(3).random(truth.shape) < 0.2
    states = [fitted(name, values, truth & ~ignore, ignore), fitted(name, values, truth | ignore, ignore)]
    for key, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][key])
