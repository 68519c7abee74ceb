"""What answers after training is an average of the weights, stored with them and trained by nothing."""

import copy

import torch
from bench_models.weight_average import WeightAverage
from torch import nn


def trained(updates, decay=0.9):
    torch.manual_seed(0)
    module, values = WeightAverage(nn.Linear(3, 2), decay), torch.randn(5, 3)
    optimizer, seen = torch.optim.SGD(module.parameters(), 0.1), []
    for _ in range(updates):
        seen.append(module.layers.weight.detach().clone())
        optimizer.zero_grad()
        module.train()(values).square().sum().backward()
        optimizer.step()
    return module, seen, values


def test_the_average_follows_the_weights_fast_at_first_and_by_its_decay_later():
    module, seen, _ = trained(200)
    average = seen[0]
    for count, weight in enumerate(seen):
        decay = min(0.9, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(module.average.weight, average)


def test_the_average_answers_after_training_and_the_weights_while_training():
    module, _, values = trained(3)
    assert torch.equal(module.eval()(values), module.average(values))
    assert not torch.equal(module.average.weight, module.layers.weight)
    assert torch.equal(module.train()(values), module.layers(values))


def test_nothing_trains_the_average_and_it_is_stored_with_the_weights():
    module, _, values = trained(4)
    assert [name for name, _ in module.named_parameters()] == ["layers.weight", "layers.bias"]
    again = WeightAverage(nn.Linear(3, 2), 0.9)
    again.load_state_dict(copy.deepcopy(module.state_dict()))
    assert torch.equal(again.eval()(values), module.eval()(values))
    assert again.updates == 4


def test_training_starts_at_the_prior_in_both():
    module = WeightAverage(nn.Linear(3, 2), 0.9)
    module.start_at(torch.tensor([1.0, -1.0]))
    expected = torch.tensor([[1.0, -1.0]]).expand(4, 2)
    for mode in (False, True):
        assert torch.equal(module.train(mode)(torch.randn(4, 3)), expected)
