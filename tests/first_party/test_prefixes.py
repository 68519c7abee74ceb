import pytest
import torch
from bench_models.prefixes import prefixes_of
from example_models import batch, make

SEQUENCES = [("cnn-rnn", {"cell": cell}) for cell in ("paper", "paper-literal", "lstm", "gru")]
SEQUENCES += [("no-rnn", {"memory": memory}) for memory in ("sum", "last")]


def step_by_step(model, features, truth):
    """The loss as its definition says: every image by itself, one step after another."""
    total, steps = torch.zeros((), dtype=features.dtype), 0
    output, _ = model.output_embedding()
    for image in range(len(features)):
        states, previous = model.start_states(features), model.start
        term = model.image_term(features[image : image + 1])
        chosen = [label for label in model.label_order.tolist() if truth[image, label]]
        for label in [*chosen, model.end]:
            prefix, states = model.step(torch.tensor([previous]), states)
            total = total - ((prefix + term) @ output.T).log_softmax(dim=1)[0, label]
            previous, steps = label, steps + 1
    return total / steps


def gradients(model, loss):
    model.zero_grad()
    value = loss()
    value.backward()
    return value.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("order", ["frequent", "random"])
@pytest.mark.parametrize(("name", "options"), SEQUENCES)
def test_loss_and_gradients_equal_those_of_each_image_step_by_step(name, options, order):
    model = make(name, dropout=0.0, order=order, **options).double().train()
    values, labels = batch(40)
    labels[:3] = [[False] * 4, [True] * 4, [True] * 4]
    features, truth = torch.from_numpy(values).double(), torch.from_numpy(labels)
    found = gradients(model, lambda: model.loss(features, truth, torch.Generator()))
    expected = gradients(model, lambda: step_by_step(model, features, truth))
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    for parameter, gradient in expected[1].items():
        torch.testing.assert_close(found[1][parameter], gradient, rtol=1e-10, atol=1e-12)


def test_each_prefix_is_there_once_and_every_step_knows_what_stands_before_it():
    _, labels = batch(30, labels=7)
    labels[0] = False
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    found = prefixes_of(torch.from_numpy(labels), order)
    spelt: list[tuple[int, ...]] = [()]
    for row in range(1, len(found.parents)):
        spelt.append((*spelt[found.parents[row]], int(found.labels[row])))
    assert len(set(spelt)) == len(spelt)
    assert [len(one) for one in spelt] == [length for length, rows in enumerate(found.levels) for _ in spelt[rows]]
    assert int(found.labels[0]) == 8
    assert found.continued.tolist() == sorted(set(found.parents[1:].tolist()))
    for level, span in zip(found.levels[1:], found.spans[:-1], strict=True):
        assert torch.equal(found.continued[span][found.siblings[level]], found.parents[level])
    expected = []
    for image, held in enumerate(labels):
        sequence = tuple(label for label in order.tolist() if held[label])
        expected += [
            (len(sequence[:end]), image, sequence[:end], (*sequence, 7)[end]) for end in range(len(sequence) + 1)
        ]
    steps = zip(found.images.tolist(), (spelt[row] for row in found.rows), found.targets.tolist(), strict=True)
    assert [(len(before), image, before, target) for image, before, target in steps] == sorted(expected)
