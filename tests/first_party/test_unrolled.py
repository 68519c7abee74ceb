import pytest
import torch
from bench_models.unrolled import StepLinear, unrolled


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
