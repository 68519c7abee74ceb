import copy

import pytest
import torch
from bench_models.unrolled import StepLinear, unrolled
from example_models import batch, make

SEQUENCES = [("cnn-rnn", {"cell": cell}) for cell in ("paper", "paper-literal", "lstm", "gru")] + [("no-rnn", {})]


def gradients(model):
    values, truth = batch(40)
    model.zero_grad()
    loss = model.loss(torch.from_numpy(values).double(), torch.from_numpy(truth), torch.Generator())
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(("name", "options"), SEQUENCES)
def test_one_gradient_for_all_steps_equals_the_sum_over_steps(monkeypatch, name, options):
    model = make(name, dropout=0.0, **options).double().train()
    once = gradients(copy.deepcopy(model))
    # Closed again at once: every call is then an ordinary linear layer's.
    monkeypatch.setattr("bench_models.sequences.unrolled", lambda module: torch.enable_grad())
    by_step = gradients(model)
    assert once[0] == pytest.approx(by_step[0], rel=1e-12)
    for parameter, gradient in by_step[1].items():
        torch.testing.assert_close(once[1][parameter], gradient, rtol=1e-10, atol=1e-12)


def test_a_step_that_the_loss_does_not_use_adds_nothing():
    layer, inputs = StepLinear(3, 2, bias=False), torch.rand(4, 3)
    with unrolled(layer):
        used, _ = layer(inputs), layer(torch.rand(5, 3))
    used.sum().backward()
    torch.testing.assert_close(layer.weight.grad, inputs.sum(dim=0).expand(2, 3))


def test_outside_and_without_gradients_it_is_an_ordinary_linear_layer():
    layer, inputs = StepLinear(3, 2), torch.rand(4, 3)
    expected = torch.nn.functional.linear(inputs, layer.weight, layer.bias)
    assert torch.equal(layer(inputs), expected)
    with torch.no_grad(), unrolled(layer):
        assert torch.equal(layer(inputs), expected)


def test_a_layer_is_ordinary_again_after_an_error():
    layer = StepLinear(3, 2)
    with pytest.raises(RuntimeError), unrolled(layer):
        layer(torch.rand(4, 5))
    inputs = torch.rand(4, 3)
    assert torch.equal(layer(inputs), torch.nn.functional.linear(inputs, layer.weight, layer.bias))
    layer(inputs).sum().backward()
    torch.testing.assert_close(layer.weight.grad, inputs.sum(dim=0).expand(2, 3))
