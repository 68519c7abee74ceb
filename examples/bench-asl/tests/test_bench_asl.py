"""The plugin as the benchmark sees it, and its loss against the formula by hand."""

import math
from collections.abc import Callable

import bench_asl
import numpy as np
import pytest
import torch
from bench_asl.network import AsymmetricClassifier, asymmetric_loss

import bench
from bench import resolve
from bench.testing import parametrize_with_checks


def request(seed: int = 0, **given: float) -> bench.ModelRequest:
    (spec,) = bench_asl.bench_models()
    options = resolve(spec.options, given, "model 'asl'")
    return bench.ModelRequest(options, dimensions=2, labels=("cat", "dog"), label_counts=(3, 2), seed=seed)


@parametrize_with_checks([bench_asl])
def test_it_keeps_the_contract_of_a_score_model(check: Callable[[], None]) -> None:
    check()


def test_without_focusing_and_margin_the_loss_is_binary_cross_entropy() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    truth = torch.tensor([[True, False], [False, True]])
    loss = asymmetric_loss(logits, truth, gamma_positive=0.0, gamma_negative=0.0, margin=0.0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.float(), reduction="sum") / 2
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_loss_is_the_formula_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])  # probabilities 0.5 and 0.75
    truth = torch.tensor([[True, False]])
    loss = asymmetric_loss(logits, truth, gamma_positive=1.0, gamma_negative=2.0, margin=0.25)
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5**2 * math.log(2))


def test_a_negative_label_below_the_margin_costs_nothing() -> None:
    loss = asymmetric_loss(
        torch.tensor([[-4.0]]), torch.tensor([[False]]), gamma_positive=0.0, gamma_negative=4.0, margin=0.05
    )
    assert loss.item() == 0.0


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_extreme_logits_have_finite_loss_and_gradient(logit: float) -> None:
    logits = torch.full((1, 2), logit, requires_grad=True)
    loss = asymmetric_loss(logits, torch.tensor([[True, False]]), gamma_positive=0.0, gamma_negative=4.0, margin=0.05)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_the_loss_falls_on_separable_features() -> None:
    model = bench_asl.build(request())
    assert isinstance(model, AsymmetricClassifier)
    truth = torch.tensor([[True, False], [False, True]]).repeat(16, 1)
    features = truth.float() * 4 + 1
    model.fit(features.numpy(), truth.numpy())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(20):
        loss = model.loss(features, truth, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert np.array_equal((model(features) > 0).numpy(), truth.numpy())
