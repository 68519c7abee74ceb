"""The asymmetric loss by hand, and what it is for: few positives, of which many are not marked."""

import math

import numpy as np
import pytest
import torch
from bench_models.asymmetric_loss import asymmetric_loss
from bench_models.bce import binary_cross_entropy
from example_learning import learnt, overall_f1, prior_f1, scores_of

GENERATOR = torch.Generator()
PLAIN = {"gamma_negative": 0.0, "margin": 0.0}


def half_marked(images, labels=20, dimensions=40, seed=0):
    """Features, truth of about four labels an image, and truth of which half the positives are marked."""
    rng = np.random.default_rng(seed)
    planes = np.random.default_rng(9).normal(size=(labels, dimensions)) * 4 / dimensions**0.5
    values = rng.normal(size=(images, dimensions))
    truth = values @ planes.T + rng.logistic(size=(images, labels)) > 4
    return values.astype(np.float32), truth, truth & (rng.random(truth.shape) > 0.5)


def above_threshold(scores, truth):
    return 2 * ((scores > 0) & truth).sum() / ((scores > 0).sum() + truth.sum())


def test_half_marked_positives_are_above_one_half_as_they_are_not_by_cross_entropy_and_ranked_above_the_prior():
    (values, _, marked), (test_values, truth, _) = half_marked(1500), half_marked(1000, seed=1)
    scores = scores_of(learnt("asymmetric-loss", values, marked, k=4), test_values)
    plain = scores_of(learnt("asymmetric-loss", values, marked, k=4, **PLAIN), test_values)
    assert above_threshold(scores, truth) > above_threshold(plain, truth) + 0.25
    assert overall_f1(scores, truth, 4) > prior_f1(marked, truth, 4) + 0.2


def test_without_focusing_and_margin_it_is_binary_cross_entropy():
    logits, truth = torch.randn(7, 5) * 3, torch.rand(7, 5) < 0.3
    expected = binary_cross_entropy(logits, truth, GENERATOR)
    torch.testing.assert_close(asymmetric_loss(logits, truth, GENERATOR, **PLAIN), expected)


def test_the_loss_is_the_formula_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])  # probabilities 0.5 and 0.75
    loss = asymmetric_loss(
        logits, torch.tensor([[True, False]]), GENERATOR, gamma_positive=1.0, gamma_negative=2.0, margin=0.25
    )
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5**2 * math.log(2))


@pytest.mark.parametrize("logit", [-200.0, 200.0])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_extreme_logits_have_finite_loss_and_gradient(logit, margin):
    logits = torch.full((1, 2), logit, requires_grad=True)
    loss = asymmetric_loss(logits, torch.tensor([[True, False]]), GENERATOR, margin=margin)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
