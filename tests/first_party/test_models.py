import math

import numpy as np
import pytest
import torch
from example_models import batch, make

from bench import ModelRequest
from bench.model import networks

TRAINED = ("bce", "softmax", "warp", "joint-embedding", "cnn-rnn", "no-rnn")


def loss_of(name, logits, truth, seed=0):
    """The objective alone, on logits given by hand."""
    model = make(name, counts=(1,) * len(logits[0]))
    generator = torch.Generator().manual_seed(seed)
    return model.objective(torch.tensor(logits), torch.tensor(truth, dtype=torch.bool), generator)


def test_binary_cross_entropy_by_hand():
    loss = loss_of("bce", [[0.0, 2.0]], [[1, 0]])
    assert loss.item() == pytest.approx(math.log(2) + math.log(1 + math.exp(2.0)))


def test_softmax_spreads_its_target_over_the_true_labels():
    loss = loss_of("softmax", [[0.0, 0.0, 0.0]], [[1, 1, 0]])
    assert loss.item() == pytest.approx(math.log(3))
    logits = [1.0, -1.0, 0.5]
    log_sum = math.log(sum(map(math.exp, logits)))
    expected = -((logits[0] - log_sum) + (logits[2] - log_sum)) / 2
    assert loss_of("softmax", [logits], [[1, 0, 1]]).item() == pytest.approx(expected)


def test_warp_weighs_a_violation_by_its_sampled_rank():
    # Every negative violates, so the first draw finds one: rank = (4 - 1) / 1, L = 1 + 1/2 + 1/3.
    loss = loss_of("warp", [[0.0, 5.0, 5.0, 5.0]], [[1, 0, 0, 0]])
    assert loss.item() == pytest.approx((1 + 1 / 2 + 1 / 3) * (1 - 0 + 5))


def test_warp_is_zero_where_every_margin_holds():
    assert loss_of("warp", [[5.0, 0.0, 1.0]], [[1, 0, 0]]).item() == 0.0


def test_warp_draws_ranks_as_drawing_one_by_one_does():
    # One of nine negatives violates: after s draws the rank is floor(9 / s), given up after 9 draws.
    logits, truth = [[0.0, 1.0, *[-9.0] * 8]] * 4000, [[1, *[0] * 9]] * 4000
    harmonic = [sum(1 / j for j in range(1, rank + 1)) for rank in range(10)]
    chances = [(8 / 9) ** (s - 1) / 9 for s in range(1, 10)]
    expected = sum(chance * harmonic[9 // s] * 2.0 for s, chance in enumerate(chances, 1))
    losses = [loss_of("warp", logits, truth, seed).item() for seed in range(3)]
    assert losses == pytest.approx([expected] * 3, rel=0.08)
    assert losses[0] == loss_of("warp", logits, truth, 0).item()


def test_no_label_vector_of_the_joint_embedding_is_longer_than_allowed():
    model = make("joint-embedding", max_norm="0.5", normalize="none", dropout="0").eval()
    with torch.no_grad():
        model.layers.labels.weight[0] *= 1000
        model.layers.labels.bias.zero_()
        scores = model(torch.from_numpy(batch()[0]))
        images = model.layers.image(torch.from_numpy(batch()[0]))
    assert (scores[:, 0].abs() <= 0.5 * images.norm(dim=1) + 1e-5).all()
    vectors = model.layers.labels.weight.detach()
    direction = vectors[0] / vectors[0].norm()
    torch.testing.assert_close(scores[:, 0], 0.5 * images @ direction)


def test_the_papers_cell_is_its_equation():
    from bench_models.memories import PaperCell

    torch.manual_seed(0)
    cell = PaperCell(embedding=3, hidden=5)
    label, state = torch.randn(2, 3), torch.randn(2, 5)
    candidate, enter, forget, output = (label @ cell.from_label.weight.T + state @ cell.from_state.weight.T).chunk(4, 1)
    following = torch.sigmoid(forget) * state + torch.sigmoid(enter) * torch.relu(candidate)
    emitted, after = cell(label, state)
    torch.testing.assert_close(after, following)
    torch.testing.assert_close(emitted, following * torch.sigmoid(output))


def test_the_lstm_equals_torchs_given_its_weights():
    from bench_models.memories import LstmCell

    torch.manual_seed(0)
    ours, theirs = LstmCell(3, 5), torch.nn.LSTMCell(3, 5)
    theirs.weight_ih, theirs.bias_ih = ours.from_label.weight, ours.from_label.bias
    theirs.weight_hh, theirs.bias_hh = ours.from_state.weight, ours.from_state.bias
    label, hidden, cell = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    emitted, after = ours(label, torch.cat((hidden, cell), dim=1))
    expected = theirs(label, (hidden, cell))
    torch.testing.assert_close(emitted, expected[0])
    torch.testing.assert_close(after, torch.cat(expected, dim=1))


@pytest.mark.parametrize("memory", ["paper", "paper-literal", "lstm", "gru", "sum", "last"])
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
def test_the_loss_is_the_cross_entropy_of_the_model_stepped_label_by_label(memory, activation):
    name, option = ("no-rnn", "memory") if memory in {"sum", "last"} else ("cnn-rnn", "cell")
    model = make(name, activation=activation, **{option: memory}).eval()
    values, truth = batch()
    truth[0] = False
    features = torch.from_numpy(values)
    terms = model.image_term(features)
    output, _ = model.output_embedding()
    functions = {"identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
    losses = []
    for image in range(len(values)):
        # Labels 1 and 2 are most frequent and tie: lower index first. Then 0, then 3, then END.
        sequence = [label for label in (1, 2, 0, 3) if truth[image, label]] + [4]
        state, previous = model.start_states(features), 5
        for label in sequence:
            term, state = model.step(torch.tensor([previous]), state)
            logits = functions[activation](term + terms[image]) @ output.T
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor([label])))
            previous = label
    loss = model.loss(features, torch.from_numpy(truth), torch.Generator())
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_label_orders_are_what_their_names_say():
    from bench_models.sequences import label_order

    def order(kind, seed=0):
        return label_order(ModelRequest({"order": kind}, 1, tuple("abcd"), (5, 9, 9, 2), seed)).tolist()

    assert order("frequent") == [1, 2, 0, 3]
    assert order("rare") == [3, 0, 2, 1]
    assert sorted(order("random")) == [0, 1, 2, 3]
    assert order("random", 1) == order("random", 1)


def test_the_label_embedding_is_shared_by_input_and_output():
    model = make("cnn-rnn")
    output, bias = model.output_embedding()
    assert bias is None
    assert output.shape == (5, 64)
    assert output.data_ptr() == model.embedding.weight.data_ptr()
    assert model.embedding.num_embeddings == 6


def test_parameters_of_the_default_are_as_many_as_the_paper_implies():
    model = make("cnn-rnn", dimensions=4096, counts=(1,) * 80)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_248 + 1_179_648 + 32_768 + 262_144


@pytest.mark.parametrize("name", TRAINED)
def test_another_seed_starts_from_other_weights_and_the_global_generator_is_left_alone(name):
    before = torch.random.get_rng_state()
    one, other = make(name), make(name, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert any(not torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def test_prefix_terms_do_not_depend_on_what_else_is_asked_for():
    network = networks.TorchStepNetwork(make("cnn-rnn").eval())
    labels = np.arange(40) % 6
    states = np.random.default_rng(0).normal(size=(40, 512)).astype(np.float32)
    terms, following = network.step(labels, states)
    alone = [network.step(labels[i : i + 1], states[i : i + 1]) for i in range(40)]
    np.testing.assert_array_equal(np.concatenate([term for term, _ in alone]), terms)
    np.testing.assert_array_equal(np.concatenate([state for _, state in alone]), following)


def test_standardised_features_have_mean_zero_and_deviation_one():
    model = make("bce")
    values, truth = batch(500)
    model.fit(values * 3 + 2, truth)
    normal = model.input.eval()(torch.from_numpy(values * 3 + 2))
    torch.testing.assert_close(normal.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.std(dim=0, correction=0), torch.ones(6), atol=1e-4, rtol=0)
