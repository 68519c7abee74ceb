"""Updates of weights: those of ``torch.optim``."""

import platform

import numpy as np
import pytest
import torch

from bench.model import _update
from bench.model.update import Update
from bench.model.update_rules import RULES, Pace

SHAPES = ((37, 50), (5,), (61, 3), (0, 4))


def settings(**given):
    return {"optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 5.0, **given}


def weights(dtype):
    generator = torch.Generator().manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]
    # One that lies in memory by columns, as a tied or transposed layer's may.
    return [*made, torch.nn.Parameter(torch.randn((7, 9), generator=generator, dtype=dtype).T)]


def of_torch(chosen, parameters):
    kind, decay, momentum = chosen["optimizer"], chosen["weight_decay"], chosen["momentum"]
    if kind == "adam":
        return torch.optim.Adam(parameters, lr=0.1, weight_decay=decay)
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=0.1, momentum=momentum, weight_decay=decay)
    return torch.optim.RMSprop(parameters, lr=0.1, alpha=0.95, momentum=momentum, weight_decay=decay)


def give_gradients(parameters, number):
    """Set gradients that are clipped in every other update; the second parameter has none at first."""
    generator = torch.Generator().manual_seed(number)
    for index, parameter in enumerate(parameters):
        drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * (
            10.0 if number % 2 else 1e-3
        )
        parameter.grad = None if index == 1 and number < 2 else drawn


@pytest.mark.parametrize("chosen", [{}, {"weight_decay": 0.0}, {"momentum": 0.0, "clip_norm": 0.0}])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
# float32 is updated by the compiled rules, all else by torch's operations: those to the bit.
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.float64, 0.0)])
def test_updates_are_those_of_torch_and_go_on_from_a_state(optimizer, chosen, dtype, within):
    known = settings(optimizer=optimizer, **chosen)
    ours, theirs = weights(dtype), weights(dtype)
    own, peer = Update(ours, 0.1, **known), of_torch(known, theirs)
    for number in range(6):
        give_gradients(ours, number)
        give_gradients(theirs, number)
        expected = torch.nn.utils.clip_grad_norm_(theirs, known["clip_norm"] or float("inf"))
        assert own.clip() == expected.item()
        own.step()
        peer.step()
        for one, other in zip(ours, theirs, strict=True):
            assert torch.allclose(one, other, rtol=within, atol=within)
            assert one.grad is None
        rate = 0.1 / (number + 1)
        state = own.state
        own = Update(ours, 0.1, **known)
        own.load(state)
        own.set_rate(rate)
        for group in peer.param_groups:
            group["lr"] = rate


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="products and sums are rounded apart there")
@pytest.mark.parametrize("rate", [0.1, 7e-4])
@pytest.mark.parametrize("optimizer", RULES)
def test_compiled_rules_are_torchs_operations_but_for_the_root_which_is_the_nearest(optimizer, rate, monkeypatch):
    exact = torch.Tensor.sqrt
    monkeypatch.setattr(torch.Tensor, "sqrt", lambda self: exact(self.double()).float())
    rule, pace, generator = RULES[optimizer], Pace(rate, 0.9, 0.0), torch.Generator().manual_seed(0)
    others = (ones := torch.randn(101, generator=generator)).clone()
    moments, kept = torch.zeros(rule.remembers(0.9), 101), torch.zeros(rule.remembers(0.9), 101)
    for step in range(1, 30):
        gradient = torch.randn(101, generator=generator)
        rule.change(ones, gradient, moments, step, pace)
        rule.compiled(others.numpy(), gradient.numpy(), kept.numpy(), step, rate, 0.9, 0.0)
        assert torch.equal(ones, others)


def test_memory_that_a_model_puts_in_a_parameters_place_is_what_is_updated():
    (weight,) = parameters = [torch.nn.Parameter(torch.ones(6))]
    own = Update(parameters, 0.5, **settings(optimizer="sgd", momentum=0.0, weight_decay=0.0))
    for _ in range(2):
        weight.data = torch.ones(6)
        weight.grad = torch.ones(6)
        own.step()
        assert weight.tolist() == [0.5] * 6


def test_arrays_that_do_not_lie_row_by_row_are_updated_where_they_lie():
    """As a column of a matrix, and gradients as a model of its own puts them there."""
    matrix = torch.ones(4, 2)
    weight = torch.nn.Parameter(matrix[:, 0])
    own = Update([weight], 0.5, **settings(optimizer="sgd", momentum=0.0, weight_decay=0.0))
    for gradient in (torch.ones(8)[::2], torch.ones(1).expand(4), torch._neg_view(-torch.ones(4))):
        matrix.fill_(1.0)
        weight.grad = gradient
        own.step()
        assert weight.tolist() == [0.5] * 4
        assert matrix.tolist() == [[0.5, 1.0]] * 4


def test_a_loss_of_before_an_update_is_not_followed_back_through_the_weights_of_after():
    weight = torch.nn.Parameter(torch.ones(3, 3))
    loss = torch.ones(2, 3, requires_grad=True).matmul(weight).square().sum()
    loss.backward(retain_graph=True)
    Update([weight], 0.5, **settings()).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_state_that_was_stored_goes_on_where_the_weights_lie():
    # A checkpoint is read to the CPU; the device "meta" stands for a GPU, and refuses arithmetic with another device.
    stored = {"moments": [torch.zeros(2, 6), None], "steps": [1, 0]}
    parameters = [torch.nn.Parameter(torch.ones(6, device="meta")) for _ in stored["steps"]]
    own = Update(parameters, 0.5, **settings())
    own.load(stored)
    for weight in parameters:
        weight.grad = torch.ones_like(weight)
    own.step()
    assert [one.device.type for one in own.state["moments"]] == ["meta", "meta"]


@pytest.mark.parametrize(
    ("optimizer", "momentum", "count"),
    [("sgd", 0.0, 0), ("sgd", 0.9, 1), ("rmsprop", 0.0, 1), ("rmsprop", 0.9, 2), ("adam", 0.9, 2)],
)
def test_an_update_remembers_of_each_weight_what_its_rule_looks_at_and_no_more(optimizer, momentum, count):
    (weight,) = parameters = [torch.nn.Parameter(torch.ones(6))]
    own = Update(parameters, 0.5, **settings(optimizer=optimizer, momentum=momentum))
    weight.grad = torch.ones(6)
    own.step()
    (moments,) = own.state["moments"]
    assert moments.shape == (count, 6)


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        ({"values": np.ones(4)}, "values must be a C-contiguous NumPy array of float32"),
        ({"values": [1.0]}, "values must be a NumPy array"),
        ({"values": np.ones(8, np.float32)[::2]}, "values must be a C-contiguous"),
        ({"values": np.frombuffer(b"1234" * 4, np.float32)}, "values must be writeable"),
        ({"values": np.frombuffer(bytearray(17), np.uint8)[1:].view(np.float32)}, "values must be aligned"),
        ({"gradient": np.ones(3, np.float32)}, "gradient holds 3 numbers, must hold 4"),
        ({"moments": np.ones((1, 4), np.float32)}, "moments holds 4 numbers, must hold 8"),
    ],
)
def test_arrays_that_the_compiled_rules_would_misread_are_refused(spoilt, complaint):
    arrays = {"values": np.ones(4, np.float32), "gradient": np.ones(4, np.float32), "moments": np.ones(8, np.float32)}
    pace = {"steps": 1, "rate": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    with pytest.raises(ValueError, match=complaint):
        _update.rmsprop(**arrays | spoilt, **pace)
