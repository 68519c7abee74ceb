"""Controls: what any method must beat, what chance gives, and linear classifiers solved to their optimum."""

import numpy as np
import pytest
import torch
from example_fits import f1_of, fitted, scored
from example_learning import learnt, overall_f1, scores_of
from example_models import batch, make
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain
from sklearn.svm import LinearSVC


def test_the_prior_is_each_labels_share_of_the_images_that_count():
    values, truth = batch(40)
    ignore = np.random.default_rng(1).random(truth.shape) < 0.3
    model = make("prior")
    model.fit(values, truth, ignore)
    expected = [truth[~ignore[:, label], label].mean() for label in range(4)]
    np.testing.assert_allclose(scored(model, values[:2]), [expected] * 2, rtol=1e-6)


def test_the_prior_that_is_told_tags_says_what_the_prior_says():
    values, truth = batch(40)
    prior, told = make("prior"), make("prior-known")
    prior.fit(values, truth)
    told.fit(values, truth)
    torch.testing.assert_close(told(torch.from_numpy(values), torch.from_numpy(truth)), prior(torch.from_numpy(values)))


def test_random_scores_know_nothing_of_labels_and_spread_over_all_of_them():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 32)).astype(np.float32)
    truth = values @ rng.normal(size=(32, 10)) > 3.0
    found = [
        scored(fitted(make("random", dimensions=32, counts=(1,) * 10, seed=seed), values, truth), values)
        for seed in (0, 1)
    ]
    for scores in found:
        correlation = np.corrcoef(scores.T, truth.T)[:10, 10:]
        assert np.abs(correlation).max() < 0.08
        assert np.bincount(scores.argmax(axis=1), minlength=10).min() > 200
    assert np.abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("cost", [0.01, 1.0])
def test_logistic_weights_are_scikit_learns(cost):
    values, truth = batch(200, dimensions=12)
    values = values @ np.diag(np.linspace(0.5, 3, 12)).astype(np.float32) + 1
    truth[:, 3] = False
    model = fitted(make("logistic", dimensions=12, C=str(cost)), values, truth)
    normal = model.input(torch.from_numpy(values)).double().numpy()
    for label in range(3):
        solved = LogisticRegression(C=cost, tol=1e-8, max_iter=10_000).fit(normal, truth[:, label])
        np.testing.assert_allclose(model.planes.weight[label], solved.coef_[0], atol=2e-4)
        np.testing.assert_allclose(model.planes.bias[label], solved.intercept_[0], atol=2e-4)
    assert (model.planes.weight[3] == 0).all()
    assert model.planes.bias[3] < -5


def test_logistic_weights_of_a_label_leave_its_ignored_images_out():
    values, truth = batch(200, dimensions=12)
    ignore = np.random.default_rng(1).random(truth.shape) < 0.3
    model = make("logistic", dimensions=12, C="1")
    model.fit(values, truth, ignore)
    normal = model.input(torch.from_numpy(values)).double().numpy()
    for label in range(4):
        counted = ~ignore[:, label]
        solved = LogisticRegression(tol=1e-8, max_iter=10_000).fit(normal[counted], truth[counted, label])
        np.testing.assert_allclose(model.planes.weight[label], solved.coef_[0], atol=2e-4)


@pytest.mark.parametrize("cost", [0.05, 0.5, 50.0])
def test_the_support_vector_machine_is_scikit_learns_on_unit_features(cost):
    values, truth = batch(200, dimensions=12)
    ignore = np.random.default_rng(1).random(truth.shape) < 0.3
    truth[:, 3] = False
    model = make("svm", dimensions=12, C=str(cost))
    model.fit(values, truth, ignore)
    unit = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float64)
    scores = scored(model, values)
    for label in range(3):
        counted = ~ignore[:, label]
        solved = LinearSVC(C=cost, dual=False, tol=1e-9, max_iter=10_000).fit(unit[counted], truth[counted, label])
        np.testing.assert_allclose(scores[:, label], solved.decision_function(unit), atol=1e-4)
    np.testing.assert_array_equal(scores[:, 3], -1.0)  # no image has it


@pytest.mark.parametrize(("name", "few", "many"), [("logistic", 1e-4, 10.0), ("svm", 1e-3, 50.0)])
def test_the_penalty_is_the_best_on_the_validation_part(name, few, many):
    rng = np.random.default_rng(0)
    planes = rng.normal(size=(60, 5))

    def draw(images):
        values = rng.normal(size=(images, 60)).astype(np.float32)
        return values, values @ planes + 9 * rng.normal(size=(images, 5)) > 3

    (values, truth), held, test = draw(120), draw(300), draw(2000)
    sizes = {"dimensions": 60, "counts": (1,) * 5}
    chosen = f1_of(fitted(make(name, **sizes), values, truth, held), *test)
    by_hand = {cost: f1_of(fitted(make(name, C=str(cost), **sizes), values, truth), *test) for cost in (few, 0.1, many)}
    assert chosen >= max(by_hand.values()) - 0.01
    assert chosen > by_hand[many] + 0.01


def test_a_chain_is_scikit_learns_in_the_same_order():
    values, truth = batch(200, dimensions=12)
    model = fitted(make("classifier-chain", dimensions=12, orders="1", C="1"), values, truth)
    normal = model.input(torch.from_numpy(values)).double().numpy()
    order = model.places[0].argsort().tolist()
    chain = ClassifierChain(LogisticRegression(tol=1e-8, max_iter=10_000), order=order, chain_method="predict_proba")
    np.testing.assert_allclose(scored(model, values), chain.fit(normal, truth).predict_proba(normal), atol=5e-4)


def test_several_orders_are_averaged():
    values, truth = batch(200, dimensions=12)
    model = fitted(make("classifier-chain", dimensions=12, orders="3", C="1"), values, truth)
    normal = model.input(torch.from_numpy(values)).double().numpy()
    links = LogisticRegression(tol=1e-8, max_iter=10_000)
    chains = [
        ClassifierChain(links, order=places.argsort().tolist(), chain_method="predict_proba").fit(normal, truth)
        for places in model.places
    ]
    expected = np.mean([chain.predict_proba(normal) for chain in chains], axis=0)
    np.testing.assert_allclose(scored(model, values), expected, atol=5e-4)


def one_of_two_or_both(images, rng):
    """Labels 0 and 1 are half-planes; label 2 is either of them, whose border no single plane is."""
    values = rng.normal(size=(images, 4)).astype(np.float32)
    first, second = values[:, 0] > 0.8, values[:, 1] > 0.8
    return values, np.stack([first, second, first | second, values[:, 2] > 1.5], axis=1)


def test_a_chain_beats_labels_alone_where_a_label_follows_from_others():
    rng = np.random.default_rng(0)
    train, test = one_of_two_or_both(2000, rng), one_of_two_or_both(2000, rng)
    wrong = {}
    for orders in ("0", "12"):
        model = fitted(make("classifier-chain", dimensions=4, orders=orders, C="10"), *train)
        wrong[orders] = ((scored(model, test[0])[:, 2] > 0.5) != test[1][:, 2]).mean()
    assert wrong["12"] < 0.75 * wrong["0"]


def test_a_hidden_layer_beats_planes_where_labels_have_none():
    rng = np.random.default_rng(0)

    def draw(images):
        values = rng.normal(size=(images, 4)).astype(np.float32)
        sides = np.sign(values[:, [0, 1, 2]] * values[:, [1, 2, 3]])
        return values, np.concatenate([sides > 0, sides < 0], axis=1)

    train, (values, truth) = draw(1000), draw(500)
    found = {
        hidden: overall_f1(scores_of(learnt("mlp", *train, hidden=hidden, epochs=20), values), truth, 3)
        for hidden in (0, 64)
    }
    assert found[64] > found[0] + 0.2


@pytest.mark.parametrize("name", ["logistic", "classifier-chain"])
def test_it_beats_the_prior(name):
    rng = np.random.default_rng(0)
    planes = rng.normal(size=(20, 8))
    values = rng.normal(size=(900, 20)).astype(np.float32)
    truth = values @ planes + np.linspace(-2, 2, 8) > 2
    sizes = {"dimensions": 20, "counts": tuple(truth[:600].sum(axis=0))}
    found = {
        one: f1_of(fitted(make(one, **sizes), values[:600], truth[:600]), values[600:], truth[600:], k=2)
        for one in (name, "prior", "random")
    }
    assert found[name] > found["prior"] + 0.2
    assert found["prior"] > found["random"] + 0.05
