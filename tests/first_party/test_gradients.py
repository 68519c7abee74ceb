"""Gradients in closed form are those of autograd, to the bit: no stored number depends on which of them trained it."""

import numpy as np
import pytest
import torch
from example_models import as_features, make

from bench.contracts import TRAINING_OPTIONS
from bench.model import train
from bench.options import resolve

LABELS, DIMENSIONS = 7, 5


def part(images):
    """Features (images, 5), and truth with images of no, one and all labels, and a label that none has."""
    random = np.random.default_rng(images)
    truth = random.random((images, LABELS)) < 0.3
    truth[0], truth[-1], truth[:, 3] = False, True, False
    return random.normal(size=(images, DIMENSIONS)).astype(np.float32), truth


def taken(model, batch, **given):
    """The loss of a batch and the gradient of each parameter."""
    model.zero_grad()
    torch.manual_seed(2)  # dropout
    loss = model.loss(*batch, torch.Generator().manual_seed(4), **given)
    if not given.get("gradients"):
        loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("images", [37, 128, 1])
@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("name", ["bce", "softmax", "warp", "joint-embedding"])
def test_a_loss_that_sets_gradients_is_the_one_that_autograd_follows(name, hidden, images):
    values, truth = part(images)
    known = {} if name == "joint-embedding" else {"hidden": str(hidden)}
    model = make(name, DIMENSIONS, (1,) * LABELS, **known)
    model.fit(values, truth)
    batch = torch.from_numpy(values), torch.from_numpy(truth)
    ignore = torch.zeros(truth.shape, dtype=torch.bool)
    ignore[:, 2] = True
    for given in ({}, {"ignore": ignore}):
        expected = taken(model, batch, **given)
        found = taken(model, batch, **given, gradients=True)
        # As bytes, so that 0 and -0 are two numbers.
        assert [one.numpy().tobytes() for one in found] == [one.numpy().tobytes() for one in expected]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", ["bce", "softmax", "warp"])
def test_linear_layers_are_trained_without_autograd_to_the_same_weights(name):
    values, truth = part(300)
    options = resolve(TRAINING_OPTIONS, {"epochs": "2"}, "training")
    found = []
    for closed in (True, False):
        model = make(name, DIMENSIONS, (1,) * LABELS)
        model.slope = model.slope if closed else None
        record = train.fit(model, options, as_features(values), truth, lambda model: 0.0, name=name, seed=0)
        found.append((train.save_weights(model), [entry.loss for entry in record.history]))
        loss = model.loss(torch.from_numpy(values), torch.from_numpy(truth), torch.Generator(), gradients=True)
        assert loss.requires_grad != closed
    assert found[0] == found[1]
