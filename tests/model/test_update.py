"""Updates of weights: those of ``torch.optim``, to the bit."""

import pytest
import torch

from bench.model import update
from bench.model.update import Update

SHAPES = ((37, 50), (5,), (61, 3), (0, 4))


def settings(**given):
    return {"optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 5.0, **given}


def weights():
    generator = torch.Generator().manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    # One that lies in memory by columns, as a tied or transposed layer's may.
    return [*made, torch.nn.Parameter(torch.randn((7, 9), generator=generator).T)]


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
        drawn = torch.randn(parameter.shape, generator=generator) * (10.0 if number % 2 else 1e-3)
        parameter.grad = None if index == 1 and number < 2 else drawn


@pytest.mark.parametrize("piece", [64, 2**17])
@pytest.mark.parametrize("chosen", [{}, {"weight_decay": 0.0}, {"momentum": 0.0, "clip_norm": 0.0}])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_updates_are_those_of_torch_to_the_bit_in_pieces_or_whole_and_go_on_from_a_state(
    optimizer, chosen, piece, monkeypatch
):
    monkeypatch.setattr(update, "PIECE", piece)
    known = settings(optimizer=optimizer, **chosen)
    ours, theirs = weights(), weights()
    own, peer = Update(ours, 0.1, **known, in_pieces=True), of_torch(known, theirs)
    for number in range(6):
        give_gradients(ours, number)
        give_gradients(theirs, number)
        expected = torch.nn.utils.clip_grad_norm_(theirs, known["clip_norm"] or float("inf"))
        assert own.clip() == expected.item()
        own.step()
        peer.step()
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
        assert all(one.grad is None for one in ours)
        rate = 0.1 / (number + 1)
        state = own.state
        own = Update(ours, 0.1, **known, in_pieces=number % 2 == 0)
        own.load(state)
        own.set_rate(rate)
        for group in peer.param_groups:
            group["lr"] = rate


def test_memory_that_a_model_puts_in_a_parameters_place_is_what_is_updated():
    (weight,) = parameters = [torch.nn.Parameter(torch.ones(6))]
    own = Update(parameters, 0.5, **settings(optimizer="sgd", momentum=0.0, weight_decay=0.0), in_pieces=True)
    for _ in range(2):
        weight.data = torch.ones(6)
        weight.grad = torch.ones(6)
        own.step()
        assert weight.tolist() == [0.5] * 6


def test_a_state_that_was_stored_goes_on_where_the_weights_lie():
    # A checkpoint is read to the CPU; the device "meta" stands for a GPU, and refuses arithmetic with another device.
    stored = {"moments": [torch.zeros(2, 6), None], "steps": [1, 0]}
    parameters = [torch.nn.Parameter(torch.ones(6, device="meta")) for _ in stored["steps"]]
    own = Update(parameters, 0.5, **settings(), in_pieces=False)
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
    own = Update(parameters, 0.5, **settings(optimizer=optimizer, momentum=momentum), in_pieces=False)
    weight.grad = torch.ones(6)
    own.step()
    (moments,) = own.state["moments"]
    assert moments.shape == (count, 6)
